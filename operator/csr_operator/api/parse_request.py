"""From the dict of a CertificateRequest to `request.CertificateRequest`."""

import base64
import binascii
import hashlib
from functools import lru_cache

from csr_operator.pki.csr import CsrTemplate, csr_digest, load_csr, profile_with
from csr_operator.pki.errors import PkiError
from csr_operator.pki.fingerprint import whole_octets
from csr_operator.pki.keys import KeyAlgorithm, KeyEncoding, KeyParameters
from csr_operator.pki.names import Names, OtherName, Subject
from csr_operator.pki.profile import CustomExtension, NameConstraints, Profile, Subtrees

from .keys import InvalidSpec, IssuerRef, Kind, Raw, SecretKeyRef, parse_issuer_kind
from .names import (
    ABANDON_ANNOTATION,
    IMPORT_ANNOTATION,
    RENEW_ANNOTATION,
    REVOCATION_REASONS,
    REVOKE_ANNOTATION,
    SUPERSEDED,
)
from .reading import (
    describe_unreadable,
    problem_of,
    read_conditions,
    read_count,
    read_duration,
    read_field,
    read_items,
    read_mapping,
    read_optional,
    read_pairs,
    read_required,
    read_string,
    read_strings,
    read_text,
)
from .request import (
    DEFAULT_DURATION,
    CertificateRequest,
    KeystoreSpec,
    Outputs,
    PrivateKeySpec,
    RequestSpec,
    RequestStatus,
    Revocation,
    RotationPolicy,
    SecretTemplate,
    Wishes,
)


def parse_request(obj: Raw) -> CertificateRequest:
    """A spec that cannot be read does not raise: it is the request's `problem`, so that its user is told.

    `metadata` is what the API server checks for every object (ObjectMeta): without a name and a UID, nothing can be
    filed. All else may have any shape.
    """
    metadata, spec = obj["metadata"], read_mapping(obj, "spec")
    problem = ""
    try:
        parsed = _request_spec(spec)
        issuance_hash = parsed.issuance_hash()
    except Exception as error:
        problem = problem_of(error)
        parsed = RequestSpec(read_text(spec, "secretName"), _readable_refs(spec), CsrTemplate(Names(), Profile()))
        issuance_hash = parsed.issuance_hash()
    return CertificateRequest(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        generation=read_count(metadata, "generation"),
        created=read_text(metadata, "creationTimestamp"),
        spec=parsed,
        issuance_hash=issuance_hash,
        status=_request_status(read_mapping(obj, "status")),
        wishes=_wishes(read_mapping(metadata, "annotations")),
        being_deleted="deletionTimestamp" in metadata,
        finalizers=tuple(f for f in read_items(metadata, "finalizers") if isinstance(f, str)),
        problem=problem,
    )


def _request_spec(spec: Raw) -> RequestSpec:
    csr_pem, profile = read_string(spec, "request"), read_field("spec", _profile, spec)
    percentage = spec.get("renewBeforePercentage")
    if percentage is not None and percentage not in range(1, 100):
        raise InvalidSpec(describe_unreadable("spec.renewBeforePercentage"))
    return RequestSpec(
        secret_name=read_field("spec.secretName", read_required, spec, "secretName"),
        issuer_refs=read_field("spec.issuerRef", _issuer_refs, spec),
        template=CsrTemplate(
            names=read_field("spec", _names, spec),
            profile=read_field("spec.request", _profile_with, csr_pem, profile) if csr_pem else profile,
        ),
        csr_pem=csr_pem,
        private_key=read_field("spec.privateKey", _private_key, spec.get("privateKey") or {}, is_ca=profile.is_ca),
        secret_template=read_field("spec.secretTemplate", _secret_template, spec.get("secretTemplate") or {}),
        outputs=read_field("spec.keystores", _outputs, spec),
        duration=read_duration(spec, "duration") or DEFAULT_DURATION,
        renew_before=read_duration(spec, "renewBefore"),
        renew_before_percentage=percentage,
        retain=spec.get("deletionPolicy") == "Retain",
        revocation=read_field("spec.revocation", _revocation, spec.get("revocation") or {}),
    )


def _private_key(raw: Raw, *, is_ca: bool) -> PrivateKeySpec:
    # What a CA signed leads to its key: with another one, all of it would have to be issued anew.
    rotation = RotationPolicy.NEVER if is_ca else RotationPolicy.ALWAYS
    return PrivateKeySpec(
        parameters=KeyParameters(KeyAlgorithm(raw.get("algorithm") or KeyAlgorithm.ECDSA), read_optional(raw, "size")),
        encoding=KeyEncoding(raw.get("encoding") or KeyEncoding.PKCS1),
        rotation_policy=RotationPolicy(raw.get("rotationPolicy") or rotation),
        secret_ref=_secret_key_ref(raw.get("secretRef"), "tls.key"),
    )


def _secret_template(raw: Raw) -> SecretTemplate:
    return SecretTemplate(
        labels=read_pairs(raw.get("labels") or {}), annotations=read_pairs(raw.get("annotations") or {})
    )


def _revocation(raw: Raw) -> Revocation:
    return Revocation(bool(raw.get("onDelete")), bool(raw.get("onRotation")))


def _issuer_refs(spec: Raw) -> tuple[IssuerRef, ...]:
    single, several = spec.get("issuerRef"), spec.get("issuerRefs") or ()
    refs = (single, *several) if single is not None else several  # admission lets only one of them through
    return tuple(
        IssuerRef(read_required(ref, "name"), parse_issuer_kind(ref.get("kind") or Kind.ISSUER)) for ref in refs
    )


def _readable_refs(spec: Raw) -> tuple[IssuerRef, ...]:
    """None if one of them is not readable."""
    try:
        return _issuer_refs(spec)
    except Exception:
        return ()


def _secret_key_ref(raw: Raw | None, default_key: str) -> SecretKeyRef | None:
    return None if raw is None else SecretKeyRef(read_required(raw, "name"), read_string(raw, "key") or default_key)


def _outputs(spec: Raw) -> Outputs:
    keystores = spec.get("keystores") or {}
    formats = {f["type"] for f in spec.get("additionalOutputFormats") or ()}
    return Outputs(
        pkcs12=_keystore(keystores.get("pkcs12"), with_profile=True),
        jks=_keystore(keystores.get("jks")),
        der="DER" in formats,
        combined_pem="CombinedPEM" in formats,
    )


def _keystore(raw: Raw | None, *, with_profile: bool = False) -> KeystoreSpec | None:
    if raw is None or not raw["create"]:
        return None
    password = _secret_key_ref(raw["passwordSecretRef"], "password")
    assert password is not None
    return KeystoreSpec(password, read_string(raw, "alias"), read_string(raw, "profile") if with_profile else "")


def _wishes(annotations: Raw) -> Wishes:
    if not annotations:
        return _NO_WISHES
    renew = read_text(annotations, RENEW_ANNOTATION)
    if len(renew) > _LONGEST_WISH:
        # It is written to the Secret, among whose annotations there has to be room for it.
        renew = f"sha256:{hashlib.sha256(renew.encode(errors='replace')).hexdigest()}"
    serial_number, _, reason = read_text(annotations, REVOKE_ANNOTATION)[:_LONGEST_WISH].strip().partition(" ")
    return Wishes(
        renew=renew,
        revoke=whole_octets(serial_number) if serial_number else "",
        revoke_because=_REVOCATION_REASONS.get(reason.strip().lower()),
        imported=read_text(annotations, IMPORT_ANNOTATION),
        abandon_revocation=annotations.get(ABANDON_ANNOTATION) == "true",
    )


_NO_WISHES = Wishes()

_REVOCATION_REASONS = {"": SUPERSEDED, **{reason.lower(): reason for reason in REVOCATION_REASONS}}

_LONGEST_WISH = 256


def _names(spec: Raw) -> Names:
    subject = spec.get("subject") or {}
    return Names(
        common_name=read_string(spec, "commonName"),
        subject=Subject(
            countries=read_strings(subject, "countries"),
            organizations=read_strings(subject, "organizations"),
            organizational_units=read_strings(subject, "organizationalUnits"),
            localities=read_strings(subject, "localities"),
            provinces=read_strings(subject, "provinces"),
            street_addresses=read_strings(subject, "streetAddresses"),
            postal_codes=read_strings(subject, "postalCodes"),
            serial_number=read_string(subject, "serialNumber", "spec.subject"),
            email_address=read_string(subject, "emailAddress", "spec.subject"),
        ),
        literal_subject=read_string(spec, "literalSubject"),
        dns_names=read_strings(spec, "dnsNames"),
        ip_addresses=read_strings(spec, "ipAddresses"),
        uris=read_strings(spec, "uris"),
        email_addresses=read_strings(spec, "emailAddresses"),
        other_names=tuple(
            OtherName(read_required(o, "oid"), read_required(o, "utf8Value")) for o in spec.get("otherNames") or ()
        ),
    )


def _profile(spec: Raw) -> Profile:
    constraints, path_length = (
        spec.get("nameConstraints"),
        read_field("spec.pathLenConstraint", read_optional, spec, "pathLenConstraint"),
    )
    return Profile(
        usages=read_strings(spec, "usages"),
        is_ca=bool(spec.get("isCA")),
        path_length=path_length,
        name_constraints=None
        if not constraints
        else NameConstraints(
            permitted=_subtrees(constraints.get("permitted") or {}),
            excluded=_subtrees(constraints.get("excluded") or {}),
            critical=bool(constraints.get("critical")),
        ),
        must_staple=bool(spec.get("mustStaple")),
        extensions=tuple(
            CustomExtension(read_required(e, "oid"), _base64(read_required(e, "value")), bool(e.get("critical")))
            for e in spec.get("extensions") or ()
        ),
    )


@lru_cache(maxsize=256)
def _profile_with(csr_pem: str, profile: Profile) -> Profile:
    try:
        return profile_with(load_csr(csr_pem.encode()), profile)
    except PkiError as error:
        raise InvalidSpec(f"spec.request: {error}") from None


def _subtrees(raw: Raw) -> Subtrees:
    return Subtrees(
        dns_domains=read_strings(raw, "dnsDomains"),
        ip_ranges=read_strings(raw, "ipRanges"),
        email_addresses=read_strings(raw, "emailAddresses"),
        uri_domains=read_strings(raw, "uriDomains"),
    )


_MOST_REVISIONS = 1_000_000_000
"""More than any request has seen; the number after a forged one has to be storable."""


def _request_status(status: Raw) -> RequestStatus:
    """Of what has another shape than it should, nothing is taken: status decides nothing but approval."""
    revision = read_count(status, "revision")
    return RequestStatus(
        conditions=read_conditions(status),
        observed_generation=read_count(status, "observedGeneration"),
        serial_number=read_text(status, "serialNumber"),
        not_before=read_text(status, "notBefore"),
        not_after=read_text(status, "notAfter"),
        renewal_time=read_text(status, "renewalTime"),
        revision=revision if revision <= _MOST_REVISIONS else 0,
        sha256_fingerprint=read_text(status, "sha256Fingerprint"),
        csr_digest=csr_digest(read_text(status, "csr")),
        pace=read_text(status, "pace"),
    )


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidSpec("spec.extensions[].value: not base64; give the DER value in base64") from None
