"""`digicertOne`: Trust Lifecycle Manager of DigiCert ONE, by its REST API (`/mpki/api/v1`, OpenAPI 1.0.0).

It answers at once. A certificate that was issued for an order whose answer was lost is found among those of its seat,
by the public key.
"""

import base64
import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from csr_operator.pki.chain import load_bundle, spki_of
from csr_operator.pki.errors import PkiError
from csr_operator.pki.extensions import alternative_names
from csr_operator.pki.fingerprint import serial_octets, sha256_fingerprint
from csr_operator.pki.keys import public_key_der
from csr_operator.pki.signatures import is_self_signed
from csr_operator.pki.verify import CA_DECIDES
from csr_operator.plugin.backend import Backend, Health, Issued, Order, Pending, Traits
from csr_operator.plugin.context import Context
from csr_operator.plugin.errors import Misconfigured, Rejected, Retryable
from csr_operator.plugin.fresh import Fresh
from csr_operator.plugin.shape import published_form

from .client import Client, Refused

DEFAULT_URL = "https://one.digicert.com"
_PAGE = 100
_MOST_ISSUERS = 10
_ADVICE = {
    r"^http status 404": f"spec.digicertOne.url has to be that of a DigiCert ONE, such as {DEFAULT_URL}",
    r"seat": "see in DigiCert ONE that the account has seats left, or set spec.digicertOne.seatId",
    r"profile": "check that spec.digicertOne.profileId is a profile that this API key may use",
    r"validity|duration": "ask for a duration that the profile allows",
    r"csr|key": "choose another algorithm or size in privateKey, as the profile allows",
    r"subject|san|attribute|extension": "ask for the names that the profile requires",
}
_SUBJECT = {
    NameOID.COMMON_NAME: "common_name",
    NameOID.ORGANIZATION_NAME: "organization_name",
    NameOID.COUNTRY_NAME: "country",
    NameOID.STATE_OR_PROVINCE_NAME: "state",
    NameOID.LOCALITY_NAME: "locality",
    NameOID.POSTAL_CODE: "postal_code",
    NameOID.SERIAL_NUMBER: "serial_number",
    NameOID.EMAIL_ADDRESS: "email",
}
_SUBJECT_LISTS = {
    NameOID.ORGANIZATIONAL_UNIT_NAME: "organization_units",
    NameOID.STREET_ADDRESS: "street_address",
    NameOID.DOMAIN_COMPONENT: "domain_component",
}
_NAMES: dict[type[x509.GeneralName], str] = {
    x509.DNSName: "dns_names",
    x509.IPAddress: "ip_addresses",
    x509.RFC822Name: "emails",
    x509.UniformResourceIdentifier: "uris",
}
_REASONS = {
    x509.ReasonFlags.key_compromise: "key_compromise",
    x509.ReasonFlags.ca_compromise: "ca_compromise",
    x509.ReasonFlags.affiliation_changed: "affiliation_changed",
    x509.ReasonFlags.superseded: "superseded",
    x509.ReasonFlags.cessation_of_operation: "cessation_of_operation",
    x509.ReasonFlags.privilege_withdrawn: "privilege_withdrawn",
    x509.ReasonFlags.aa_compromise: "aa_compromise",
}


class DigicertOneBackend(Backend):
    """Issuers of `spec.digicertOne`: certificates by a profile of DigiCert ONE's Trust Lifecycle Manager."""

    traits = Traits(costs=True, revokes=True)  # each certificate takes from the account's seats and licences

    def __init__(self, config: Mapping[str, Any], context: Context) -> None:
        base = f"{(config.get('url') or DEFAULT_URL).rstrip('/')}/mpki/api/v1"
        self._client = Client(base, "x-api-key", config, context, "spec.digicertOne", _ADVICE)
        self._profile_id, self._seat_id = str(config["profileId"]), str(config.get("seatId") or "")
        self._profile = Fresh(self._look, self._client.key, context.clock)

    @classmethod
    def create(cls, config: Mapping[str, Any], context: Context) -> Self:
        if not config.get("profileId"):
            raise Misconfigured("spec.digicertOne.profileId: write the ID of a certificate profile")
        return cls(config, context)

    async def check(self) -> Health:
        return Health(f"issues by the profile {(await self._profile.found()).get('name') or self._profile_id}")

    async def _look(self) -> Mapping[str, Any]:
        """The profile, in full. Raises BackendError if it cannot be used."""
        with published_form("what DigiCert ONE says of its profiles"):
            return await self._usable_profile()

    async def _usable_profile(self) -> Mapping[str, Any]:
        answer = await self._client.get("profile")
        profiles = answer if isinstance(answer, list) else (answer or {}).get("items", ())
        if self._profile_id not in {item.get("id") for item in profiles}:
            usable = [f"{item.get('id')} ({item.get('name')})" for item in profiles if _is_usable(item)]
            raise Misconfigured(
                f"spec.digicertOne.profileId: DigiCert ONE has no profile {self._profile_id} for this API key; those "
                f"that it has for REST requests: {', '.join(sorted(usable)) or 'none'}"
            )
        profile: Mapping[str, Any] = await self._client.get(f"profile/{self._profile_id}")
        if not _is_usable(profile):
            raise Misconfigured(
                f"profile {profile.get('name')} is {profile.get('status')}, with the enrollment method "
                f"{profile.get('enrollment_method')} and the authentication method "
                f"{profile.get('authentication_method')}: it has to be Active, with rest_api and third_party_app"
            )
        return profile

    async def submit(self, order: Order) -> Issued | Pending:
        attributes = _attributes(order.csr)
        seat = self._seat_id or _first_name(order.csr)
        if order.repeated and (certificate := await self._find(seat, order)) is not None:
            return await self._issued([certificate])
        body: dict[str, Any] = {
            "profile": {"id": self._profile_id},
            "seat": {"seat_id": seat},
            "csr": order.csr.public_bytes(Encoding.PEM).decode(),
            "delivery_format": "x509",
            "include_ca_chain": True,
            "attributes": attributes,
        }
        if (await self._profile.found()).get("override_cert_validity_via_api"):
            body["validity"] = _validity(order.duration)
        answer = await self._client.send("POST", "certificate", body)
        with published_form("DigiCert ONE's answer to the order"):
            text = str(answer["certificate"]).encode()
        try:
            return await self._issued(load_bundle(text))
        except PkiError as error:
            raise Retryable(f"the certificate in DigiCert ONE's answer cannot be read: {error}") from None

    async def poll(self, order: Order, handle: str) -> Issued | Pending:
        return await self.submit(order)

    async def _find(self, seat: str, order: Order) -> x509.Certificate | None:
        """The newest certificate with this order's key, if it is newer than the one that it follows: that one may have
        the same.
        """
        wanted = public_key_der(order.csr.public_key())
        issued: list[x509.Certificate] = []
        query = {"profile_id": self._profile_id, "seat_id": seat, "status": "ISSUED"}
        async for page in self._client.pages("certificate-search", "items", query, _PAGE):
            certificates = [_certificate(item.get("certificate")) for item in page]
            issued += [leaf for leaf in certificates if leaf is not None and spki_of(leaf) == wanted]
        newest = max(issued, key=lambda leaf: leaf.not_valid_before_utc, default=None)
        return None if newest is None or serial_octets(newest) == order.replaces else newest

    async def _issued(self, certificates: Sequence[x509.Certificate]) -> Issued:
        profile = await self._profile.found()
        with published_form("what DigiCert ONE says of its profile"):
            issuers = _issuers(profile)
        roots = [issuer for issuer in issuers if is_self_signed(issuer)]
        reference = serial_octets(certificates[0])
        return Issued((*certificates, *issuers), roots, any_duration=True, rules=CA_DECIDES, reference=reference)

    async def revoke(self, certificate: x509.Certificate, reason: x509.ReasonFlags) -> None:
        serial = serial_octets(certificate)
        body = {"revocation_reason": _REASONS.get(reason, "unspecified")}
        known = await self._known(serial)
        theirs = _certificate(known.get("certificate"))
        if theirs is None or sha256_fingerprint(theirs) != sha256_fingerprint(certificate):
            raise Rejected(
                f"DigiCert ONE has no certificate that is the same as this one, with the serial number {serial}: "
                "nothing is revoked"
            )
        thumbprint = sha256_fingerprint(certificate).replace(":", "").upper()
        try:
            await self._client.send("PUT", f"certificate/{serial}/revoke", body, {"thumbprint_sha256": thumbprint})
        except Refused:
            if str((await self._known(serial)).get("status")).lower() != "revoked":
                raise

    async def _known(self, serial: str) -> Mapping[str, Any]:
        """Empty if there is none."""
        try:
            known = await self._client.get(f"certificate/{serial}")
        except Refused as error:
            if error.status == 404:
                return {}
            raise
        return known if isinstance(known, dict) else {}


def _is_usable(profile: Mapping[str, Any]) -> bool:
    wanted = {"status": "Active", "enrollment_method": "rest_api", "authentication_method": "third_party_app"}
    return all(profile.get(name, value) == value for name, value in wanted.items())


def _issuers(profile: Mapping[str, Any]) -> list[x509.Certificate]:
    """The CA that signs, and those above it."""
    issuer = (profile.get("certificate") or {}).get("issuer") or {}
    certificates = [
        _certificate(entry.get("certificate")) for entry in [issuer, *(issuer.get("chain") or ())][:_MOST_ISSUERS]
    ]
    return [certificate for certificate in certificates if certificate is not None]


def _certificate(text: object) -> x509.Certificate | None:
    """From PEM, or from DER in Base64."""
    try:
        data = str(text or "").strip().encode()
        if b"-----BEGIN" not in data:
            data = base64.b64decode(b"".join(data.split()), validate=True)
        return load_bundle(data)[0]
    except (ValueError, PkiError):
        return None


def _attributes(csr: x509.CertificateSigningRequest) -> dict[str, Any]:
    """Raises Rejected for names that the API has no field for."""
    subject: dict[str, Any] = {}
    for attribute in csr.subject:
        if (name := _SUBJECT.get(attribute.oid)) is not None and name not in subject:
            subject[name] = str(attribute.value)
        elif (name := _SUBJECT_LISTS.get(attribute.oid)) is not None:
            subject.setdefault(name, []).append(str(attribute.value))
        else:
            text = attribute.rfc4514_string()
            raise Rejected(f"DigiCert ONE takes no further {text} in a subject: remove it, or use another issuer")
    names: dict[str, Any] = {}
    try:
        for alternative in alternative_names(csr):
            if (field := _NAMES.get(type(alternative))) is None:
                raise Rejected("this backend sends DigiCert ONE no other names than those of hosts, people and URIs")
            names.setdefault(field, []).append(str(alternative.value))
    except PkiError as error:
        raise Rejected(str(error)) from None
    return {"subject": subject, "extensions": {"san": names}} if names else {"subject": subject}


def _first_name(csr: x509.CertificateSigningRequest) -> str:
    common_names = [str(attribute.value) for attribute in csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    texts = [*common_names, *(str(name.value) for name in alternative_names(csr))]
    if not texts:
        raise Rejected("DigiCert ONE requires a seat: set spec.digicertOne.seatId, or ask for a name")
    return texts[0]


def _validity(duration: timedelta) -> dict[str, Any]:
    """Rounded up to minutes, and in the largest unit that is exact."""
    minutes = max(math.ceil(duration / timedelta(minutes=1)), 1)
    for unit, size in (("days", 24 * 60), ("hours", 60)):
        if minutes % size == 0:
            return {"unit": unit, "duration": minutes // size}
    return {"unit": "minutes", "duration": minutes}
