"""`digicert`: CertCentral by its Services API v2 (dev.digicert.com, Services API).

An order carries its key as `alternative_order_id`, by which it is found again after a crash. DigiCert does not keep two
orders from having the same, and does not say how soon an order is found by it: an order whose answer was lost is looked
up once, before another is placed. A reissue has no such field and is found by its CSR.

A handle or a reference only says where to look. Whether an order is the one that was placed, and whether a certificate
is the one that is meant, is seen at DigiCert before anything is done to either.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from cryptography import x509

from csr_operator.api.reading import read_flag
from csr_operator.backends.public_cas import CERTCENTRAL_PRODUCTS, DIGICERT, find_refusal
from csr_operator.pki.chain import load_bundle
from csr_operator.pki.csr import load_csr
from csr_operator.pki.fingerprint import serial_octets, sha256_fingerprint
from csr_operator.pki.keys import parameters_of, public_key_der
from csr_operator.pki.signatures import issued_by
from csr_operator.plugin.backend import Backend, Health, Issued, Order, Pending, Traits
from csr_operator.plugin.context import Context
from csr_operator.plugin.errors import Lapsed, Misconfigured, Rejected, Retryable
from csr_operator.plugin.recent import Recent
from csr_operator.plugin.schedule import last_multiple
from csr_operator.plugin.shape import published_form
from csr_operator.plugin.text import redact

from .account import AccountCheck
from .answers import DEAD, number_of, to_dead_order_error, to_issued
from .changes import WAITING, Changes, interval
from .client import Client, Refused
from .dcv import METHOD, Dcv
from .handle import GOOD_FOR, TOKEN_METHODS, Handle, Proof, records_of
from .order_body import alternative_id, holds_all_names, must_be_for_tls, names_of, order_body, reissue_body

DEFAULT_URL = "https://www.digicert.com/services/v2"
_REASONS = frozenset({"keyCompromise", "affiliationChanged", "superseded", "cessationOfOperation"})
_MUCH_LATER = timedelta(hours=1)
_HURRY = timedelta(minutes=30)
_SOON = timedelta(minutes=1)
_LATER = timedelta(minutes=15)
_MOST_REISSUES, _MOST_ORDERS = 1000, 10
_PAYMENT = r"balance|funds|payment"
_ADVICE = {
    r"route|^http status 404": f"spec.digicert.url has to be that of a Services API, such as {DEFAULT_URL}",
    _PAYMENT: "add funds in CertCentral, or set spec.digicert.paymentMethod",
    r"organization": "spec.digicert.organizationId has to be one that DigiCert validated for this product",
    r"container": "set spec.digicert.containerId to a division of the account",
    r"custom.field|metadata": "set spec.digicert.customFields as CertCentral requires them",
    r"validity|expir": "ask for a duration that the product allows, or set spec.digicert.validity",
    r"csr|key": "choose another algorithm or size in privateKey",
    r"domain|dns.name|common.name": "ask for names that the product and the account allow",
    r"product": "set spec.digicert.product to one that the account has",
}


class DigicertBackend(Backend):
    """Issuers of `spec.digicert`: orders, reissues and revocations by the CertCentral API."""

    def __init__(self, config: Mapping[str, Any], context: Context) -> None:
        # With `dns01`, records are left behind; with `cancelPending`, the order itself is not to be.
        self._cancels = read_flag(config, "cancelPending", "spec.digicert")
        read_flag(config, "skipApproval", "spec.digicert")  # DigiCert gets it as it is
        abandons = self._cancels or bool(config.get("dns01"))
        self.traits = Traits(costs=True, revokes=True, abandons=abandons)
        base = config.get("url") or DEFAULT_URL
        self._client = Client(base, "X-DC-DEVKEY", config, context, "spec.digicert", _ADVICE)
        self._config, self._clock = config, context.clock
        self._product = str(config["product"])
        self._changes = Changes(self._client, context.clock)
        self._dcv = Dcv(config["dns01"], context) if config.get("dns01") else None
        self._proofs: Recent[int, Proof] = Recent()  # by order: those that were seen to be ours
        # Orders that wait, as they say themselves, with a status that is not clear.
        self._looked: Recent[int, str] = Recent()
        self._account = AccountCheck(self._client, config, context.clock)

    @classmethod
    def create(cls, config: Mapping[str, Any], context: Context) -> Self:
        if not config.get("product"):
            text = "spec.digicert.product: write the identifier of a product, such as ssl_basic"
            raise Misconfigured(text)
        if config.get("dns01") and config.get("dcvMethod") != METHOD:
            raise Misconfigured(f"spec.digicert.dcvMethod: has to be {METHOD} where dns01 sets the records")
        return cls(config, context)

    async def check(self) -> Health:
        if self._dcv is not None:
            await self._dcv.retry()
        return await self._account.health()

    async def submit(self, order: Order) -> Issued | Pending:
        names = names_of(order.csr)
        must_be_for_tls(order.profile, self._product)
        if order.repeated and (handle := await self._find(order)):
            return await self._take_up(order, handle)
        self._must_be_signed(order)
        running = await self._running(order) if self._config.get("renewal") == "Reissue" else None
        try:
            if running is None:
                body = order_body(order, names, self._config)
                path = f"order/certificate/{self._product}"
            else:
                body = reissue_body(order, names, self._config)
                path = f"order/certificate/{running}/reissue"
            answer = await self._client.send("POST", path, body)
            with published_form("DigiCert's answer to the order"):
                number = number_of(answer["id"])
                pem = "\n".join(str(link.get("pem", "")) for link in answer.get("certificate_chain") or ()).encode()
        except Refused as error:
            if re.search(_PAYMENT, error.reason):
                raise Retryable(str(error), _LATER) from None  # nobody changes the request for that
            raise
        if pem:
            return to_issued(number, answer.get("certificate_id"), pem)
        method = self._config.get("dcvMethod") or ""
        now = self._clock()
        self._proofs[number] = Proof(order.key, now, method, records_of(answer, names.dns_names))
        return self._first(Handle(number, now, running is not None, method))

    def _must_be_signed(self, order: Order) -> None:
        """Raises Rejected for what a public CA is known to refuse."""
        if self._product not in CERTCENTRAL_PRODUCTS:
            return
        key = parameters_of(order.csr.public_key())
        if refusal := find_refusal(DIGICERT, self._clock(), order.profile, key, duration=order.duration):
            raise Rejected(f"product {self._product}: {refusal}")

    def _first(self, handle: Handle) -> Pending:
        status = "reissue_pending" if handle.reissue else "pending"
        self._changes.note(handle.order, status)
        pending = self._pending(handle, status)
        # The handle comes first: it tells after a crash which order's records to remove.
        proof = self._proofs.get(handle.order)
        return replace(pending, poll_after=timedelta(0)) if self._dcv and proof and proof.records else pending

    async def _running(self, order: Order) -> int | None:
        """The order of the certificate that this one follows, if it can be reissued for at least half the duration.

        What it has issued last has to be that certificate, and all its names have to be wanted still: DigiCert revokes
        what a reissue leaves a name out of.
        """
        if (earlier := _referred(order.replaces)) is None:
            return None
        number, certificate = earlier
        try:
            info = await self._read_order(number)
            ends = datetime.fromisoformat(str(info.get("order_valid_till"))[:10]).replace(tzinfo=UTC)
            same = info["product"]["name_id"] == self._product and info["status"] in ("issued", "reissue_pending")
            if not same or info["certificate"]["id"] != certificate or ends - self._clock() < order.duration / 2:
                return None
            leaf = (await self._downloaded(certificate))[0]
        except Refused as error:
            if error.status == 404:
                return None
            raise
        except (AttributeError, LookupError, TypeError, ValueError):
            return None
        is_it = sha256_fingerprint(leaf) == order.replaces_fingerprint
        return number if is_it and holds_all_names(leaf, order.csr) else None

    async def _downloaded(self, certificate: int) -> list[x509.Certificate]:
        """The certificate with its chain. Raises BackendError, PkiError."""
        data = await self._client.download(f"certificate/{certificate}/download/format/pem_all")
        return list(load_bundle(data))

    async def _find(self, order: Order) -> Handle | None:
        """An order, or a reissue, that was placed before."""
        now, method = self._clock(), self._config.get("dcvMethod") or ""
        if self._config.get("renewal") == "Reissue" and (earlier := _referred(order.replaces)) is not None:
            try:
                if await self._reissue_of(earlier[0], order.csr, earlier[1]) is not None:
                    return Handle(earlier[0], now, reissue=True, method=method)
            except Refused as error:
                if error.status != 404:
                    raise
        alive = [number for number, status in (await self._orders_of(order.key)).items() if status not in DEAD]
        if not alive:
            return None
        return Handle(max(alive), now, method=method)

    async def _orders_of(self, key: str) -> dict[int, str]:
        """Status by order. Raises BackendError."""
        try:
            answer = await self._client.get(f"order/alternate/{alternative_id(key)}")
        except Refused as error:
            if error.status == 404:
                return {}
            raise
        with published_form("DigiCert's list of orders"):
            return {number_of(entry["order_id"]): str(entry["status"]) for entry in answer["orders"]}

    async def _take_up(self, order: Order, handle: Handle) -> Issued | Pending:
        """Go on with an order whose answer was lost."""
        await self._see(order.key, order.csr, handle, known=True)
        return self._first(handle)

    async def _see(self, key: str, csr: x509.CertificateSigningRequest, handle: Handle, known: bool = False) -> Proof:
        """What proves control of the domains, asked again each day, as the answer to an order tells it once.

        known: the order was found by its key. Raises Lapsed if it is not the one that was placed, and BackendError.
        """
        now, proof = self._clock(), self._proofs.get(handle.order)
        if proof is not None and proof.key == key and timedelta(0) <= now - proof.at < GOOD_FOR:
            return proof
        if not known and not await self._is_ours(key, csr, handle):
            raise _not_ours(handle)
        records: Mapping[str, str] = {}
        if handle.method in TOKEN_METHODS:
            try:
                answer = await self._client.send("PUT", f"order/certificate/{handle.order}/dcv-random-value")
                records = records_of(answer, names_of(csr).dns_names)
            except Refused:
                pass  # nothing is to be proven, or no longer
        self._proofs[handle.order] = proof = Proof(key, now, handle.method, records)
        return proof

    async def _is_ours(self, key: str, csr: x509.CertificateSigningRequest, handle: Handle, info: Any = None) -> bool:
        """Whether an order was placed for `key`; a reissue, whether it is for the key of the CSR.

        info: what DigiCert says of it, if that is known. Raises BackendError.
        """
        if handle.reissue:
            return await self._reissue_of(handle.order, csr) is not None
        info = info or await self._about(handle)
        if not isinstance(info, Mapping):
            return False
        if (given := info.get("alternative_order_id")) is not None:
            return bool(given == alternative_id(key))
        return handle.order in await self._orders_of(key)

    async def _read_order(self, number: int) -> Any:
        """What DigiCert says of an order. Raises Refused and the like."""
        return await self._client.get(f"order/certificate/{number}")

    async def _about(self, handle: Handle) -> Any:
        """As `_read_order`. Its status alone says that it came to nothing: what is not there now may come."""
        try:
            return await self._read_order(handle.order)
        except Refused as error:
            text = f"order {handle.order}: {error}: check whether the API key is still one of the same account"
            raise Retryable(text, _SOON) from None

    async def poll(self, order: Order, handle: str) -> Issued | Pending:
        kept, now = Handle.parse(handle), self._clock()
        proof = await self._see(order.key, order.csr, kept) if kept.method in TOKEN_METHODS else Proof(order.key, now)
        status = await self._changes.status(kept.order, last_multiple(now, interval(now - kept.placed)))
        waits = status in WAITING or (bool(status) and status == self._looked.get(kept.order))
        if waits and not await self._prove(order, kept, proof, now):
            return self._pending(kept, status)
        return await self._look_at(order, kept)

    def _records(self, csr: x509.CertificateSigningRequest, proof: Proof) -> Mapping[str, str]:
        """Those that are the operator's to set: at the names that the CSR has, and nowhere else."""
        names = {name.removeprefix("*.").lower() for name in names_of(csr).dns_names}
        return {domain: value for domain, value in proof.records.items() if domain.lower() in names}

    async def _prove(self, order: Order, handle: Handle, proof: Proof, now: datetime) -> bool:
        """Show what proves control, where that is the operator's to do; whether DigiCert then says that it issued.

        DigiCert looks by itself as well, again and again: it is only hurried while somebody may be waiting.
        """
        records = self._records(order.csr, proof)
        if self._dcv is None or not records:
            return False
        new = await self._dcv.show(handle.order, records)
        if not (new or now - handle.placed < _HURRY) or not await self._dcv.are_visible(records):
            return False
        try:
            answer = await self._client.send("PUT", f"order/certificate/{handle.order}/check-dcv")
        except Refused:
            return False  # it has not seen them yet, or has something else to validate
        return isinstance(answer, Mapping) and answer.get("order_status") == "issued"

    def _forget(self, order: int) -> None:
        self._changes.forget(order)
        self._looked.pop(order, None)
        self._proofs.pop(order, None)

    async def _over(self, order: Order, handle: Handle) -> None:
        proof = self._proofs.get(handle.order)
        self._forget(handle.order)
        if self._dcv is not None:
            await self._dcv.clean_up(handle.order, self._records(order.csr, proof) if proof is not None else {})

    async def _look_at(self, order: Order, handle: Handle) -> Issued | Pending:
        info = await self._about(handle)
        try:
            status, certificate = str(info["status"]), info.get("certificate") or {}
            known = self._proofs.get(handle.order)
            is_known = known is not None and known.key == order.key
            if handle.reissue and (status == "issued" or not is_known):
                reissue = await self._reissue_of(handle.order, order.csr, (_referred(order.replaces) or (0, 0))[1])
                if not is_known and reissue is None:
                    raise _not_ours(handle)
                certificate = reissue or {}
                if status == "issued" and certificate.get("status") != "issued":
                    status = "rejected" if certificate.get("status") == "rejected" else "reissue_pending"
            elif not is_known and not await self._is_ours(order.key, order.csr, handle, info):
                raise _not_ours(handle)
            if not is_known:
                self._proofs[handle.order] = Proof(order.key, self._clock(), handle.method)
            self._changes.note(handle.order, status)
            if certificate.get("id") and (
                status == "issued" or (status == "approved" and certificate.get("serial_number"))
            ):
                number = number_of(certificate["id"])
                path = f"certificate/{number}/download/format/pem_all"
                answer = to_issued(handle.order, number, await self._client.download(path))
                await self._over(order, handle)
                return answer
        except Refused as error:
            text = f"order {handle.order}: {error}: check whether the API key is still one of the same account"
            raise Retryable(text, _SOON) from None
        except (AttributeError, LookupError, TypeError, ValueError):
            text = f"DigiCert's answer about order {handle.order} is not of the published form"
            raise Retryable(text, _SOON) from None
        if status in DEAD:
            await self._over(order, handle)
            raise to_dead_order_error(handle, status)
        self._looked[handle.order] = status
        return self._pending(handle, status)

    async def _reissue_of(
        self, number: int, csr: x509.CertificateSigningRequest, before: int = 0
    ) -> Mapping[str, Any] | None:
        """The newest reissue with the CSR's key, of those after the certificate `before`, whose key may be the same."""
        wanted, newest = public_key_der(csr.public_key()), None
        for reissue in await self._reissues(number):
            try:
                key = load_csr(str(reissue.get("csr")).encode()).public_key()
                identifier = number_of(reissue["id"])
            except (ValueError, KeyError, TypeError):
                continue
            if public_key_der(key) == wanted and identifier > (before if newest is None else newest["id"]):
                newest = reissue
        return newest

    async def _reissues(self, number: int) -> list[Mapping[str, Any]]:
        answer = await self._client.get(f"order/certificate/{number}/reissue")
        listed = answer.get("certificates") if isinstance(answer, Mapping) else None
        if not isinstance(listed, list):
            return []
        if len(listed) > _MOST_REISSUES:
            text = f"DigiCert order {number} has more reissues than the {_MOST_REISSUES} that are looked at"
            raise Retryable(text, _MUCH_LATER)
        return [reissue for reissue in listed if isinstance(reissue, Mapping)]

    def _pending(self, handle: Handle, status: str) -> Pending:
        now = self._clock()
        every = interval(now - handle.placed)
        wait = max(last_multiple(now, every) + every - now, timedelta(seconds=1))
        proof = self._proofs.get(handle.order)
        text, todo = f"DigiCert order {handle.order} is {redact(status)}", ""
        if status == "needs_approval":
            todo = "an administrator has to approve it in CertCentral (spec.digicert.skipApproval skips this step)"
        elif self._dcv is not None and proof is not None and proof.records:
            text += ": its TXT records are being set"
        elif proof is not None and (shows := proof.what_to_do()):
            todo = shows
        elif handle.method == "email":
            todo = "answer the e-mails that DigiCert sent to prove control of the domains"
        return Pending(handle.written(), wait, f"{text}: {todo}" if todo else text, by_user=bool(todo))

    async def revoke(self, certificate: x509.Certificate, reason: x509.ReasonFlags) -> None:
        body: dict[str, Any] = {
            "revocation_reason": reason.value if reason.value in _REASONS else "unspecified",
            "comments": "revoked by csr-operator",
        }
        if "skipApproval" in self._config:
            body["skip_approval"] = self._config["skipApproval"]
        identifier = await self._identifier(certificate)
        try:
            answer = await self._client.send("PUT", f"certificate/{identifier}/revoke", body)
        except Refused as error:
            if "already" in error.reason and "revoked" in error.reason:
                return
            if "reissue" in error.reason:
                raise Retryable(str(error), _MUCH_LATER) from None
            raise
        if isinstance(answer, Mapping) and answer.get("status") == "pending":
            raise Rejected(
                f"DigiCert waits for an administrator: approve revocation request {answer.get('id')} in CertCentral; "
                "spec.digicert.skipApproval skips this step, if the API key is an administrator's"
            )

    async def _identifier(self, certificate: x509.Certificate) -> str:
        """What DigiCert calls this certificate, and no other one with its serial number, which everybody can read.

        Raises Rejected if it has none that is the same.
        """
        serial = serial_octets(certificate)
        try:
            query = {"filters[serial_number]": serial, "limit": str(_MOST_ORDERS)}
            answer = await self._client.get("order/certificate", query)
            orders = [number_of(order["id"]) for order in (answer or {}).get("orders", ())][:_MOST_ORDERS]
            for number in orders:
                info = await self._read_order(number)
                listed = [info["certificate"], *await self._reissues(number)]
                ours = [
                    entry for entry in listed if str(entry.get("serial_number")).upper().zfill(len(serial)) == serial
                ]
                for candidate in (ours or listed)[:_MOST_ORDERS]:
                    if not candidate.get("serial_number"):
                        continue
                    identifier = number_of(candidate["id"])
                    if ours and candidate.get("status") == "revoked":
                        return str(identifier)  # and nothing changes by doing it again
                    chain = await self._downloaded(identifier)
                    if any(sha256_fingerprint(member) == sha256_fingerprint(certificate) for member in chain):
                        return str(identifier)
                    # One that a reissue superseded is in no list: it is DigiCert's if its CA signed it.
                    if not ours and any(issued_by(certificate, ca) for ca in chain[1:]):
                        return serial
        except (AttributeError, LookupError, TypeError, ValueError):
            text = f"what DigiCert says of the certificate with the serial number {serial} is not of the published form"
            raise Retryable(text, _LATER) from None
        raise Rejected(
            f"DigiCert has no certificate that is the same as this one, with the serial number {serial}: nothing is "
            "revoked; if it should have, check whether the API key is of the account that ordered it"
        )

    async def abandon(self, key: str, csr: x509.CertificateSigningRequest, handle: str) -> None:
        kept = await self._kept(key, csr, handle)
        if kept is not None:
            handles = [kept]
        elif handle or self._cancels:
            now, method = self._clock(), self._config.get("dcvMethod") or ""
            handles = [Handle(number, now, method=method) for number in await self._orders_of(key)]
        else:
            return  # nothing was shown before the handle was kept
        for placed in handles[:_MOST_ORDERS]:
            if self._dcv is not None:
                proof = await self._see(key, csr, placed, known=True)
                await self._dcv.remove(placed.order, self._records(csr, proof))
            self._forget(placed.order)
            if not self._cancels:
                continue
            try:
                await self._cancel(placed, csr)
            except Refused as error:
                if error.status != 404:
                    raise

    async def _kept(self, key: str, csr: x509.CertificateSigningRequest, handle: str) -> Handle | None:
        """What the handle says; None if that is no order of this request. Raises BackendError."""
        if not handle:
            return None
        try:
            kept = Handle.parse(handle)
            return kept if await self._is_ours(key, csr, kept, await self._read_order(kept.order)) else None
        except (Lapsed, Refused):
            return None

    async def _cancel(self, handle: Handle, csr: x509.CertificateSigningRequest) -> None:
        number, note = handle.order, "its CertificateRequest was deleted or changed"
        info = await self._read_order(number)
        status = str(info.get("status")) if isinstance(info, Mapping) else ""
        if handle.reissue:
            # What is cancelled is the reissue that waits, whoever asked for it.
            reissue = await self._reissue_of(number, csr) if status == "reissue_pending" else None
            if reissue is None or reissue.get("status") != "pending":
                return
        elif status == "reissue_pending":
            return
        if status == "needs_approval":
            with published_form(f"DigiCert's answer about order {number}"):
                requests = [
                    number_of(request["id"])
                    for request in (info.get("requests") or ())[:_MOST_ORDERS]
                    if request.get("status") in ("pending", "submitted")
                ]
            for request in requests:
                body = {"status": "rejected", "processor_comment": note}
                await self._client.send("PUT", f"request/{request}/status", body)
        elif status in WAITING:
            body = {"status": "canceled", "note": note}
            await self._client.send("PUT", f"order/certificate/{number}/status", body)


def _referred(reference: str) -> tuple[int, int] | None:
    """Order and certificate, from the reference of `answers.issued`; None if it is none."""
    match = re.fullmatch(r"([0-9]{1,18})/([0-9]{1,18})", reference)
    return (int(match[1]), int(match[2])) if match is not None else None


def _not_ours(handle: Handle) -> Lapsed:
    text = f"DigiCert order {handle.order} was not placed for this request, and is left alone"
    return Lapsed(f"{text}: its own order is looked for", _SOON)
