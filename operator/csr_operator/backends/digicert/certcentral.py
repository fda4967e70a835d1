"""`digicert`: CertCentral by its Services API v2 (dev.digicert.com, Services API).

An order carries its key as `alternative_order_id`, by which it is found again after a crash. DigiCert does not keep two
orders from having the same, and does not say how soon an order is found by it: an order whose answer was lost is looked
up once, before another is placed. A reissue has no such field and is found by its CSR.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from cryptography import x509

from csr_operator.backends.base import (
    Context,
    Health,
    Issued,
    Misconfigured,
    Order,
    Pending,
    Rejected,
    Retryable,
)
from csr_operator.backends.grid import last_multiple
from csr_operator.pki.fingerprint import serial_octets
from csr_operator.pki.keys import public_key_der

from .account import AccountCheck
from .answers import DEAD, dead, issued
from .asked import alternative_id, must_be_for_tls, names_of, order_body, reissue_body
from .changes import WAITING, Changes, interval
from .client import Client, Refused
from .dcv import METHOD, Dcv
from .handle import GOOD_FOR, TOKEN_METHODS, Handle, records_of

DEFAULT_URL = "https://www.digicert.com/services/v2"
_REASONS = frozenset({"keyCompromise", "affiliationChanged", "superseded", "cessationOfOperation"})
_MUCH_LATER = timedelta(hours=1)
_HURRY = timedelta(minutes=30)
_SOON = timedelta(minutes=1)
_LATER = timedelta(minutes=15)
_PAYMENT = r"balance|funds|payment"
_ADVICE = {
    r"route|^http status 404": f"spec.digicert.url has to be that of a Services API, such as {DEFAULT_URL}",
    _PAYMENT: "add funds in CertCentral, or set spec.digicert.paymentMethod",
    r"organization": "spec.digicert.organizationId has to be one that DigiCert validated for this product",
    r"container": "set spec.digicert.containerId to a division of the account",
    r"custom.field|metadata": "set spec.digicert.customFields as CertCentral wants them",
    r"validity|expir": "ask for a duration that the product allows, or set spec.digicert.validity",
    r"csr|key": "choose another algorithm or size in privateKey",
    r"domain|dns.name|common.name": "ask for names that the product and the account allow",
    r"product": "set spec.digicert.product to one that the account has",
}


class DigicertBackend:
    needs_private_key: ClassVar[bool] = False
    costs: ClassVar[bool] = True
    revokes: bool = True

    def __init__(self, config: Mapping[str, Any], context: Context) -> None:
        base = config.get("url") or DEFAULT_URL
        self._client = Client(base, "X-DC-DEVKEY", config, context, "spec.digicert", _ADVICE)
        self._config, self._clock = config, context.clock
        self._product = str(config["product"])
        self._changes = Changes(self._client, context.clock)
        self._dcv = Dcv(config["dns01"], context) if config.get("dns01") else None
        self._looked: dict[int, str] = {}  # orders that wait, as they say themselves, with a status that is not clear
        self._account = AccountCheck(self._client, config, context.clock)

    @classmethod
    def create(cls, config: Mapping[str, Any], context: Context) -> "DigicertBackend":
        if not config.get("product"):
            text = "spec.digicert.product: write the identifier of a product, such as ssl_basic"
            raise Misconfigured(text)
        if config.get("dns01") and config.get("dcvMethod") != METHOD:
            raise Misconfigured(f"spec.digicert.dcvMethod: has to be {METHOD} where dns01 sets the records")
        if config.get("cancelPending") or config.get("dns01"):
            return AbandoningDigicertBackend(config, context)
        return cls(config, context)

    async def check(self) -> Health:
        if self._dcv is not None:
            await self._dcv.retry()
        return await self._account.health()

    async def submit(self, order: Order) -> Issued | Pending:
        names = names_of(order.csr)
        must_be_for_tls(order.profile, self._product)
        running = await self._running(order) if self._config.get("renewal") == "Reissue" else None
        if order.repeated and (found := await self._find(order, running)):
            return await self._take_up(order, found)
        try:
            if running is None:
                body = order_body(order, names, self._config)
                answer = await self._client.send("POST", f"order/certificate/{self._product}", body)
            else:
                body = reissue_body(order, names, self._config)
                answer = await self._client.send("POST", f"order/certificate/{running}/reissue", body)
            number = int(answer["id"])
        except Refused as error:
            if re.search(_PAYMENT, error.said):
                raise Retryable(str(error), _LATER.total_seconds()) from None  # nobody changes the request for that
            raise
        except (TypeError, KeyError, ValueError):
            raise Retryable("DigiCert's answer to the order is not of the published form") from None
        if answer.get("certificate_chain"):
            pem = "\n".join(str(link.get("pem", "")) for link in answer["certificate_chain"])
            return issued(number, answer.get("certificate_id"), pem.encode())
        records = records_of(answer, names.dns_names)
        method = self._config.get("dcvMethod") or ""
        now = self._clock()
        return self._first(Handle(number, now, now, running is not None, method, records))

    def _first(self, handle: Handle) -> Pending:
        status = "reissue_pending" if handle.reissue else "pending"
        self._changes.note(handle.order, status)
        pending = self._pending(handle, status)
        # The handle comes first: it tells after a crash which records to remove.
        return replace(pending, poll_after=timedelta(0)) if self._dcv is not None and handle.records else pending

    async def _running(self, order: Order) -> int | None:
        """The order of the certificate that this one follows, if it can be reissued for at least half the duration."""
        number = order.replaces.partition("/")[0]
        if not number:
            return None
        try:
            info = await self._client.get(f"order/certificate/{number}")
        except Refused as error:
            if error.status == 404:
                return None
            raise
        try:
            ends = datetime.fromisoformat(str(info.get("order_valid_till"))[:10]).replace(tzinfo=UTC)
            same = info["product"]["name_id"] == self._product and info["status"] in ("issued", "reissue_pending")
        except (KeyError, TypeError, ValueError):
            return None
        return int(number) if same and ends - self._clock() >= order.duration / 2 else None

    async def _find(self, order: Order, running: int | None) -> Handle | None:
        """An order, or a reissue, that was placed before."""
        now, method = self._clock(), self._config.get("dcvMethod") or ""
        if running is not None and (await self._reissue_of(running, order)) is not None:
            return Handle(running, now, now, reissue=True, method=method)
        alive = [number for number, status in (await self._orders_of(order.key)).items() if status not in DEAD]
        if not alive:
            return None
        return Handle(max(alive), now, now, method=method)

    async def _orders_of(self, key: str) -> dict[int, str]:
        """Status by order. Raises BackendError."""
        try:
            answer = await self._client.get(f"order/alternate/{alternative_id(key)}")
            return {int(one["order_id"]): str(one["status"]) for one in answer["orders"]}
        except Refused as error:
            if error.status == 404:
                return {}
            raise
        except (TypeError, KeyError, ValueError):
            raise Retryable("DigiCert's list of orders is not of the published form") from None

    async def _take_up(self, order: Order, handle: Handle) -> Issued | Pending:
        """Go on with an order whose answer was lost."""
        return self._first(await self._with_records(order, handle))

    async def _with_records(self, order: Order, handle: Handle) -> Handle:
        """Ask again for what proves control of the domains, which the answer to an order tells once."""
        if handle.method not in TOKEN_METHODS:
            return handle
        try:
            path = f"order/certificate/{handle.order}/dcv-method"
            answer = await self._client.send("PUT", path, {"dcv_method": handle.method})
        except Refused:
            answer = None  # nothing is to be proven, or no longer
        records = records_of(answer or {}, names_of(order.csr).dns_names)
        return replace(handle, records=records, shown=self._clock())

    async def poll(self, order: Order, handle: str) -> Issued | Pending:
        kept, now = Handle.parse(handle), self._clock()
        if kept.records and now - kept.shown >= GOOD_FOR:
            if self._dcv is not None:
                await self._dcv.clean_up(kept.order, kept.records)
            kept = await self._with_records(order, kept)
        status = await self._changes.status(kept.order, last_multiple(now, interval(now - kept.placed)))
        waits = status in WAITING or (bool(status) and status == self._looked.get(kept.order))
        if waits and not await self._prove(kept, now):
            return self._pending(kept, status)
        return await self._look_at(order, kept)

    async def _prove(self, handle: Handle, now: datetime) -> bool:
        """Show what proves control, where that is the operator's to do; whether DigiCert then says that it issued.

        DigiCert looks by itself as well, again and again: it is only hurried while somebody may be waiting.
        """
        if self._dcv is None or not handle.records:
            return False
        new = await self._dcv.show(handle.order, handle.records)
        if not (new or now - handle.placed < _HURRY) or not await self._dcv.are_visible(handle.records):
            return False
        try:
            answer = await self._client.send("PUT", f"order/certificate/{handle.order}/check-dcv")
        except Refused:
            return False  # it has not seen them yet, or has something else to validate
        return bool(answer) and answer.get("order_status") == "issued"

    def _forget(self, order: int) -> None:
        self._changes.forget(order)
        self._looked.pop(order, None)

    async def _over(self, handle: Handle) -> None:
        self._forget(handle.order)
        if self._dcv is not None:
            await self._dcv.clean_up(handle.order, handle.records)

    async def _look_at(self, order: Order, handle: Handle) -> Issued | Pending:
        """Ask for the order itself. Its status alone says that it came to nothing: what is not there now may come."""
        try:
            info = await self._client.get(f"order/certificate/{handle.order}")
            status, certificate = str(info["status"]), info.get("certificate") or {}
            if handle.reissue and status == "issued":
                certificate = await self._reissue_of(handle.order, order) or {}
                if certificate.get("status") != "issued":
                    status = "rejected" if certificate.get("status") == "rejected" else "reissue_pending"
            self._changes.note(handle.order, status)
            if certificate.get("id") and (
                status == "issued" or (status == "approved" and certificate.get("serial_number"))
            ):
                path = f"certificate/{certificate['id']}/download/format/pem_all"
                answer = issued(handle.order, certificate["id"], await self._client.download(path))
                await self._over(handle)
                return answer
        except Refused as error:
            text = f"order {handle.order}: {error}: see whether the API key is still one of the same account"
            raise Retryable(text, _SOON.total_seconds()) from None
        except (TypeError, KeyError, AttributeError):
            text = f"DigiCert's answer about order {handle.order} is not of the published form"
            raise Retryable(text, _SOON.total_seconds()) from None
        if status in DEAD:
            await self._over(handle)
            raise dead(handle, status)
        self._looked[handle.order] = status
        return self._pending(handle, status)

    async def _reissue_of(self, number: int, order: Order) -> Mapping[str, Any] | None:
        """The newest reissue with this order's key, of those after the certificate that it follows: its key may be the
        same.
        """
        answer = await self._client.get(f"order/certificate/{number}/reissue")
        wanted, before = public_key_der(order.csr.public_key()), int(order.replaces.partition("/")[2] or 0)
        found = None
        for one in (answer or {}).get("certificates", ()):
            try:
                key = x509.load_pem_x509_csr(str(one.get("csr")).encode()).public_key()
            except ValueError:
                continue
            if public_key_der(key) == wanted and one["id"] > (before if found is None else found["id"]):
                found = one
        return found

    def _pending(self, handle: Handle, status: str) -> Pending:
        now = self._clock()
        every = interval(now - handle.placed)
        wait = max(last_multiple(now, every) + every - now, timedelta(seconds=1))
        text, todo = f"DigiCert order {handle.order} is {status}", ""
        if status == "needs_approval":
            text += ": an administrator has to approve it in CertCentral (spec.digicert.skipApproval does without)"
        elif self._dcv is not None and handle.records:
            text += ": its TXT records are being set"
        elif todo := handle.what_to_do():
            text += f": {todo}"
        elif handle.method == "email":
            text += ": answer the e-mails that DigiCert sent to prove control of the domains"
        return Pending(handle.written(), wait, text, by_user=bool(todo))

    async def revoke(self, certificate: x509.Certificate, reason: x509.ReasonFlags) -> None:
        body: dict[str, Any] = {
            "revocation_reason": reason.value if reason.value in _REASONS else "unspecified",
            "comments": "revoked by csr-operator",
        }
        if "skipApproval" in self._config:
            body["skip_approval"] = self._config["skipApproval"]
        try:
            answer = await self._client.send("PUT", f"certificate/{serial_octets(certificate)}/revoke", body)
        except Refused as error:
            if "already" in error.said and "revoked" in error.said:
                return
            if "reissue" in error.said:
                raise Retryable(str(error), _MUCH_LATER.total_seconds()) from None
            raise
        if answer and answer.get("status") == "pending":
            raise Rejected(
                f"DigiCert waits for an administrator: approve revocation request {answer.get('id')} in CertCentral; "
                "spec.digicert.skipApproval does without, if the API key is an administrator's"
            )


class AbandoningDigicertBackend(DigicertBackend):
    """With `dns01`, records are left behind; with `cancelPending`, the order itself is not to be."""

    async def abandon(self, key: str, csr: x509.CertificateSigningRequest, handle: str) -> None:
        if handle:
            kept = Handle.parse(handle)
            if self._dcv is not None:
                await self._dcv.remove(kept.order, kept.records)
            numbers = [kept.order]
        elif self._config.get("cancelPending"):
            numbers = list(await self._orders_of(key))
        else:
            return  # nothing was shown before the handle was kept
        for number in numbers:
            self._forget(number)
            if not self._config.get("cancelPending"):
                continue
            try:
                await self._cancel(number)
            except Refused as error:
                if error.status != 404:
                    raise

    async def _cancel(self, number: int) -> None:
        info = await self._client.get(f"order/certificate/{number}")
        note = "its CertificateRequest was deleted or changed"
        match info.get("status"):
            case "needs_approval":
                for request in info.get("requests") or ():
                    if request.get("status") in ("pending", "submitted"):
                        body = {"status": "rejected", "processor_comment": note}
                        await self._client.send("PUT", f"request/{request['id']}/status", body)
            case status if status in WAITING:
                body = {"status": "canceled", "note": note}
                await self._client.send("PUT", f"order/certificate/{number}/status", body)
