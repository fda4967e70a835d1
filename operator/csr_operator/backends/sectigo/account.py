"""What the account has: the organization and the certificate profile that the issuer names."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from csr_operator.plugin.errors import Misconfigured, Rejected
from csr_operator.plugin.fresh import Fresh
from csr_operator.plugin.shape import published_form
from csr_operator.plugin.text import redact

from .client import Client
from .refusals import Refusal, judge
from .settings import Settings

_MOST_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Choice:
    """terms: that the profile offers, in days, the shortest first."""

    organization: int
    organization_name: str
    profile: int
    profile_name: str
    terms: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Entry:
    id: int
    name: str

    def __str__(self) -> str:
        return f"{self.id} ({self.name})"


class Account:
    """What an order needs to know of the account; raises Misconfigured, with what the account does have, and
    Retryable."""

    def __init__(self, client: Client, settings: Settings, clock: Callable[[], datetime]) -> None:
        self._client, self._settings = client, settings
        self.choice = Fresh(self._choose, client.fingerprint, clock)

    async def _choose(self) -> Choice:
        with published_form("what Sectigo says of the account"):
            try:
                return await self._ask()
            except Refusal as refusal:
                raise judge(refusal) from None

    async def _ask(self) -> Choice:
        settings = self._settings
        organization = _pick(settings.organization, await self._organizations(), "organization")
        listed = await self._client.get("/ssl/v1/types", {"organizationId": str(organization.id)})
        terms = {int(entry["id"]): tuple(sorted(int(term) for term in entry.get("terms") or ())) for entry in listed}
        profiles = [_entry(entry) for entry in listed]
        profile = _pick(settings.profile, profiles, "profile", f" for organization {organization}")
        if settings.term and settings.term not in terms[profile.id]:
            raise Misconfigured(
                f"spec.sectigo.term: certificate profile {profile} has no term of {settings.term} days; it has "
                + ", ".join(map(str, terms[profile.id]))
            )
        await self._check_custom_fields()
        return Choice(organization.id, organization.name, profile.id, profile.name, terms[profile.id])

    async def _organizations(self) -> list[_Entry]:
        """Each with its departments, which order by IDs of their own."""
        wanted = self._settings.organization
        try:
            listed = await self._client.get("/organization/v1")
        except Misconfigured:
            if not wanted.isdigit():
                raise
            return [_Entry(int(wanted), wanted)]  # not every role may list them
        entries = []
        for organization in listed:
            entries += [
                _entry(organization),
                *(_entry(department) for department in organization.get("departments") or ()),
            ]
        return entries

    async def _check_custom_fields(self) -> None:
        try:
            known = await self._client.get("/ssl/v1/customFields")
        except Misconfigured:
            return  # not every role may list them
        given = {name for name, value in self._settings.custom_fields if value}
        names = {str(field["name"]) for field in known}
        if unknown := sorted(given - names):
            raise Misconfigured(
                f"spec.sectigo.customFields: the account has no {_listed(unknown)}; it has {_listed(sorted(names))}"
            )
        if missing := sorted({str(field["name"]) for field in known if field.get("mandatory")} - given):
            raise Misconfigured(f"spec.sectigo.customFields: {_listed(missing)} is mandatory: give it a value")


def term_for(choice: Choice, settings: Settings, duration: timedelta) -> int:
    """The term in days: the issuer's, or else the shortest that lasts as long as the request asks for.

    Raises Rejected if none does.
    """
    if settings.term:
        return settings.term
    if (term := next((term for term in choice.terms if timedelta(days=term) >= duration), None)) is not None:
        return term
    raise Rejected(
        f"spec.duration: certificate profile {choice.profile_name} has no term that long; it has "
        f"{', '.join(map(str, choice.terms))} days: ask for at most {max(choice.terms, default=0) * 24}h"
    )


def _entry(listed: Any) -> _Entry:
    return _Entry(int(listed["id"]), redact(listed.get("name", "")))


def _pick(wanted: str, entries: Sequence[_Entry], field: str, where: str = "") -> _Entry:
    """By its ID, or by its name if only one has it."""
    fitting = [entry for entry in entries if wanted == str(entry.id)] or [
        entry for entry in entries if wanted == entry.name
    ]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise Misconfigured(
            f"spec.sectigo.{field}: {len(fitting)} have the name {wanted}: write its ID; {_listed(fitting)}"
        )
    has = f"it has {_listed(entries)}" if entries else "it has none"
    what = "organization or department" if field == "organization" else "certificate profile"
    raise Misconfigured(f"spec.sectigo.{field}: the account has no {what} {wanted}{where}; {has}")


def _listed(entries: Iterable[object]) -> str:
    texts = [str(entry) for entry in entries]
    more = f" and {len(texts) - _MOST_SHOWN} more" if len(texts) > _MOST_SHOWN else ""
    return ", ".join(texts[:_MOST_SHOWN]) + more
