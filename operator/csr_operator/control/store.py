"""What the watches showed of requests and Secrets, and who depends on what."""

from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from csr_operator.api.keys import ObjectKey, SecretKey, is_newer
from csr_operator.api.request import CertificateRequest, RequestStatus
from csr_operator.api.secrets import SecretMeta, Staged
from csr_operator.api.shards import shard_of
from csr_operator.decisions.ownership import owns, precedence
from csr_operator.issuance.secret_body import staging_key

K = TypeVar("K", ObjectKey, SecretKey)


class Store:
    """changed: called with the key of each request about which there is news."""

    def __init__(self, changed: Callable[[ObjectKey], None]) -> None:
        self._changed = changed
        self._requests: dict[ObjectKey, CertificateRequest] = {}
        self._secrets: dict[SecretKey, SecretMeta] = {}
        self._staged: dict[SecretKey, Staged] = {}
        self._finished: dict[SecretKey, str] = {}  # UIDs of staging Secrets that were deleted, and may still be shown
        # By namespace, as long as there are requests: how many, and the newest version that a watch of Secrets showed.
        self._counts: Counter[str] = Counter()
        self._shown: dict[str, str] = {}
        self._by_issuer: defaultdict[ObjectKey, set[ObjectKey]] = defaultdict(set)
        self._by_secret: defaultdict[SecretKey, set[ObjectKey]] = defaultdict(set)
        self._by_uid: dict[str, ObjectKey] = {}
        self._at_work: dict[SecretKey, CertificateRequest] = {}
        self._bereft: set[str] = set()  # UIDs of requests of which a Secret went
        self._releasing: set[str] = set()  # UIDs of requests that are let go, and then their Secrets

    # Requests.

    def request(self, key: ObjectKey) -> CertificateRequest | None:
        """The request as it was last seen; None if there is none."""
        return self._requests.get(key)

    def requests(self) -> Iterable[CertificateRequest]:
        """All requests there are."""
        return self._requests.values()

    def uids(self) -> Iterator[tuple[ObjectKey, str]]:
        """Of all requests, by key."""
        return ((key, request.uid) for key, request in self._requests.items())

    def dependents(self, issuer: ObjectKey) -> Iterable[ObjectKey]:
        """The requests that name `issuer`."""
        return self._by_issuer.get(issuer, ())

    def namesakes(self, issuer: ObjectKey) -> list[ObjectKey]:
        """The issuers of its name and of the other kind that requests name, whether there are such or not."""
        return [key for key in self._by_issuer if key.name == issuer.name and key.kind is not issuer.kind]

    def has_seen(self, key: ObjectKey, uid: str, resource_version: str) -> bool:
        """It is known as it was then, or as it is since: this is our own write, or what it overtook."""
        known = self._requests.get(key)
        return known is not None and known.uid == uid and not is_newer(resource_version, known.resource_version)

    def put_request(self, request: CertificateRequest) -> None:
        """File what a watch showed, or what a read of the request found."""
        key = request.key  # one for all: there may be many thousands
        known = self._requests.get(key)
        if known is not None:
            self._unindex(known)
        else:
            self._counts[request.namespace] += 1
        self._requests[key] = request
        self._by_uid[request.uid] = key
        for issuer in request.issuers:
            self._by_issuer[issuer].add(key)
        self._by_secret[request.secret].add(key)
        self._changed(key)

    def wrote_request(self, before: CertificateRequest, resource_version: str, status: RequestStatus) -> None:
        """The operator wrote to `before`, and nothing else of it changed by that."""
        if self._requests.get(before.key) is before:
            self._requests[before.key] = replace(before, resource_version=resource_version, status=status)

    def drop_request(self, key: ObjectKey, uid: str) -> bool:
        """False if the request there is another one, or there is none."""
        known = self._requests.get(key)
        if known is None or known.uid != uid:
            return False
        self._drop(known)
        return True

    def let_go(self, shards: Container[int]) -> list[CertificateRequest]:
        """Forget, and tell nobody, what is in these; returns the requests among it."""
        requests = [request for request in self._requests.values() if request.shard in shards]
        for request in requests:
            self._drop(request)
        for key in [key for key in self._secrets if shard_of(*key) in shards]:
            del self._secrets[key]
        for key in [key for key, staged in self._staged.items() if staged.shard in shards]:
            del self._staged[key]
        return requests

    def knows(self, uid: str) -> bool:
        """The request with this UID is there."""
        return uid in self._by_uid

    def is_bereft(self, request: CertificateRequest) -> bool:
        """A Secret of it was there, and went: as it does when its request is deleted."""
        return request.uid in self._bereft

    @contextmanager
    def releasing(self, request: CertificateRequest) -> Iterator[None]:
        """While it is let go, and then its Secret: in between it is gone, and the Secret is not left behind."""
        self._releasing.add(request.uid)
        try:
            yield
        finally:
            self._releasing.discard(request.uid)

    def releases(self, uid: str) -> bool:
        """The request with this UID is being let go, or just went."""
        return uid in self._releasing

    def rival(self, request: CertificateRequest) -> str:
        """The name of another request for the same Secret that comes first. Empty if there is none.

        That is the one that is at it already, and else the first by `precedence`.
        """
        if not request.spec.secret_name:
            return ""
        first = self._at_work.get(request.secret)
        if first is None:
            keys = self._by_secret.get(request.secret, set())
            if len(keys) < 2:
                return ""
            secret = self._secrets.get(request.secret)
            first = min((self._requests[key] for key in keys), key=lambda r: precedence(r, secret))
        return "" if first.uid == request.uid else first.name

    def of_secret(self, key: SecretKey) -> list[CertificateRequest]:
        """Those that name this Secret as theirs."""
        return [self._requests[request] for request in self._by_secret.get(key, ())]

    def begin(self, request: CertificateRequest) -> None:
        """Until `end`, the Secret is being written for `request`, and for no other.

        To be called right after the decision: whatever is decided later has to know of it.
        """
        self._at_work[request.secret] = request

    def end(self, request: CertificateRequest) -> None:
        """What `begin` began is done: others that want the same Secret are decided about anew."""
        del self._at_work[request.secret]
        for rival in self._by_secret.get(request.secret, set()) - {request.key}:
            self._changed(rival)

    def _drop(self, request: CertificateRequest) -> None:
        del self._requests[request.key]
        self._unindex(request)
        self._bereft.discard(request.uid)
        self._counts[request.namespace] -= 1
        if not self._counts[request.namespace]:
            del self._counts[request.namespace]
            self._shown.pop(request.namespace, None)

    def _unindex(self, request: CertificateRequest) -> None:
        self._by_uid.pop(request.uid, None)
        for issuer in request.issuers:
            _discard(self._by_issuer, issuer, request.key)
        _discard(self._by_secret, request.secret, request.key)
        for rival in self._by_secret.get(request.secret, ()):
            self._changed(rival)

    # Secrets.

    def secret(self, request: CertificateRequest) -> SecretMeta | None:
        """The Secret of the name that `request` wants, whosever it is."""
        return self._secrets.get(request.secret)

    def own_secret(self, request: CertificateRequest) -> SecretMeta | None:
        """The Secret that `request` wants, if it is its owner."""
        secret = self._secrets.get(request.secret)
        return secret if secret is not None and owns(request, secret) else None

    def staged(self, request: CertificateRequest) -> Staged | None:
        """The order under way. A Secret of another name is none, whatever it says."""
        staged = self._staged.get(staging_key(request))
        return staged if staged is not None and staged.owner_uid == request.uid else None

    def staged_at(self, key: SecretKey) -> Staged | None:
        """The order under way that this Secret holds."""
        return self._staged.get(key)

    def secret_at(self, key: SecretKey) -> SecretMeta | None:
        """This Secret, whosever it is."""
        return self._secrets.get(key)

    def abandon(self, staged: Staged, now: str) -> None:
        """It is to go, and stays until its order was taken back."""
        known = self._staged.get(staged.key)
        if known is not None and known.uid == staged.uid and not known.deleted:
            self._staged[staged.key] = replace(known, deleted=now)
            self._tell(staged.key)

    def secret_keys(self, namespace: str) -> set[SecretKey]:
        """Those in `namespace`; empty: all."""
        # Of one that was deleted the end may not be shown, if a list came in between.
        known = (*self._secrets, *self._staged, *self._finished)
        return {key for key in known if namespace in ("", key.namespace)}

    def saw_secret(self, meta: SecretMeta | Staged) -> None:
        """A list or a watch shows it."""
        self._saw(meta.key, meta.resource_version)
        self.put_secret(meta)

    def saw_no_secret(self, key: SecretKey, resource_version: str) -> None:
        """A list or a watch shows that it is gone since then."""
        self._saw(key, resource_version)
        known = self._known(key)
        self._finished.pop(key, None)
        if known is None or not is_newer(known.resource_version, resource_version):
            self.drop_secret(key)

    def wrote_secret(self, meta: SecretMeta | Staged) -> None:
        """A write was answered with it; if the watch is further than that and shows none, it is gone by now.

        Where there are no requests any more, the watch alone says what is there.
        """
        shown = self._shown.get(meta.namespace, "0")
        is_news = meta.namespace in self._counts and is_newer(meta.resource_version, shown)
        if self._known(meta.key) is not None or is_news:
            self.put_secret(meta)

    def put_secret(self, meta: SecretMeta | Staged) -> bool:
        """False if nothing is new about it."""
        if self._finished.get(meta.key) == meta.uid:
            return False
        known = self._staged.get(meta.key) if isinstance(meta, Staged) else self._secrets.get(meta.key)
        if known is not None and not is_newer(meta.resource_version, known.resource_version):
            return False  # our own write, or what it overtook
        if isinstance(meta, Staged):
            self._staged[meta.key] = meta
        else:
            self._secrets[meta.key] = meta
        self._tell(meta.key)
        return True

    def drop_secret(self, key: SecretKey) -> None:
        """It is gone: a certificate's, or an order's."""
        known = self._known(key)
        if known is not None and known.owner_uid in self._by_uid:
            self._bereft.add(known.owner_uid)
        self._secrets.pop(key, None)
        self._tell(key)
        self._staged.pop(key, None)

    def finish(self, staged: Staged) -> None:
        """The operator deleted it, and it is gone. One that was made anew since under its name stays."""
        known, shown = self._staged.get(staged.key), self._shown.get(staged.namespace, "0")
        if (known is not None and known.uid == staged.uid) or is_newer(staged.resource_version, shown):
            self._finished[staged.key] = staged.uid  # the watch is still to show it, or its end
        self.drop_staged(staged)

    def drop_staged(self, staged: Staged) -> None:
        """The operator deleted it."""
        known = self._staged.get(staged.key)
        if known is not None and known.uid == staged.uid:
            self._tell(staged.key)
            del self._staged[staged.key]

    def spoil(self, secret: SecretMeta) -> None:
        """What is in it does not serve any more."""
        self._secrets[secret.key] = replace(secret, beyond_repair=True)

    def _known(self, key: SecretKey) -> SecretMeta | Staged | None:
        return self._secrets.get(key) or self._staged.get(key)

    def _saw(self, key: SecretKey, resource_version: str) -> None:
        if key.namespace in self._counts and is_newer(resource_version, self._shown.get(key.namespace, "0")):
            self._shown[key.namespace] = resource_version

    def _tell(self, key: SecretKey) -> None:
        for request in self._by_secret.get(key, ()):
            self._changed(request)
        staged = self._staged.get(key)
        if staged is not None and staged.owner_uid in self._by_uid:
            self._changed(self._by_uid[staged.owner_uid])


def _discard(index: defaultdict[K, set[ObjectKey]], where: K, key: ObjectKey) -> None:
    members = index.get(where)
    if members is not None:
        members.discard(key)
        if not members:
            del index[where]
