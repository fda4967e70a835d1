"""Places orders: a new one, a renewal or a replacement; and finds one that was placed before.

Which of the account's orders is which of ours is written into their comments. A renewal and a replacement take none
along: for these, what else shows has to do.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from csr_operator.pki.chain import load_bundle
from csr_operator.pki.errors import PkiError
from csr_operator.pki.fingerprint import sha256_fingerprint
from csr_operator.pki.signatures import issued_by
from csr_operator.plugin.backend import Order
from csr_operator.plugin.errors import BackendError, Misconfigured, Retryable
from csr_operator.plugin.recent import Recent

from .account import Choice
from .client import Client
from .names import (
    common_name,
    day,
    leaf_for,
    names_in,
    names_of,
    names_of_certificate,
    parse_reference,
    serial_of,
    subject_alternative_names,
)
from .order_states import State, ids_in, state_of
from .refusals import NOT_FOLLOWED, Refusal, is_final, judge
from .settings import Following, Settings
from .waiting import OrderKind

_MARK = "csr-operator:"
_MOST_COMMENTS = 1024
_MOST_LISTED, _MOST_LOOKED_AT = 2000, 50
_SETTLE = timedelta(minutes=1)
"""How long an order that was placed may still be on its way into the lists."""


class Orders:
    """All methods raise Retryable and Misconfigured; Refusal only where they say so."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client, self._settings = client, settings
        self._without: Recent[str, None] = Recent()  # keys that have no order, as far as is known
        # Keys for which something may have been ordered, and at the latest when.
        self._tried: Recent[str, datetime] = Recent()

    async def place(self, order: Order, choice: Choice, term: int, now: datetime) -> tuple[OrderKind, int]:
        """The order's ID; of a replacement, that of the certificate to be replaced. Raises Rejected as well."""
        self._without.pop(order.key, None)
        self._tried[order.key] = now
        try:
            placed = await self._place(order, choice, term, now)
        except Refusal as refusal:
            if is_final(refusal):
                self.give_up(order.key)
            raise judge(refusal) from None
        except Misconfigured:
            self.give_up(order.key)
            raise
        self._tried.pop(order.key, None)
        return placed

    def give_up(self, key: str) -> None:
        """There is no order for this key that could be found."""
        self._without[key] = None
        self._tried.pop(key, None)

    async def _place(self, order: Order, choice: Choice, term: int, now: datetime) -> tuple[OrderKind, int]:
        """Raises Refusal."""
        earlier = parse_reference(order.replaces)
        if earlier is not None and self._settings.following is not Following.ENROLL:
            followed = await self._follow(order, earlier[0], choice, term, now)
            if followed is not None:
                return followed
        return OrderKind.ENROLL, await self._placed("/ssl/v1/enroll", self._enrolment(order, choice, term))

    async def find(self, order: Order, now: datetime) -> tuple[OrderKind, int] | None:
        """The order that was placed before for this key, if it can be told; None not before it must show."""
        if order.key in self._without:
            return None
        try:
            placed = await self._find(order)
        except Refusal as refusal:
            raise judge(refusal) from None
        left = _SETTLE - (now - self._tried.setdefault(order.key, now))
        if placed is None and left > timedelta(0):
            raise Retryable("it may have been ordered a moment ago: it is looked for at Sectigo again", left)
        if placed is not None:
            self._tried.pop(order.key, None)
        return placed

    async def _find(self, order: Order) -> tuple[OrderKind, int] | None:
        """Raises Refusal."""
        candidates = []
        async for ssl_id, details in self.namesakes(order.csr):
            if is_marked(details, order.key):
                return None if _is_over(details) else (OrderKind.ENROLL, ssl_id)
            candidates.append((ssl_id, details))
        earlier = parse_reference(order.replaces)
        if earlier is not None and self._settings.following is not Following.ENROLL:
            return await self._find_follower(order, earlier[0], candidates)
        return None

    async def details(self, ssl_id: int) -> dict[str, Any]:
        """GET /ssl/v1/{sslId}. Raises Refusal."""
        details = await self._client.get(f"/ssl/v1/{ssl_id}")
        if not isinstance(details, dict):
            raise Retryable(f"Sectigo's answer about SSL certificate {ssl_id} is not as documented")
        return details

    async def collect(self, ssl_id: int) -> bytes:
        """The certificate with its chain. Raises Refusal."""
        return (await self._client.call("GET", f"/ssl/v1/collect/{ssl_id}", query={"format": "x509"})).body

    async def namesakes(
        self, csr: x509.CertificateSigningRequest, after: int = 0
    ) -> AsyncIterator[tuple[int, dict[str, Any]]]:
        """IDs above `after`, and details, of what has the common name of the CSR, or else its first alternative name.

        The latest come first, and there are at most 50. Raises Refusal.
        """
        name = common_name(csr)
        query = {"commonName": name} if name else {"subjectAlternativeName": subject_alternative_names(csr)[0]}
        ids: set[int] = set()
        for position in range(0, _MOST_LISTED, 200):
            page = ids_in(await self._client.get("/ssl/v1", {**query, "size": "200", "position": str(position)}))
            ids |= set(page)
            if len(page) < 200:
                break
        latest = sorted((ssl_id for ssl_id in ids if ssl_id > after), reverse=True)[:_MOST_LOOKED_AT]
        for ssl_id in latest:
            yield ssl_id, await self.details(ssl_id)

    def _enrolment(self, order: Order, choice: Choice, term: int) -> dict[str, Any]:
        settings = self._settings
        body: dict[str, Any] = {
            "orgId": choice.organization,
            "csr": _pem(order.csr),
            "certType": choice.profile,
            "term": term,
            "comments": self._comments(order.key),
            **settings.dcv,
        }
        if names := subject_alternative_names(order.csr):
            body["subjAltNames"] = ",".join(names)
        if settings.external_requesters:
            body["externalRequester"] = ", ".join(settings.external_requesters)
        if settings.custom_fields:
            body["customFields"] = [{"name": name, "value": value} for name, value in settings.custom_fields]
        return body

    async def _follow(
        self, order: Order, earlier: int, choice: Choice, term: int, now: datetime
    ) -> tuple[OrderKind, int] | None:
        """None if the earlier certificate is not to be followed, and nothing was ordered. Raises Refusal."""
        try:
            details = await self.details(earlier)
            if not _is_like(details, choice) or state_of(details.get("status")) is not State.ISSUED:
                return None
            if not await self._is_the_one(earlier, order):
                return None
            if self._settings.following is Following.REPLACE:
                ends = day(details.get("expires"))
                if ends is None or ends - now < order.duration / 2:
                    return None  # what replaces it ends when it does
                await self._client.call("POST", f"/ssl/v1/replace/{earlier}", body=self._replacement(order))
                return OrderKind.REPLACE, earlier
            if details.get("term") != term or names_in(details) != names_of(order.csr):
                return None  # a renewal has the names and the term of the one before it
            new = await self._placed(f"/ssl/v1/renewById/{earlier}", {"csr": _pem(order.csr), **self._settings.dcv})
        except Refusal as refusal:
            if refusal.is_one_of(*NOT_FOLLOWED) or refusal.status == 404:
                return None
            raise
        await self._mark(new, order.key)
        return OrderKind.RENEW, new

    async def _is_the_one(self, earlier: int, order: Order) -> bool:
        """Whether an ID is that of the certificate that the order follows, and all its names are still wanted: a
        replacement takes it from whoever has it. Raises Refusal.
        """
        try:
            leaf = load_bundle(await self.collect(earlier))[0]
            return sha256_fingerprint(leaf) == order.replaces_fingerprint and (
                names_of_certificate(leaf) <= names_of(order.csr)
            )
        except (PkiError, IndexError):
            return False

    async def same(self, certificate: x509.Certificate) -> int | None:
        """The ID of what has the serial number of this certificate, and is it. Raises Refusal.

        What was replaced may be known by another's ID: then it is enough that Sectigo's CA has signed it.
        """
        listed = ids_in(await self._client.get("/ssl/v1", {"serialNumber": serial_of(certificate), "size": "10"}))
        for ssl_id in listed[:10]:
            if state_of((await self.details(ssl_id)).get("status")) is State.REVOKED:
                return ssl_id  # and cannot be collected any more
            try:
                chain = load_bundle(await self.collect(ssl_id))
            except PkiError:
                continue
            same = any(sha256_fingerprint(member) == sha256_fingerprint(certificate) for member in chain)
            if same or any(issued_by(certificate, ca) for ca in chain[1:]):
                return ssl_id
        return None

    async def _placed(self, path: str, body: Any) -> int:
        try:
            answer = (await self._client.call("POST", path, body=body)).json()
            return ids_in([answer])[0]
        except (KeyError, TypeError, ValueError):
            raise Retryable("Sectigo's answer to the order is not as documented", _SETTLE) from None
        except Retryable as error:
            raise Retryable(str(error), max(error.after, _SETTLE)) from None

    async def is_ours(self, kind: OrderKind, ssl_id: int, order: Order) -> bool:
        """Whether an order can be this one. Raises Refusal.

        An administrator may have changed the comments, and a renewal may not have been marked: then the names tell,
        and at last the key in the certificate.
        """
        if kind is OrderKind.REPLACE:
            earlier = parse_reference(order.replaces)
            return earlier is not None and earlier[0] == ssl_id
        details = await self.details(ssl_id)
        if is_marked(details, order.key):
            return True
        comments = str(details.get("comments") or "")
        return _MARK not in comments and names_in(details) == names_of(order.csr)

    async def _mark(self, ssl_id: int, key: str) -> None:
        with suppress(
            Refusal, BackendError
        ):  # it is ordered, and its ID about to be kept: the mark helps if that fails
            await self._client.call("PUT", "/ssl/v1", body={"sslId": ssl_id, "comments": self._comments(key)})

    def _replacement(self, order: Order) -> dict[str, Any]:
        name = common_name(order.csr)
        return {
            "csr": _pem(order.csr),
            "reason": f"asked for by {_marker(order.key)}",
            "subjectAlternativeNames": subject_alternative_names(order.csr),
            **({"commonName": name} if name else {}),
            **self._settings.dcv,
        }

    def _comments(self, key: str) -> str:
        mark = _marker(key)
        return f"{self._settings.comments[: _MOST_COMMENTS - len(mark) - 1]} {mark}".strip()

    async def _find_follower(
        self, order: Order, earlier: int, candidates: Sequence[tuple[int, dict[str, Any]]]
    ) -> tuple[OrderKind, int] | None:
        """A renewal that was not marked, or a replacement. Raises Refusal."""
        before = await self.details(earlier)
        if self._settings.following is Following.REPLACE:
            replaced = before.get("replaced") or state_of(before.get("status")) is State.REPLACED
            return (OrderKind.REPLACE, earlier) if replaced else None
        if not before.get("renewed"):
            return None
        for ssl_id, details in candidates:
            comments = str(details.get("comments") or "")
            if (
                ssl_id > earlier
                and not _is_over(details)
                # It may have the comments of the one before it; with others of ours it is another order.
                and (_MARK not in comments or comments == str(before.get("comments")))
                and names_in(details) == names_of(order.csr)
                and await self._may_be_for(ssl_id, details, order.csr)
            ):
                return OrderKind.RENEW, ssl_id
        return None

    async def _may_be_for(self, ssl_id: int, details: dict[str, Any], csr: x509.CertificateSigningRequest) -> bool:
        """Only the certificate shows whose key an order is for."""
        if state_of(details.get("status")) is not State.ISSUED:
            return True
        try:
            return leaf_for(await self.collect(ssl_id), csr) is not None
        except Refusal:
            return True


def _marker(key: str) -> str:
    return f"{_MARK}{key[:40]}"


def is_marked(details: Mapping[str, Any], key: str) -> bool:
    """Whether an order says that it is that of `key`."""
    return _marker(key) in str(details.get("comments"))


def _is_like(details: dict[str, Any], choice: Choice) -> bool:
    profile = details.get("certType")
    return isinstance(profile, dict) and (profile.get("id"), details.get("orgId")) == (
        choice.profile,
        choice.organization,
    )


def _is_over(details: dict[str, Any]) -> bool:
    return state_of(details.get("status")) is State.EXPIRED


def _pem(csr: x509.CertificateSigningRequest) -> str:
    return csr.public_bytes(Encoding.PEM).decode()
