"""The backend: what becomes of a request at Sectigo, and what its user is told meanwhile."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Self

from cryptography import x509

from csr_operator.pki.chain import load_bundle
from csr_operator.pki.errors import PkiError
from csr_operator.pki.verify import CA_DECIDES
from csr_operator.plugin.backend import Backend, Health, Issued, Order, Pending, Traits
from csr_operator.plugin.context import Context
from csr_operator.plugin.errors import Lapsed, Misconfigured, Rejected, Retryable
from csr_operator.plugin.recent import Recent
from csr_operator.plugin.text import redact

from .account import Account, term_for
from .client import Client
from .names import format_reference, leaf_for, names_in, names_of, parse_reference, serial_of
from .order_states import AGAIN, DEAD, PENDING, State, dcv_instructions, ids_in, state_of
from .orders import Orders, is_marked
from .refusals import ALREADY_REVOKED, NOT_YET, Refusal, judge
from .settings import Settings
from .waiting import OrderKind, Placed, Waiting

_GONE = timedelta(hours=1)
_REASONS = {
    x509.ReasonFlags.key_compromise: 1,
    x509.ReasonFlags.affiliation_changed: 3,
    x509.ReasonFlags.superseded: 4,
    x509.ReasonFlags.cessation_of_operation: 5,
}
"""Those that the API takes (Mozilla Root Store Policy 2.8, section 6.1.1); all others are unspecified, 0."""


class SectigoBackend(Backend):
    """An order is found again by the marker in its comments, which any administrator can change.

    A handle or a reference only says where to look: whose order it is, and which certificate, is seen at Sectigo before
    anything is done to either.

    Sectigo takes no idempotency key: an order whose answer was lost is looked for a minute later, and is placed a
    second time if it shows up in Sectigo's lists only after that.
    """

    def __init__(self, settings: Settings, context: Context) -> None:
        # Once the CA has an order, the API offers nothing to take it back; before its approval, it is declined.
        self.traits = Traits(costs=True, revokes=True, abandons=settings.cancels)
        self._settings, self._clock = settings, context.clock
        self._client = Client(settings, context)
        self._choice = Account(self._client, settings, context.clock).choice
        self._orders = Orders(self._client, settings)
        self._waiting = Waiting(self._client, context.clock)
        self._dcv: Recent[int, tuple[datetime, str]] = Recent()
        self._ours: Recent[int, str] = Recent()  # keys of the orders that were seen to be theirs

    @classmethod
    def create(cls, config: Mapping[str, Any], context: Context) -> Self:
        return cls(Settings.parse(config), context)

    async def check(self) -> Health:
        choice = await self._choice.found()
        days = f"for {self._settings.term} days" if self._settings.term else "for as long as is asked"
        return Health(f"orders {choice.profile_name} ({choice.profile}) {days}, for {choice.organization_name}")

    async def submit(self, order: Order) -> Issued | Pending:
        if order.profile.is_ca:
            raise Rejected("Sectigo signs no CAs: remove isCA, or use another issuer")
        names_of(order.csr)  # raises Rejected
        placed = await self._orders.find(order, self._clock()) if order.repeated else None
        if placed is None:
            try:
                choice = await self._choice.found()
                term = term_for(choice, self._settings, order.duration)
                placed = await self._orders.place(order, choice, term, self._clock())
            except Misconfigured:
                self._choice.forget()  # whatever the last check said
                raise
        new = Placed(*placed, since=self._clock())
        self._ours[new.id] = order.key
        return self._pending(new, f"{_called(new)} is placed")

    async def poll(self, order: Order, handle: str) -> Issued | Pending:
        try:
            placed = Placed.parse(handle)
        except ValueError:
            raise Lapsed("the order's handle is not one of this issuer's") from None
        try:
            if placed.kind is OrderKind.REPLACE:
                await self._must_be_ours(order, placed)
                return await self._replaced(order, placed)
            state = await self._state(placed)
            if not isinstance(state, State):
                return self._pending(placed, f"{_called(placed)} is in a state that is not documented, {state}")
            return await self._judged(order, placed, state)
        except Refusal as refusal:
            if refusal.status == 404 or refusal.is_one_of((-124, -5101), "id|not found"):
                # Never a new order for this: credentials of another account would repeat all there are.
                text = f"{_called(placed)} no longer exists for this account: {judge(refusal)}"
                raise Retryable(
                    f"{text}; check the credentials; a change of the request orders another one", _GONE
                ) from None
            raise judge(refusal) from None

    async def revoke(self, certificate: x509.Certificate, reason: x509.ReasonFlags) -> None:
        body = {"reasonCode": _REASONS.get(reason, 0), "reason": f"csr-operator: {reason.value}"}
        serial = serial_of(certificate)
        try:
            if await self._orders.same(certificate) is None:
                raise Rejected(
                    f"Sectigo has no certificate that is the same as this one, with the serial number {serial}: "
                    "nothing is revoked; if it should have, check whether the credentials are of the ordering account"
                )
            await self._client.call("POST", f"/ssl/v1/revoke/serial/{serial}", body=body)
        except Refusal as refusal:
            if refusal.is_one_of(*ALREADY_REVOKED) or await self._is_revoked(serial):
                return
            raise judge(refusal) from None

    async def _state(self, placed: Placed) -> State | str:
        """A text if no document knows it. Raises Refusal as well."""
        try:
            state = await self._waiting.listed(placed, self._choice.known or await self._choice.found())
            if state is not None:
                return state
            status = (await self._orders.details(placed.id)).get("status")
        except Retryable:
            if (known := self._waiting.remembered(placed.id)) is None:
                raise
            return known
        if (state := state_of(status)) is None:
            return redact(status)
        self._waiting.note(placed.id, state)
        return state

    async def _judged(self, order: Order, placed: Placed, state: State) -> Issued | Pending:
        if state not in PENDING or self._settings.dcv:  # else nothing is told but that it waits
            await self._must_be_ours(order, placed)
        if state is State.ISSUED:
            return await self._collected(order, placed, placed.id)
        if state in DEAD:
            self._done(placed)
            raise Rejected(f"{_called(placed)} is {state}: {DEAD[state]}: {AGAIN}")
        if state is State.EXPIRED:
            self._done(placed)
            self._orders.give_up(order.key)
            raise Lapsed(f"{_called(placed)} expired before it could be collected: another one is ordered")
        text, instructions = f"{_called(placed)} is {state}: {PENDING[state]}", ""
        if state in (State.APPROVED, State.APPLIED) and (instructions := await self._dcv_of(placed)):
            text += f", once it has seen who controls the domains; {instructions}"
        return self._pending(placed, text, by_user=state is State.REQUESTED or bool(instructions))

    async def _must_be_ours(self, order: Order, placed: Placed) -> None:
        """Raises Lapsed if it is another's; Refusal as well."""
        if self._ours.get(placed.id) == order.key:
            return
        if not await self._orders.is_ours(placed.kind, placed.id, order):
            text = f"{_called(placed)} was not ordered for this request, and is left alone"
            raise Lapsed(f"{text}: its own order is looked for")
        self._ours[placed.id] = order.key

    async def _collected(self, order: Order, placed: Placed, ssl_id: int) -> Issued | Pending:
        try:
            data = await self._orders.collect(ssl_id)
        except Refusal as refusal:
            if refusal.is_one_of(*NOT_YET):
                return self._pending(placed, f"{_called(placed)} is issued, and being made ready for collection")
            raise
        try:
            certificates = load_bundle(data)
        except PkiError as error:
            raise Retryable(f"{_called(placed)} is issued, and was collected damaged: {error}") from None
        leaf = leaf_for(data, order.csr)
        if placed.kind is OrderKind.RENEW and leaf is None:
            self._done(placed)
            self._orders.give_up(order.key)
            raise Lapsed(f"{_called(placed)} turned out to be for another key: another one is ordered")
        self._done(placed)
        return Issued(certificates, any_duration=True, reference=format_reference(ssl_id, leaf), rules=CA_DECIDES)

    async def _replaced(self, order: Order, placed: Placed) -> Issued | Pending:
        """Sectigo does not say which certificate takes another's place: its key shows, and that it is not that one."""
        later = {ssl_id: details async for ssl_id, details in self._orders.namesakes(order.csr, after=placed.id)}
        ours = {
            number: state_of(details.get("status")) for number, details in later.items() if _has_names(details, order)
        }
        _, before = parse_reference(order.replaces) or (0, "")
        for ssl_id in [*(number for number, state in ours.items() if state is State.ISSUED), placed.id]:
            try:
                leaf = leaf_for(await self._orders.collect(ssl_id), order.csr)
            except Refusal:
                continue  # it is on its way
            if leaf is not None and (ssl_id != placed.id or before not in ("", serial_of(leaf))):
                return await self._collected(order, placed, ssl_id)
        seen = ", ".join(f"{number} is {state}" for number, state in ours.items() if state not in (None, State.ISSUED))
        return self._pending(placed, f"SSL certificate {placed.id} is being replaced" + (f"; {seen}" if seen else ""))

    async def _dcv_of(self, placed: Placed) -> str:
        """What is to be done for it; asked again after a quarter of the order's age, at most a day."""
        if not self._settings.dcv:
            return ""
        now = self._clock()
        due = min((now - placed.since) / 4, timedelta(days=1))
        known = self._dcv.get(placed.id)
        if known is None or not timedelta(0) <= now - known[0] < due:
            try:
                known = (now, dcv_instructions(await self._client.get(f"/ssl/v1/{placed.id}/dcv")))
            except (Refusal, Retryable):
                known = (now, known[1] if known else "")  # the order is what counts
            self._dcv[placed.id] = known
        return known[1]

    async def _is_revoked(self, serial: str) -> bool:
        """The order with this serial number is, whatever the answer to revoking it was."""
        try:
            for ssl_id in ids_in(await self._client.get("/ssl/v1", {"serialNumber": serial}))[:10]:
                if state_of((await self._orders.details(ssl_id)).get("status")) is State.REVOKED:
                    return True
        except (Refusal, Retryable):
            pass
        return False

    def _pending(self, placed: Placed, message: str, *, by_user: bool = False) -> Pending:
        return Pending(placed.handle(), placed.next_look(self._clock()), message, by_user)

    def _done(self, placed: Placed) -> None:
        self._waiting.done(placed.id)
        self._dcv.pop(placed.id, None)
        self._ours.pop(placed.id, None)

    async def abandon(self, key: str, csr: x509.CertificateSigningRequest, handle: str) -> None:
        if not handle:
            return  # the ID was never kept, and nothing else leads to the order
        try:
            placed = Placed.parse(handle)
        except ValueError:
            return  # it is none of this issuer's
        self._done(placed)
        if placed.kind is OrderKind.REPLACE:
            return
        try:
            details = await self._orders.details(placed.id)
            if is_marked(details, key) and state_of(details.get("status")) is State.REQUESTED:
                message = {"message": "its CertificateRequest was deleted or changed"}
                await self._client.call("POST", f"/ssl/v1/decline/{placed.id}", body=message)
        except Refusal as refusal:
            if refusal.status != 404:
                raise judge(refusal) from None


def _called(placed: Placed) -> str:
    if placed.kind is OrderKind.REPLACE:
        return f"the replacement of SSL certificate {placed.id}"
    return f"SSL certificate {placed.id}"


def _has_names(details: Mapping[str, Any], order: Order) -> bool:
    return names_in(details) == names_of(order.csr)
