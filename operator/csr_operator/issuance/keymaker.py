"""Makes the private keys that take long, in threads, before a CA is asked for anything."""

import asyncio
import os
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from csr_operator.api.keys import ObjectKey
from csr_operator.api.request import CertificateRequest
from csr_operator.pki.keys import KeyAlgorithm, KeyParameters, PrivateKey, generate
from csr_operator.plugin.turns import Turns

_AHEAD = 4
"""So many keys at most are made, or lie ready, for one namespace's requests to one issuer: more when those are used."""

_SLOW_BITS = 4096
"""RSA keys beyond this size take many seconds, up to minutes: they have one thread of their own, and no other."""

_Group = tuple[str, ObjectKey]  # a namespace, and the issuer that is to sign


def takes_long(parameters: KeyParameters) -> bool:
    """To make such a key takes tens of milliseconds or more; any other takes less than one."""
    return parameters.algorithm is KeyAlgorithm.RSA


@dataclass(slots=True)
class _Wish:
    """since: by the loop's clock. begun: it was its turn. outcome: None until it is made."""

    uid: str
    parameters: KeyParameters
    group: _Group
    since: float = field(compare=False)
    begun: bool = field(default=False, compare=False)
    outcome: PrivateKey | Exception | None = field(default=None, repr=False, compare=False)


class _Pool:
    """So many threads at once.

    lines: who waits, by group. ahead: by group, the keys that are being made or lie ready. turns: the groups that may
    have one more made.
    """

    def __init__(self, threads: int) -> None:
        self.free = threads
        self.lines: dict[_Group, OrderedDict[ObjectKey, None]] = {}
        self.ahead: Counter[_Group] = Counter()
        self.turns: Turns[_Group] = Turns()

    def line_up(self, group: _Group) -> None:
        namespace, _ = group
        if not self.lines.get(group):
            self.lines.pop(group, None)
            self.turns.discard(namespace, group)
        elif self.ahead[group] < _AHEAD:
            self.turns.add(namespace, group)
        if not self.ahead[group]:
            del self.ahead[group]


class KeyMaker:
    """Namespaces come in turn. made: called with each request whose key is there, and which has to `get` it then.

    A key lies in memory, and nowhere else, until it is dropped.
    """

    def __init__(self, made: Callable[[ObjectKey], None]) -> None:
        self._made = made
        self._wishes: dict[ObjectKey, _Wish] = {}
        self._quick, self._slow = _Pool(os.cpu_count() or 1), _Pool(1)

    def get(self, request: CertificateRequest, issuer: ObjectKey) -> PrivateKey | None:
        """The key that `request` asks for, the same until it is dropped; None if it is still to be made."""
        now = asyncio.get_running_loop().time()
        wanted = _Wish(request.uid, request.spec.private_key.parameters, (request.namespace, issuer), now)
        wish = self._wishes.get(request.key)
        if wish is None or wish != wanted:
            self.drop(request.key)
            self._line_up(request.key, wanted)
            return None
        if isinstance(wish.outcome, Exception):
            self.drop(request.key)
            raise wish.outcome
        return wish.outcome

    def drop(self, request: ObjectKey) -> None:
        """Its key is used, or not wanted any more."""
        wish = self._wishes.pop(request, None)
        if wish is None:
            return
        pool = self._pool(wish)
        if wish.begun:
            pool.ahead[wish.group] -= 1
        else:
            del pool.lines[wish.group][request]
        pool.line_up(wish.group)
        self._start(pool)

    def __contains__(self, request: ObjectKey) -> bool:
        """It has a key, or waits for one."""
        return request in self._wishes

    def waited(self, request: ObjectKey) -> float:
        """For so many seconds; 0 if it does not wait."""
        wish = self._wishes.get(request)
        return 0.0 if wish is None else asyncio.get_running_loop().time() - wish.since

    def _pool(self, wish: _Wish) -> _Pool:
        return self._slow if (wish.parameters.size or 0) > _SLOW_BITS else self._quick

    def _line_up(self, request: ObjectKey, wish: _Wish) -> None:
        pool = self._pool(wish)
        self._wishes[request] = wish
        pool.lines.setdefault(wish.group, OrderedDict())[request] = None
        pool.line_up(wish.group)
        self._start(pool)

    def _start(self, pool: _Pool) -> None:
        while pool.free and (group := pool.turns.pop()) is not None:
            request, _ = pool.lines[group].popitem(last=False)
            wish = self._wishes[request]
            wish.begun = True
            pool.free -= 1
            pool.ahead[group] += 1
            pool.line_up(group)
            # A daemon, so that the process does not wait at its end for a key that nobody will use.
            arguments = (asyncio.get_running_loop(), request, wish)
            threading.Thread(target=self._make, args=arguments, name="keys", daemon=True).start()

    def _make(self, loop: asyncio.AbstractEventLoop, request: ObjectKey, wish: _Wish) -> None:
        outcome: PrivateKey | Exception
        try:
            outcome = generate(wish.parameters)
        except Exception as error:  # whoever asks for the key is told
            outcome = error
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(self._done, request, wish, outcome)

    def _done(self, request: ObjectKey, wish: _Wish, outcome: PrivateKey | Exception) -> None:
        wish.outcome = outcome
        pool = self._pool(wish)
        pool.free += 1
        self._start(pool)
        if self._wishes.get(request) is wish:
            self._made(request)
