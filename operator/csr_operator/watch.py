"""The watches that kopf does not keep: the operator's own Secrets, metadata only; and lists to compare with.

The server filters Secrets by label, so that the Secrets of others cost nothing, and no key is ever sent here.
"""

import asyncio
import contextlib
import logging

from .controller import Controller
from .kube import KubeClient, KubeError, Unreachable
from .model import Kind, ObjectKey, Raw, SecretKey
from .offload import where

logger = logging.getLogger(__name__)

_PAUSE = 1.0
_LONGEST_PAUSE = 10.0
_SWEEP = 300.0


class _Expired(Exception):
    """The server no longer has the changes since our resource version: list again."""


async def follow_secrets(kube: KubeClient, controller: Controller, namespace: str, listed: asyncio.Event) -> None:
    """List, then watch, for ever; sets `listed` after the first list. `namespace` empty: the cluster."""
    pause, clock = _PAUSE, asyncio.get_running_loop().time
    while True:
        began = clock()
        try:
            version = await _list(kube, controller, namespace)
            listed.set()
            while True:
                since = clock()
                version = await _watch(kube, controller, namespace, version)
                if clock() - since < _PAUSE:
                    await asyncio.sleep(_PAUSE)  # a server that ends each watch at once is not asked without end
        except _Expired:
            words = "" if clock() - began > _LONGEST_PAUSE else "the server has forgotten what it told just now"
        except Exception as error:  # whatever it is, the other Secrets are to be seen
            words = _words(error)
        if clock() - began > _LONGEST_PAUSE:  # it went well for a while
            pause = _PAUSE
        if words:
            logger.warning("Secrets: %s; listing again in %.0f s", words, pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)


async def _list(kube: KubeClient, controller: Controller, namespace: str) -> str:
    gone = controller.known_secrets(namespace)
    version = ""
    async for page in kube.list_secrets(namespace):
        for item in page["items"] or ():
            gone.discard(_key(item))
            controller.observe_secret(item)
        version = page["metadata"]["resourceVersion"]
        await asyncio.sleep(0)  # between two pages, others have their turn
    for key in gone:
        controller.forget_secret(key, version)
    return version


async def _watch(kube: KubeClient, controller: Controller, namespace: str, version: str) -> str:
    """Follow one watch to its end; returns the resource version to go on from."""
    try:
        async for event in kube.watch_secrets(namespace, version):
            obj = event["object"]
            if event["type"] == "ERROR":
                if obj.get("code") == 410:
                    raise _Expired
                raise KubeError(obj.get("code", 0), obj.get("reason", ""), obj.get("message", ""))
            version = obj["metadata"]["resourceVersion"]
            if event["type"] == "BOOKMARK":
                continue
            if event["type"] == "DELETED":
                controller.forget_secret(_key(obj), version)
            else:
                controller.observe_secret(obj)
    except KubeError as error:
        if error.status == 410:
            raise _Expired from None
        raise
    return version


async def wait_until_listed(kube: KubeClient, controller: Controller, namespaces: tuple[str, ...]) -> None:
    """Return when `controller` has seen every object that there is."""
    for kind in Kind:
        patience = _PAUSE
        while not await _has_seen_all(kube, controller, kind, namespaces, patience):
            patience *= 2


async def _has_seen_all(
    kube: KubeClient, controller: Controller, kind: Kind, namespaces: tuple[str, ...], patience: float
) -> bool:
    """List once, and wait; False if some are not there within `patience` seconds: they may have been deleted since."""
    clock = asyncio.get_running_loop().time
    try:
        missing = await _list_keys(kube, kind, namespaces)
    except Exception as error:
        logger.warning("cannot list: %s", _words(error))
        await asyncio.sleep(_PAUSE)
        return False
    until = clock() + patience
    while missing := missing - controller.known(kind).keys():
        if clock() > until:
            return False
        await asyncio.sleep(0.1)
    return True


async def forget_gone(
    kube: KubeClient, controller: Controller, namespaces: tuple[str, ...], relisted: asyncio.Event
) -> None:
    """Drop what is not there any more, for ever: a watch that began anew shows no deletions that it missed.

    `relisted` says that one has. One of a kind of which nothing is left does not, so that there is a look in any case
    every few minutes.
    """
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SWEEP):
                await relisted.wait()
        relisted.clear()
        try:
            for kind in Kind:
                known = controller.known(kind)
                for key in known.keys() - await _list_keys(kube, kind, namespaces):
                    controller.forget(key, known[key])
        except Exception as error:
            logger.warning("cannot list: %s", _words(error))
            relisted.set()
            await asyncio.sleep(_LONGEST_PAUSE)


async def _list_keys(kube: KubeClient, kind: Kind, namespaces: tuple[str, ...]) -> set[ObjectKey]:
    return {
        ObjectKey(kind, item["metadata"].get("namespace", ""), item["metadata"]["name"])
        for namespace in (("",) if kind is Kind.CLUSTER_ISSUER else namespaces or ("",))
        async for item in kube.list_metadata(kind, namespace)
    }


def _words(error: Exception) -> str:
    """What the API server, or the way to it, said; of any other error only where it is from."""
    return str(error) if isinstance(error, KubeError | Unreachable) else where(error)


def _key(obj: Raw) -> SecretKey:
    return SecretKey(obj["metadata"]["namespace"], obj["metadata"]["name"])
