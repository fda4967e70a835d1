"""The operator's own Secrets: filed for their requests, and let go when there is none any more."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from csr_operator.api.keys import Kind, ObjectKey, Raw, SecretKey, issuer_key
from csr_operator.api.parse_secret import parse_secret_meta, parse_staged, shard_of_secret
from csr_operator.api.seal import Seal
from csr_operator.api.secrets import Staged
from csr_operator.api.shards import shard_of
from csr_operator.api.times import parse_time
from csr_operator.decisions.ownership import owns
from csr_operator.issuance.failures import Failed
from csr_operator.issuance.revocation import Revoker
from csr_operator.issuance.staging import Staging
from csr_operator.kube.custom_objects import CustomObjects

from .issuers import Issuers
from .reconciler import Aside, Done, Key, Retry
from .scope import Scope
from .store import Store
from .strange_secrets import parse_or_set_aside

logger = logging.getLogger(__name__)

_GIVE_UP = timedelta(hours=1)
"""How long a namespace may be kept from going because a CA, or a DNS server, does not take an order back."""


class SecretReconciler:
    """calls: how many orders are taken back at the same time. wake: called with what is to be looked at. clock: the
    time now, in UTC."""

    def __init__(
        self,
        objects: CustomObjects,
        staging: Staging,
        revoker: Revoker,
        store: Store,
        issuers: Issuers,
        scope: Scope,
        seal: Seal,
        calls: asyncio.Semaphore,
        wake: Callable[[Key], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._objects, self._staging, self._revoker = objects, staging, revoker
        self._store, self._issuers, self._scope = store, issuers, scope
        self._seal, self._calls, self._wake, self._clock = seal, calls, wake, clock

    def observe(self, obj: Raw) -> None:
        """The metadata of one that is there, or has changed."""
        metadata = obj["metadata"]
        key = SecretKey(metadata["namespace"], metadata["name"])
        if not self._is_ours(obj):
            self._wake_readers(key)
            return
        meta = parse_or_set_aside(obj, lambda: parse_staged(obj, self._seal) or parse_secret_meta(obj, self._seal))
        self._store.saw_secret(meta)
        if isinstance(meta, Staged):
            if (meta.deleted and meta.leaves_traces) or not self._store.knows(meta.owner_uid):
                self._wake(key)
        elif meta.deleted and meta.guarded:
            self._wake(key)
        self._wake_readers(key)

    def forget(self, key: Key, uid: str, resource_version: str) -> None:
        """It is gone, or no longer the operator's, since that resource version."""
        assert isinstance(key, SecretKey)
        self._store.saw_no_secret(key, resource_version)
        self._wake_readers(key)

    def _wake_readers(self, secret: SecretKey) -> None:
        for issuer in self._issuers.readers(secret):
            self._wake(issuer)

    def _is_ours(self, obj: Raw) -> bool:
        """This replica works on its request: asked before anything else is read, as most are others'. An order that
        does not say whose it is is filed by all."""
        shard = shard_of_secret(obj)
        return shard is None or shard in self._scope

    def shard(self, key: Key) -> int:
        """That of the request; of an order whose request is not known here, that of its own name."""
        assert isinstance(key, SecretKey)
        staged = self._store.staged_at(key)
        if staged is None:
            return shard_of(*key)
        return staged.shard if staged.shard is not None else shard_of(*key)

    def known(self, namespace: str) -> Mapping[Key, str]:
        """They are not told apart by UIDs."""
        return dict.fromkeys(self._store.secret_keys(namespace), "")

    async def reconcile(self, key: Key) -> Aside:
        """See to one that is to go, or that nobody needs."""
        assert isinstance(key, SecretKey)
        return Aside(self._reconcile(key))

    async def _reconcile(self, key: SecretKey) -> Done | Retry:
        staged = self._store.staged_at(key)
        if staged is None:
            return await self._let_go(key)
        if staged.deleted:
            return await self._take_back(staged)
        if staged.authentic and await self._is_bereft(staged):
            # Kubernetes deletes it later, or never; then its order is taken back.
            await self._staging.discard(staged)
        return Done()

    async def _take_back(self, staged: Staged) -> Done | Retry:
        """Take an order back whose staging Secret is to go, for whatever reason, and let the Secret go."""
        issuer = issuer_key(staged.namespace, staged.issuer) if staged.authentic else None
        live = self._issuers.get(issuer) if issuer is not None else None
        try:
            if live is not None and live.backend is not None:
                async with self._calls:
                    await self._staging.abandon(staged, live.ca)
        except Failed as failed:
            if not failed.permanent and self._clock() - parse_time(staged.deleted) < _GIVE_UP:
                return Retry(failed.after, f"the order is not taken back yet: {failed.message}")
            logger.warning("%s: the order of %s is not taken back: %s", staged.name, staged.issuer, failed.message)
        await self._staging.release(staged)
        self._store.finish(staged)
        return Done()

    async def _is_bereft(self, staged: Staged) -> bool:
        """The request of an order is gone."""
        if self._store.knows(staged.owner_uid):
            return False
        if not staged.owner:
            return True
        # It may be one that another operator works on, and that the watch is about to show.
        there = await self._objects.get(ObjectKey(Kind.CERTIFICATE_REQUEST, staged.namespace, staged.owner))
        return there is None or there["metadata"]["uid"] != staged.owner_uid

    async def _let_go(self, key: SecretKey) -> Done | Retry:
        """Let a Secret go that was deleted, and that waits for a request which is gone itself."""
        secret = self._store.secret_at(key)
        if secret is None or not secret.deleted or not secret.guarded or self._store.knows(secret.owner_uid):
            return Done()
        if self._store.releases(secret.owner_uid):
            return Retry()  # whoever let its request go has not come to the Secret yet
        kind, _, name = secret.owner.partition(" ")
        if kind == Kind.CERTIFICATE_REQUEST:
            there = await self._objects.get(ObjectKey(Kind.CERTIFICATE_REQUEST, key.namespace, name))
            if there is not None and there["metadata"]["uid"] == secret.owner_uid:
                return Retry()  # the watch is about to show it
        elif any(owns(request, secret) for request in self._store.of_secret(key)):
            return Done()
        if await self._revoker.guard(secret, guarded=False) is not None:  # and not gone, as the watch is about to show
            text = "Secret %s/%s: its request is gone, so that it was let go: what was not revoked before stays valid"
            logger.warning(text, *key)
        return Done()
