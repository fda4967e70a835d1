"""Issuers and ClusterIssuers: checked at intervals, and whenever something is new about them."""

from collections.abc import Callable, Mapping
from datetime import timedelta

from csr_operator.api.issuer import Issuer
from csr_operator.api.keys import IssuerKind, ObjectKey, Raw
from csr_operator.api.parse_issuer import parse_issuer

from .filing import Filing
from .issuers import Issuers
from .journal import Journal
from .reconciler import Aside, Done, Gone, Key, Retry
from .slots import Slots


class IssuerReconciler:
    """Of one of the two kinds. interval: between two checks. wake: called with the issuer that is to be checked."""

    def __init__(
        self,
        kind: IssuerKind,
        issuers: Issuers,
        slots: Slots,
        journal: Journal,
        interval: timedelta,
        wake: Callable[[Key], None],
    ) -> None:
        self._kind, self._issuers, self._slots, self._interval, self._wake = kind, issuers, slots, interval, wake
        self.filing: Filing[Issuer] = Filing(parse_issuer, self._file, journal)

    def observe(self, obj: Raw) -> None:
        """One is there, or has changed."""
        metadata = obj["metadata"]
        self.filing.observe(ObjectKey(self._kind, metadata.get("namespace", ""), metadata["name"]), obj)

    def _file(self, issuer: Issuer) -> None:
        if self._issuers.observe(issuer):
            self._wake(issuer.key)

    def forget(self, key: Key, uid: str, resource_version: str) -> None:
        """It is gone."""
        assert isinstance(key, ObjectKey)
        self.filing.forget(key, lambda: self._forget(key, uid))

    def _forget(self, key: ObjectKey, uid: str) -> None:
        if self._issuers.forget(key, uid):
            self._slots.forget(key)
            self._wake(key)

    def shard(self, key: Key) -> None:
        """Each replica has to know how each issuer is; `Issuers` tells who writes its status."""

    def known(self, namespace: str) -> Mapping[Key, str]:
        """All of this kind."""
        return self.filing.known(((key, uid) for key, uid in self._issuers.uids() if key.kind is self._kind), namespace)

    async def reconcile(self, key: Key) -> Aside | Gone:
        """Check it."""
        assert isinstance(key, ObjectKey)
        return Aside(self._check(key)) if self._issuers.get(key) is not None else Gone()

    async def _check(self, key: ObjectKey) -> Done | Retry:
        return Done(self._interval) if await self._issuers.check(key) else Retry()
