"""From the dict of a CertificateRequest to `request.CertificateRequest`."""

import base64
import binascii
import hashlib
from functools import lru_cache

from csr_operator.pki.csr import CsrTemplate, csr_digest, load_csr, profile_with
from csr_operator.pki.errors import PkiError, quoted
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
    is_name,
)
from .reading import (
    describe_unreadable,
    problem_of,
    read_below,
    read_choice,
    read_conditions,
    read_count,
    read_duration,
    read_field,
    read_flag,
    read_items,
    read_list,
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
        parsed = RequestSpec(_readable_secret_name(spec), _readable_refs(spec), CsrTemplate(Names(), Profile()))
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


_NO_KEY, _NO_TEMPLATE, _NO_OUTPUTS, _NO_REVOCATION = PrivateKeySpec(), SecretTemplate(), Outputs(), Revocation()
_NO_SUBJECT, _NO_PROFILE, _NO_WISHES = Subject(), Profile(), Wishes()
"""What a spec says nothing of: one value for all requests, as there may be many thousands."""

_OUTPUTS = frozenset(("additionalOutputFormats", "keystores"))
_PROFILE = frozenset(("usages", "isCA", "pathLenConstraint", "nameConstraints", "mustStaple", "extensions"))
"""The fields of a spec that each is read from."""


def _request_spec(spec: Raw) -> RequestSpec:
    csr_pem, profile = read_string(spec, "request"), _profile(spec)
    percentage = read_field("spec.renewBeforePercentage", read_optional, spec, "renewBeforePercentage")
    if percentage is not None and percentage not in range(1, 100):
        raise InvalidSpec(describe_unreadable("spec.renewBeforePercentage"))
    return RequestSpec(
        secret_name=_secret_name(spec),
        issuer_refs=read_field("spec.issuerRef", _needed_issuer_refs, spec),
        template=CsrTemplate(
            names=_names(spec),
            profile=read_field("spec.request", _profile_with, csr_pem, profile) if csr_pem else profile,
        ),
        csr_pem=csr_pem,
        private_key=read_field("spec.privateKey", _private_key, spec, is_ca=profile.is_ca),
        secret_template=read_field("spec.secretTemplate", _secret_template, spec),
        outputs=_outputs(spec),
        duration=read_duration(spec, "duration") or DEFAULT_DURATION,
        renew_before=read_duration(spec, "renewBefore"),
        renew_before_percentage=percentage,
        retain=read_choice(spec, "deletionPolicy", ("Delete", "Retain")) == "Retain",
        revocation=read_field("spec.revocation", _revocation, spec),
    )


def _private_key(spec: Raw, *, is_ca: bool) -> PrivateKeySpec:
    raw, where = read_below(spec, "privateKey"), "spec.privateKey"
    if not raw and not is_ca:
        return _NO_KEY
    # What a CA signed leads to its key: with another one, all of it would have to be issued anew.
    rotation = RotationPolicy.NEVER if is_ca else RotationPolicy.ALWAYS
    return _key_spec(
        read_string(raw, "algorithm", where) or KeyAlgorithm.ECDSA,
        read_optional(raw, "size"),
        read_string(raw, "encoding", where) or KeyEncoding.PKCS1,
        read_string(raw, "rotationPolicy", where) or rotation,
        _secret_key_ref(raw.get("secretRef"), "tls.key", f"{where}.secretRef"),
    )


@lru_cache(maxsize=256)
def _key_spec(
    algorithm: str, size: int | None, encoding: str, rotation_policy: str, secret_ref: SecretKeyRef | None
) -> PrivateKeySpec:
    # Nearly all requests want the same few: one value serves them all.
    return PrivateKeySpec(
        parameters=KeyParameters(KeyAlgorithm(algorithm), size),
        encoding=KeyEncoding(encoding),
        rotation_policy=RotationPolicy(rotation_policy),
        secret_ref=secret_ref,
    )


def _secret_template(spec: Raw) -> SecretTemplate:
    if not (raw := read_below(spec, "secretTemplate")):
        return _NO_TEMPLATE
    return SecretTemplate(
        labels=read_pairs(read_below(raw, "labels")), annotations=read_pairs(read_below(raw, "annotations"))
    )


def _revocation(spec: Raw) -> Revocation:
    raw, where = read_below(spec, "revocation"), "spec.revocation"
    if not raw:
        return _NO_REVOCATION
    return Revocation(read_flag(raw, "onDelete", where), read_flag(raw, "onRotation", where))


def _secret_name(spec: Raw) -> str:
    if not (name := read_string(spec, "secretName")):
        raise InvalidSpec("spec.secretName: it is missing: name the Secret that the certificate is to be written to")
    if not is_name(name) or len(name) > _LONGEST_NAME:
        raise InvalidSpec(
            f"spec.secretName: {quoted(name)} is not a valid Secret name: use lower-case letters, digits, hyphens and "
            f"dots, with a letter or digit at both ends of each part, and {_LONGEST_NAME} characters at most"
        )
    return name


_LONGEST_NAME = 253


def _readable_secret_name(spec: Raw) -> str:
    """Empty if it is none."""
    try:
        return _secret_name(spec)
    except InvalidSpec:
        return ""


def _needed_issuer_refs(spec: Raw) -> tuple[IssuerRef, ...]:
    if not (refs := _issuer_refs(spec)):
        raise InvalidSpec("spec.issuerRef: it is missing: name the issuer that is to sign the certificate")
    return refs


def _issuer_refs(spec: Raw) -> tuple[IssuerRef, ...]:
    single, several = spec.get("issuerRef"), read_list(spec, "issuerRefs")
    refs = (single, *several) if single is not None else several  # admission lets only one of them through
    return _shared_refs(
        tuple(
            (read_required(ref, "name"), read_string(ref, "kind", "spec.issuerRef") or Kind.ISSUER.value)
            for ref in refs
        )
    )


@lru_cache(maxsize=256)
def _shared_refs(names_and_kinds: tuple[tuple[str, str], ...]) -> tuple[IssuerRef, ...]:
    return tuple(IssuerRef(name, parse_issuer_kind(kind)) for name, kind in names_and_kinds)


def _readable_refs(spec: Raw) -> tuple[IssuerRef, ...]:
    """None if one of them is not readable."""
    try:
        return _issuer_refs(spec)
    except Exception:
        return ()


def _secret_key_ref(raw: Raw | None, default_key: str, where: str) -> SecretKeyRef | None:
    if raw is None:
        return None
    return SecretKeyRef(read_required(raw, "name"), read_string(raw, "key", where) or default_key)


def _outputs(spec: Raw) -> Outputs:
    if _OUTPUTS.isdisjoint(spec):
        return _NO_OUTPUTS
    formats = read_field("spec.additionalOutputFormats", _formats, spec)
    pkcs12, jks = read_field("spec.keystores", _keystores, spec)
    return Outputs(pkcs12, jks, der="DER" in formats, combined_pem="CombinedPEM" in formats)


def _formats(spec: Raw) -> set[str]:
    return {read_required(entry, "type") for entry in read_list(spec, "additionalOutputFormats")}


def _keystores(spec: Raw) -> tuple[KeystoreSpec | None, KeystoreSpec | None]:
    raw = read_below(spec, "keystores")
    return _keystore(raw, "pkcs12", with_profile=True), _keystore(raw, "jks")


def _keystore(keystores: Raw, kind: str, *, with_profile: bool = False) -> KeystoreSpec | None:
    if keystores.get(kind) is None:
        return None
    raw, where = read_below(keystores, kind), f"spec.keystores.{kind}"
    if "create" not in raw:
        raise KeyError("create")
    if not read_flag(raw, "create", where):
        return None
    password = _secret_key_ref(raw["passwordSecretRef"], "password", f"{where}.passwordSecretRef")
    assert password is not None
    return KeystoreSpec(
        password, read_string(raw, "alias", where), read_string(raw, "profile", where) if with_profile else ""
    )


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


_REVOCATION_REASONS = {"": SUPERSEDED, **{reason.lower(): reason for reason in REVOCATION_REASONS}}

_LONGEST_WISH = 256


def _names(spec: Raw) -> Names:
    return Names(
        common_name=read_string(spec, "commonName"),
        subject=read_field("spec.subject", _subject, spec),
        literal_subject=read_string(spec, "literalSubject"),
        dns_names=read_strings(spec, "dnsNames"),
        ip_addresses=read_strings(spec, "ipAddresses"),
        uris=read_strings(spec, "uris"),
        email_addresses=read_strings(spec, "emailAddresses"),
        other_names=read_field("spec.otherNames", _other_names, spec),
    )


def _subject(spec: Raw) -> Subject:
    raw, where = read_below(spec, "subject"), "spec.subject"
    if not raw:
        return _NO_SUBJECT
    return Subject(
        countries=read_strings(raw, "countries", where),
        organizations=read_strings(raw, "organizations", where),
        organizational_units=read_strings(raw, "organizationalUnits", where),
        localities=read_strings(raw, "localities", where),
        provinces=read_strings(raw, "provinces", where),
        street_addresses=read_strings(raw, "streetAddresses", where),
        postal_codes=read_strings(raw, "postalCodes", where),
        serial_number=read_string(raw, "serialNumber", where),
        email_address=read_string(raw, "emailAddress", where),
    )


def _other_names(spec: Raw) -> tuple[OtherName, ...]:
    return tuple(
        OtherName(read_required(entry, "oid"), read_required(entry, "utf8Value"))
        for entry in read_list(spec, "otherNames")
    )


def _profile(spec: Raw) -> Profile:
    if _PROFILE.isdisjoint(spec):
        return _NO_PROFILE
    return _shared(_profile_of(spec))


@lru_cache(maxsize=256)
def _shared(profile: Profile) -> Profile:
    return profile


def _profile_of(spec: Raw) -> Profile:
    return Profile(
        usages=read_strings(spec, "usages"),
        is_ca=read_flag(spec, "isCA"),
        path_length=read_field("spec.pathLenConstraint", read_optional, spec, "pathLenConstraint"),
        name_constraints=read_field("spec.nameConstraints", _name_constraints, spec),
        must_staple=read_flag(spec, "mustStaple"),
        extensions=read_field("spec.extensions", _extensions, spec),
    )


def _name_constraints(spec: Raw) -> NameConstraints | None:
    if not (raw := read_below(spec, "nameConstraints")):
        return None
    return NameConstraints(
        permitted=_subtrees(raw, "permitted"),
        excluded=_subtrees(raw, "excluded"),
        critical=read_flag(raw, "critical", "spec.nameConstraints"),
    )


def _extensions(spec: Raw) -> tuple[CustomExtension, ...]:
    return tuple(
        CustomExtension(
            read_required(entry, "oid"),
            _base64(read_required(entry, "value")),
            read_flag(entry, "critical", "spec.extensions[]"),
        )
        for entry in read_list(spec, "extensions")
    )


@lru_cache(maxsize=256)
def _profile_with(csr_pem: str, profile: Profile) -> Profile:
    try:
        return profile_with(load_csr(csr_pem.encode()), profile)
    except PkiError as error:
        raise InvalidSpec(f"spec.request: {error}") from None


def _subtrees(constraints: Raw, which: str) -> Subtrees:
    raw, where = read_below(constraints, which), f"spec.nameConstraints.{which}"
    return Subtrees(
        dns_domains=read_strings(raw, "dnsDomains", where),
        ip_ranges=read_strings(raw, "ipRanges", where),
        email_addresses=read_strings(raw, "emailAddresses", where),
        uri_domains=read_strings(raw, "uriDomains", where),
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
