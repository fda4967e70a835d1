"""The life of an ACME order: each `poll` looks where it stands at the CA, and takes it as far as it goes at once."""

import asyncio
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Self

from cryptography import x509
from cryptography.x509.oid import NameOID

import csr_acme
from csr_acme import AcmeClient, AcmeError, Authorization, Identifier, Problem, Refused, Unreachable
from csr_acme.client import renewal_id
from csr_acme.objects import is_certificate_id
from csr_operator.api.reading import read_flag
from csr_operator.backends.public_cas import ACME_HOSTS, find_refusal
from csr_operator.pki.chain import load_bundle, spki_of
from csr_operator.pki.errors import PkiError
from csr_operator.pki.keys import parameters_of, public_key_der
from csr_operator.pki.verify import TLS_USAGES, Rules, SubjectRule
from csr_operator.plugin.backend import Backend, Health, Issued, Order, Pending, Renewal, Traits
from csr_operator.plugin.context import Context
from csr_operator.plugin.errors import BackendError, Lapsed, Misconfigured, Rejected, Retryable
from csr_operator.plugin.http import trust
from csr_operator.plugin.recent import Recent
from csr_operator.plugin.schedule import bounded_pause, grow
from csr_operator.plugin.text import redact

from .account import Account
from .identifiers import identifiers_of
from .proving import Proving
from .refusals import NAMED, PauseTexts, describe_failures, is_final, is_of_the_account, to_backend_error
from .solvers import Solvers, name_of

_SOONEST, _LATEST = timedelta(seconds=1), timedelta(minutes=1)
"""Between two looks at an order; more each time that nothing has changed."""

_PAUSE = timedelta(minutes=1)
"""Until another order after one that failed, as CAs allow few failures in an hour. How many did is kept with
the order (`pace.order_pause`), which makes it longer."""

_LOOKS_AGAIN = tuple(timedelta(seconds=after) for after in (5, 60, 300, 1800, 3600, 6 * 3600, 86400))
"""Until an order is taken further again after the CA refused to, and after each further time."""

_ABANDONED = timedelta(hours=1)
"""Whoever has not looked at an order for so long has it no more."""

_SHARED = timedelta(seconds=10)
"""When to see whether an order of the same names has ended."""

_RULES = Rules(SubjectRule.SUBSET, TLS_USAGES)
"""A public CA leaves out what it has not validated, and has its own usages."""

_REASONS = {
    x509.ReasonFlags.key_compromise: 1,
    x509.ReasonFlags.ca_compromise: 2,
    x509.ReasonFlags.affiliation_changed: 3,
    x509.ReasonFlags.superseded: 4,
    x509.ReasonFlags.cessation_of_operation: 5,
    x509.ReasonFlags.privilege_withdrawn: 9,
    x509.ReasonFlags.aa_compromise: 10,
}
"""CRLReason (RFC 5280, section 5.3.1)."""

_ASK_SOONEST, _ASK_LATEST = timedelta(minutes=1), timedelta(days=1)
"""Until a CA is asked again when it wants a certificate renewed, whatever it says (RFC 9773, section 4.3.2)."""

_MOST_LISTED = 100
"""Of the account's orders, how many of the last are looked at for one that was placed just before a crash. What this
process placed, or has looked at, does not count: it may have placed many before it comes to look."""

_MOST_NAMED = 1000
"""Of those, how many are known."""

_MOST_ALTERNATES = 10
"""Chains that are looked at beside the CA's default, where one is preferred."""

_UNRELATED = frozenset({"rateLimited", "badNonce", "userActionRequired", "rejectedIdentifier", "invalidProfile"})
"""Refusals that have nothing to do with what an order replaces."""

_OVERLOADED = frozenset({429, 502, 503, 504})
"""Status of HTTP that have nothing to do with it either: to ask at once again makes it worse."""


@dataclass(slots=True)
class _Claim:
    """Which request (by `Order.key`) works on an order, and when it did last. Some CAs give the pending order of the
    same names to whoever asks for another one, and only one key gets a certificate from it."""

    key: str
    at: datetime


class _NoOrder(Lapsed):
    """What is kept as an order's URL is not that of an order for the names in the CSR: nothing is done to it."""


class AcmeBackend(Backend):
    """Issuers of `spec.acme`: orders by ACME (RFC 8555), renewed as the CA suggests (ARI, RFC 9773)."""

    traits = Traits(costs=True, revokes=True, suggests_renewal=True, abandons=True, repeats_common_name=True)

    def __init__(self, config: Mapping[str, Any], context: Context) -> None:
        self._config, self._clock = config, context.clock
        self._account = Account(config, context, trust(config.get("caBundle") or "", "spec.acme.caBundle"))
        self._sets_duration = read_flag(config, "enableDurationFeature", "spec.acme")
        self._proving = Proving(Solvers(config, context), context.clock)
        self._finding = asyncio.Lock()
        self._pauses = PauseTexts()
        self._looks: Recent[str, int] = Recent()  # by order
        self._refusals: Recent[str, int] = Recent()  # in a row, by order
        self._claims: Recent[str, _Claim] = Recent()  # by order
        # By order, of those that were placed here or looked at.
        self._names: Recent[str, frozenset[Identifier]] = Recent(_MOST_NAMED)
        self._looked_until = ""  # the order at which there were too many to look at: none before it is
        self._behind: Recent[str, str] = Recent()  # orders that others work on, by the key of the request that waits
        self._outrun: Recent[str, int] = Recent()  # orders that another key got a certificate of, by the request's key
        self._placed: Recent[str, str] = Recent()  # orders by the request's key, until it was seen that they are kept

    @classmethod
    def create(cls, config: Mapping[str, Any], context: Context) -> Self:
        return cls(config, context)

    async def check(self) -> Health:
        client = await self._account.check()
        with self._translate_errors():
            profiles = (await client.directory()).profiles
        wanted = self._config.get("profile")
        if wanted and wanted not in profiles:
            offered = redact(", ".join(sorted(profiles)) or "none", ())
            raise Misconfigured(f"spec.acme.profile: {self._account.host} has no profile {wanted}; it offers {offered}")
        await self._proving.clean_up_rest()
        return Health(f"has the account {client.account_url}")

    async def submit(self, order: Order) -> Issued | Pending:
        if order.profile.is_ca:
            raise Rejected("an ACME CA signs no CA certificates: remove spec.isCA, or use another issuer")
        identifiers = identifiers_of(order.csr)
        self._must_be_signed(order, identifiers)
        client = await self._account.client()
        with self._translate_errors(order.key):
            if self._is_held(self._behind.get(order.key, ""), order.key):
                return _next_in_line()
            # The API server may have failed to keep what was placed before.
            url = self._placed.get(order.key) or (
                await self._find(client, order, identifiers) if order.repeated else ""
            )
            if not url:
                placed = await self._place(client, order, identifiers)
                self._note_names(placed)
                url = placed.url
                if set(placed.identifiers) != set(identifiers):
                    raise Rejected(
                        f"{self._account.host} answers with an order for other names than it was asked for, which is "
                        "left alone: check that spec.acme.server is the CA that you mean"
                    )
            if not self._claim(url, order.key):
                self._placed.pop(order.key, None)
                return _next_in_line()
            self._placed[order.key] = url
            self._proving.begin(url, identifiers)
        return Pending(url, timedelta(0), f"order {url} is placed")

    async def poll(self, order: Order, handle: str) -> Issued | Pending:
        self._placed.pop(order.key, None)
        if not self._claim(handle, order.key):
            return _next_in_line()
        identifiers = identifiers_of(order.csr)
        client = await self._account.client()
        try:
            answer = await self._advanced(client, order, handle, identifiers)
        except _NoOrder as error:
            self._release(handle)
            raise Lapsed(str(error), _PAUSE) from None
        except Lapsed:
            await self._proving.clean_up(handle)
            self._forget(handle)
            raise
        except AcmeError as error:
            raise self._refused(error, order, handle) from error
        self._refusals.pop(handle, None)
        return answer

    async def _advanced(
        self, client: AcmeClient, order: Order, handle: str, identifiers: Sequence[Identifier]
    ) -> Issued | Pending:
        """Take the order as far as it goes now."""
        placed = await self._known(client, handle, identifiers)
        if placed.status == "pending":
            pending = await self._prove(client, order, placed)
            if pending is not None:
                return pending
            placed = await self._read(client, handle, identifiers)
        if placed.status in ("ready", "processing", "valid"):
            await self._proving.clean_up(handle)
        if placed.status == "ready":
            placed = await client.finalize(placed, order.csr)
        if placed.status == "valid":
            answer = await self._download(client, order, placed)
            self._forget(handle)
            return answer
        if placed.status == "invalid":
            raise await self._failed(client, order, placed)
        what = "issue the certificate" if placed.status == "processing" else "go on with the order"
        return self._later(handle, f"waiting for {self._account.host} to {what}", placed.retry_after)

    def _refused(self, error: AcmeError, order: Order, handle: str) -> BackendError:
        """What a CA refuses of an order that is under way is looked at again, and not for ever refused: what was
        wrong may be the DNS of that moment, and the order, which is read anew, says whether it is of use."""
        refusal = self._to_backend_error(error, order.key)
        if not isinstance(error, Refused) or (is_of_the_account(error) and error.problem.type != "unauthorized"):
            return refusal
        text = redact(str(error), self._account.secrets)
        if error.problem.type in ("badCSR", "badPublicKey"):
            return Rejected(text)
        times = self._refusals.get(handle, 0)
        self._refusals[handle] = times + 1
        wait = max(bounded_pause(error.retry_after), _LOOKS_AGAIN[min(times, len(_LOOKS_AGAIN) - 1)])
        return Retryable(text, wait)

    async def revoke(self, certificate: x509.Certificate, reason: x509.ReasonFlags) -> None:
        client = await self._account.client()
        code = _REASONS.get(reason, 0)
        with self._translate_errors():
            try:
                await client.revoke(certificate, code)
            except Refused as error:
                if error.status == 404:
                    raise Rejected(redact(str(error), self._account.secrets)) from None  # it does not know it
                if code == 0 or error.problem.type != "badRevocationReason":
                    raise
                await client.revoke(certificate)  # revoked for no reason is better than not at all

    async def suggest_renewal(self, reference: str) -> Renewal | None:
        if self._config.get("renewalInfo") == "Ignore":
            return None
        client = await self._account.client()
        with self._translate_errors():
            info = await client.renewal_info(reference)
        if info is None:
            return None
        again = min(max(bounded_pause(info.retry_after), _ASK_SOONEST), _ASK_LATEST)
        return Renewal(info.start, info.end, again, info.explanation)

    async def abandon(self, key: str, csr: x509.CertificateSigningRequest, handle: str) -> None:
        handle = handle or self._placed.get(key, "")  # the API server may have failed to keep it
        for known in (self._placed, self._behind):
            known.pop(key, None)
        self._outrun.pop(key, None)
        if self._is_held(handle, key):
            return
        if not handle:
            return  # no order is known, and nothing is set up for one
        try:
            identifiers = identifiers_of(csr)
        except Rejected:
            return  # no order was ever placed for such names
        client = await self._account.client()
        with self._translate_errors():
            try:
                placed = await self._known(client, handle, identifiers)
            except Lapsed:
                placed = None  # what this process set up is all that is known
            # Before the CA forgets what it wanted to see.
            await self._proving.take_back(handle, identifiers)
            if placed is not None:
                await self._deactivate(client, await self._proving.authorizations(client, placed, identifiers))
        self._forget(handle)
        self._names[handle] = frozenset()  # for nobody: a CA may go on to list it as pending

    # Placing an order.

    def _must_be_signed(self, order: Order, identifiers: Sequence[Identifier]) -> None:
        """Raises Rejected for what this CA is known to refuse after all is proven."""
        ca = ACME_HOSTS.get(self._account.host)
        if ca is None:
            return
        refusal = find_refusal(
            ca,
            self._clock(),
            order.profile,
            parameters_of(order.csr.public_key()),
            names=len(identifiers),
            acme_profile=self._config.get("profile") or "",
            duration=order.duration if self._sets_duration else None,
        )
        if refusal:
            raise Rejected(refusal)

    def _claim(self, url: str, key: str) -> bool:
        """Whether the request with that key may work on the order: it is the only one that does."""
        if self._is_held(url, key):
            self._behind[key] = url
            return False
        self._behind.pop(key, None)
        self._claims[url] = _Claim(key, self._clock())
        return True

    def _is_held(self, url: str, key: str) -> bool:
        """Whether another request than that one works on the order."""
        claim = self._claims.get(url)
        return claim is not None and claim.key != key and claim.at <= self._clock() < claim.at + _ABANDONED

    async def _find(self, client: AcmeClient, order: Order, identifiers: Sequence[Identifier]) -> str:
        """One that was placed just before a crash, and is nobody's; empty if there is none."""
        async with self._finding:
            wanted, left = frozenset(identifiers), _MOST_LISTED
            # The last one first: a process that lives for seconds only, again and again, is to come to its own.
            for url in reversed(await client.orders()):
                if url == self._looked_until:
                    break
                if not (self._proving.knows(url) or url in self._claims) and self._names.get(url, wanted) == wanted:
                    if left == 0:
                        self._looked_until = url
                        break
                    left -= 1
                    candidate = await client.order(url)
                    self._note_names(candidate)
                    if candidate.status in ("pending", "ready") and frozenset(candidate.identifiers) == wanted:
                        self._claim(url, order.key)
                        return url
        return ""

    def _note_names(self, placed: csr_acme.Order) -> None:
        self._names[placed.url] = frozenset(placed.identifiers)

    async def _place(self, client: AcmeClient, order: Order, identifiers: Sequence[Identifier]) -> csr_acme.Order:
        directory = await client.directory()
        until = self._clock() + order.duration if self._sets_duration else None
        profile = self._config.get("profile") or ""
        follows = directory.renewal_info and self._config.get("renewalInfo") != "Ignore"
        replaces = order.replaces if follows and is_certificate_id(order.replaces) else ""
        ask = partial(client.new_order, identifiers, profile=profile, not_after=until)
        try:
            if replaces:
                try:
                    return await ask(replaces=replaces)
                except (Refused, Unreachable) as error:
                    # It was replaced already, has none of the names that are asked for now (RFC 9773, section 5, of
                    # which Pebble makes a fault of its own, 500), or is not known any more: no reason to let it expire.
                    if not _may_be_because_of_it(error):
                        raise
            return await ask()
        except Refused as error:
            text = redact(str(error), self._account.secrets)
            if until is not None and error.problem.type == "malformed":
                raise Rejected(
                    f"{text}: if {self._account.host} sets the duration itself, remove "
                    "spec.acme.enableDurationFeature from the issuer"
                ) from None
            if is_of_the_account(error) or is_final(error):
                raise
            # As an order that was refused later.
            raise Lapsed(text, max(bounded_pause(error.retry_after), _PAUSE)) from None

    async def _known(self, client: AcmeClient, handle: str, identifiers: Sequence[Identifier]) -> csr_acme.Order:
        """The order as it is. Raises Lapsed if the CA does not know it, _NoOrder if it is another one."""
        try:
            placed = await self._read(client, handle, identifiers)
        except Refused as error:
            # Nothing else can be malformed about such a request: step-ca and OpenBao say so of an order that is gone.
            if error.status not in (401, 403, 404) and error.problem.type != "malformed":
                raise
            reason = redact(str(error), self._account.secrets)
            raise Lapsed(f"{self._account.host} no longer knows the order: {reason}") from None
        await self._proving.recall(client, placed, identifiers)
        return placed

    async def _read(self, client: AcmeClient, handle: str, identifiers: Sequence[Identifier]) -> csr_acme.Order:
        """The order at that URL, which is believed to be one for these names only if the CA says so itself."""
        if not client.origin.permits(handle):
            raise _NoOrder(f"the URL of the order that was kept is not one of {self._account.host}: it is not asked")
        placed = await client.order(handle)
        if set(placed.identifiers) != set(identifiers):
            raise _NoOrder(f"the order that was kept is at {self._account.host} one for other names: it is left alone")
        return placed

    async def _prove(self, client: AcmeClient, order: Order, placed: csr_acme.Order) -> Pending | None:
        """None when every name is proven; raises Lapsed when one cannot be."""
        try:
            progress = await self._proving.go_on(client, placed)
        except Rejected:
            await self._proving.clean_up(placed.url)
            raise
        if progress.failed:
            raise await self._failed(client, order, placed, progress.authorizations)
        if not progress.waiting:
            return None
        if progress.unseen:
            return replace(self._later(placed.url, _unseen(progress.unseen), None), by_user=progress.by_user)
        names = ", ".join(sorted(map(name_of, progress.waiting))[:NAMED])
        message = f"waiting for {self._account.host} to validate {names}"
        # Some CAs look again until they see what they want, and say meanwhile what is wrong.
        problems = [
            problem for authorization in progress.waiting if (problem := _problem(authorization))[1] is not None
        ]
        if problems:
            message += f"; so far, {describe_failures(problems, self._account.secrets)}"
        wait = max((authorization.retry_after or 0.0 for authorization in progress.waiting), default=0.0)
        return self._later(placed.url, message, wait)

    async def _failed(
        self,
        client: AcmeClient,
        order: Order,
        placed: csr_acme.Order,
        authorizations: Sequence[Authorization] | None = None,
    ) -> BackendError:
        """What to raise for an order that will not come to anything, after tidying up."""
        if authorizations is None:
            authorizations = await self._proving.authorizations(client, placed, identifiers_of(order.csr))
        await self._proving.clean_up(placed.url)
        await self._deactivate(client, authorizations)
        self._forget(placed.url)
        if placed.error is not None and placed.error.type in ("badCSR", "badPublicKey"):
            return Rejected(redact(placed.error.describe(), self._account.secrets))
        failed = [authorization for authorization in authorizations if authorization.status not in ("pending", "valid")]
        problems = [_problem(authorization) for authorization in failed]
        text = redact(placed.error.describe(), self._account.secrets) if placed.error else "the order failed"
        return Lapsed(describe_failures(problems, self._account.secrets) if problems else text, _PAUSE)

    async def _deactivate(self, client: AcmeClient, authorizations: Sequence[Authorization]) -> None:
        """Have the CA forget what is still to be proven: it counts against the account."""
        for authorization in authorizations:
            if authorization.status == "pending":
                try:
                    await client.deactivate_authorization(authorization.url)
                except (Refused, Unreachable) as error:
                    if not 400 <= error.status < 500:  # else it is not offered, and was a courtesy
                        raise

    # The certificate.

    async def _download(self, client: AcmeClient, order: Order, placed: csr_acme.Order) -> Issued | Pending:
        alternates = _MOST_ALTERNATES if self._config.get("preferredChain") else 0
        try:
            chains = [load_bundle(pem) for pem in await client.certificate(placed, alternates)]
        except PkiError as error:
            raise Retryable(f"{self._account.host}: its certificate cannot be read: {error}") from None
        chain = self._preferred(chains)
        if all(spki_of(certificate) != public_key_der(order.csr.public_key()) for certificate in chain):
            # Of another process, or another client of the account. A CA that always says so is asked less often.
            text = "the order was fulfilled for another key, and another one is placed"
            self._outrun[order.key] = times = self._outrun.get(order.key, 0) + 1
            if times > 1:
                raise Lapsed(text, _PAUSE)
            return Pending("", timedelta(0), text)
        self._outrun.pop(order.key, None)
        if len(chain) == 1 and chain[0].issuer != chain[0].subject:
            raise Retryable(
                f"{self._account.host} sends the certificate without the intermediate certificates that lead to its "
                "root: it is not stored, and asked for again",
                _PAUSE,
            )
        reference, renewal = "", None
        with suppress(BackendError, ValueError):  # it is asked again, if it can be
            reference = renewal_id(chain[0])
            renewal = await self.suggest_renewal(reference)
        return Issued(
            chain,
            any_duration=not self._sets_duration,
            rules=_RULES,
            reference=reference,
            renewal=renewal,
        )

    def _preferred(self, chains: Sequence[Sequence[x509.Certificate]]) -> Sequence[x509.Certificate]:
        wanted = self._config.get("preferredChain")
        for chain in chains if wanted else ():
            names = [name for ca in chain[1:] for name in (ca.subject, ca.issuer)] + [chain[0].issuer]
            if any(a.value == wanted for name in names for a in name.get_attributes_for_oid(NameOID.COMMON_NAME)):
                return chain
        return chains[0]

    # What both have in common.

    def _later(self, handle: str, message: str, retry_after: float | None) -> Pending:
        looks = self._looks.get(handle, 0)
        self._looks[handle] = looks + 1
        wait = max(bounded_pause(retry_after), grow(_SOONEST, _LATEST, looks, 1.5))
        return Pending(handle, wait, message)

    @contextmanager
    def _translate_errors(self, key: str = "") -> Iterator[None]:
        """key: of the request, where there is one."""
        try:
            yield
        except AcmeError as error:
            raise self._to_backend_error(error, key) from error

    def _to_backend_error(self, error: AcmeError, key: str) -> BackendError:
        if self._account.heard(error):
            text = f"{self._account.host} no longer knows the account of this issuer, and a new one is created"
            return Retryable(text, _SOONEST)
        spread = int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) / 2**32 if key else 0.0
        return to_backend_error(error, self._clock(), self._account.secrets, pauses=self._pauses, spread=spread)

    def _forget(self, handle: str) -> None:
        self._proving.forget(handle)
        self._release(handle)

    def _release(self, handle: str) -> None:
        for known in (self._looks, self._refusals, self._claims):
            known.pop(handle, None)


def _may_be_because_of_it(error: Refused | Unreachable) -> bool:
    """Of an order that names what it replaces: without, it may be placed. Not every server says why it fails."""
    if isinstance(error, Refused) and error.problem.type in _UNRELATED:
        return False
    return error.status >= 400 and error.status not in _OVERLOADED  # 0: it did not answer


def _next_in_line() -> Pending:
    return Pending("", _SHARED, "another request for the same names is being signed; this one is next")


def _problem(authorization: Authorization) -> tuple[str, Problem | None]:
    """The name, and what the CA says is wrong with it, if it does."""
    return name_of(authorization), next((c.error for c in authorization.challenges if c.error), None)


def _unseen(unseen: Mapping[str, str]) -> str:
    first = [why if why.startswith(f"{name} ") else f"{name}: {why}" for name, why in sorted(unseen.items())[:NAMED]]
    more = f"; and {len(unseen) - NAMED} more" if len(unseen) > NAMED else ""
    return "; ".join(first) + more
