"""From the dicts that the Kubernetes API sends to the values of `model.py`; nothing below this sees a raw dict."""

import base64
import binascii
import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from typing import NamedTuple, TypeVar

from cryptography import x509

from .model import (
    ABANDON_ANNOTATION,
    DEFAULT_DURATION,
    GROUP,
    IMPORT_ANNOTATION,
    MANAGED_LABEL,
    MANAGER,
    ORDER_FINALIZER,
    OWED_ANNOTATION,
    RENEW_ANNOTATION,
    RENEWAL_WINDOW_ANNOTATION,
    RETAINED_ANNOTATION,
    REVOKE_ANNOTATION,
    SEAL_ANNOTATION,
    STAGING_LABEL,
    CertificateRequest,
    Condition,
    InvalidSpec,
    Issuer,
    IssuerRef,
    KeystoreSpec,
    Kind,
    Limits,
    Outputs,
    PrivateKeySpec,
    Raw,
    Record,
    RequestSpec,
    RequestStatus,
    Revocation,
    RotationPolicy,
    SecretKey,
    SecretKeyRef,
    SecretMeta,
    SecretTemplate,
    Staged,
    Window,
    Wishes,
    parse_duration,
)
from .owed import read_debts
from .pki.csr import CsrTemplate, csr_digest, load_csr, profile_with
from .pki.errors import PkiError
from .pki.keys import KeyAlgorithm, KeyEncoding, KeyParameters
from .pki.names import Names, OtherName, Subject
from .pki.profile import CustomExtension, NameConstraints, Profile, Subtrees
from .pki.usages import normalized_usages
from .policy import (
    SUBJECT_FIELDS,
    AllowedKey,
    AllowedNames,
    Default,
    Namespaces,
    Policy,
    Requirement,
    Rule,
    canonical_attribute,
    canonical_common_name,
    canonical_dns_name,
    canonical_email_address,
    canonical_suffix,
    canonical_uri,
)
from .seal import Seal, record_parts, staged_parts

T = TypeVar("T")


def parse_request(obj: Raw) -> CertificateRequest:
    """A spec that cannot be read does not raise: it is the request's `problem`, so that its user is told."""
    metadata, spec = obj["metadata"], obj["spec"]
    problem = ""
    try:
        parsed = _request_spec(spec)
    except ValueError as error:  # InvalidSpec, or a PkiError
        problem = str(error)
        parsed = RequestSpec(spec["secretName"], _issuer_refs(spec), CsrTemplate(Names(), Profile()))
    return CertificateRequest(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        generation=metadata.get("generation", 0),
        created=metadata["creationTimestamp"],
        spec=parsed,
        issuance_hash=parsed.issuance_hash(),
        status=_request_status(obj.get("status") or {}),
        wishes=_wishes(metadata.get("annotations")),
        being_deleted="deletionTimestamp" in metadata,
        finalizers=tuple(metadata.get("finalizers") or ()),
        problem=problem,
    )


def parse_issuer(obj: Raw) -> Issuer:
    """A spec that cannot be read does not raise: it is the issuer's `problem`."""
    metadata, spec = obj["metadata"], obj["spec"]
    backends = [name for name in spec if name not in ("policy", "approval", "limits")]
    backend, policy, problem = "", None, ""
    config: Raw = {}
    try:
        if len(backends) != 1:
            raise InvalidSpec("spec: name exactly one backend, such as `selfSigned: {}` or `ca: {secretName: ...}`")
        (backend,) = backends
        config = spec[backend] or {}
        if backend == "external":
            backend, config = config["name"], config.get("config") or {}
        policy = _policy(spec["policy"]) if "policy" in spec else None
    except ValueError as error:
        problem = str(error)
    limits = spec.get("limits") or {}
    return Issuer(
        kind=Kind(obj["kind"]),
        namespace=metadata.get("namespace", ""),
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        generation=metadata.get("generation", 0),
        backend=backend,
        config=config,
        policy=policy,
        needs_approval=spec.get("approval") == "Manual",
        limits=Limits(limits.get("concurrent") or Limits().concurrent, limits.get("perMinute")),
        conditions=_conditions(obj.get("status") or {}),
        problem=problem,
    )


def parse_secret_meta(obj: Raw, seal: Seal | None) -> SecretMeta:
    """From a PartialObjectMetadata (or a whole Secret, of which only the metadata is kept).

    seal: without it, what stands in the annotations is believed, which is for showing it and for nothing else.
    """
    metadata = obj["metadata"]
    key = SecretKey(metadata["namespace"], metadata["name"])
    owned = _owned_fields(metadata.get("managedFields") or ())
    written = metadata.get("annotations") or {}
    annotations = {k: v for k, v in written.items() if k in owned.annotations}
    labels = {k: v for k, v in (metadata.get("labels") or {}).items() if k in owned.labels}
    owner_uid = owner = ""
    for reference in metadata.get("ownerReferences") or ():
        if reference.get("controller"):
            owner_uid, owner = reference["uid"], f"{reference['kind']} {reference['name']}"
    code, forged = written.get(SEAL_ANNOTATION, ""), []
    sealed = seal is None or seal.verifies(code, "record", *record_parts(key, written))
    record = Record.from_annotations(written) if sealed else None
    if record is not None:
        record = replace(record, window=_window(key, record, written.get(RENEWAL_WINDOW_ANNOTATION, ""), seal))
    elif code and not sealed:
        forged.append(SEAL_ANNOTATION)
    owed = read_debts(key, written.get(OWED_ANNOTATION, ""), seal)
    if owed is None:
        forged.append(OWED_ANNOTATION)
    if record is not None and not owner_uid:
        owner = "a request that is gone"
    return SecretMeta(
        namespace=key.namespace,
        name=key.name,
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        owner_uid=owner_uid,
        owner=owner,
        intact_data=owned.data,
        template_digest=SecretTemplate(_users_items(labels), _users_items(annotations)).digest()
        if labels.get(MANAGED_LABEL) == "true"
        else "",
        record=record,
        # As little as an owner reference, which also says whose a Secret is, does it give anything to who sets it.
        retained_for=(annotations if record is None else written).get(RETAINED_ANNOTATION, ""),
        owed=owed or (),
        forged=tuple(forged),
    )


def _window(secret: SecretKey, record: Record, written: str, seal: Seal | None) -> Window | None:
    serial_number, _, rest = written.partition(" ")
    times, _, code = rest.partition(" ")
    if serial_number != record.serial_number:
        return None  # that of another certificate
    if seal is not None and not seal.verifies(code, "window", *secret, serial_number, times):
        return None
    return Window.read(times)


def parse_staged(obj: Raw, seal: Seal | None) -> Staged | None:
    """From the metadata of a staging Secret; None if it is another Secret. seal: as for `parse_secret_meta`."""
    metadata = obj["metadata"]
    if (metadata.get("labels") or {}).get(STAGING_LABEL) != "true":
        return None
    annotations = metadata.get("annotations") or {}
    key = SecretKey(metadata["namespace"], metadata["name"])
    owners: Sequence[Raw] = metadata.get("ownerReferences") or ({},)
    staged = Staged(
        namespace=key.namespace,
        name=key.name,
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        created=metadata["creationTimestamp"],
        owner_uid=owners[0].get("uid", ""),
        issuance_hash="",
        revision=0,
        issuer="",
        csr="",
        handle="",
        leaves_traces=ORDER_FINALIZER in (metadata.get("finalizers") or ()),
        deleted=metadata.get("deletionTimestamp") or "",
        authentic=False,
    )
    code = annotations.get(SEAL_ANNOTATION, "")
    if seal is not None and not seal.verifies(code, "order", *staged_parts(key, staged.owner_uid, annotations)):
        return staged
    try:
        return replace(
            staged,
            issuance_hash=annotations[f"{GROUP}/issuance-hash"],
            revision=int(annotations[f"{GROUP}/revision"]),
            issuer=annotations[f"{GROUP}/issuer"],
            csr=annotations[f"{GROUP}/csr-digest"],
            handle=annotations[f"{GROUP}/order"],
            hurries=int(annotations[f"{GROUP}/early-replacements"]),
            lapses=int(annotations[f"{GROUP}/lapses"]),
            again=annotations[f"{GROUP}/order-again"],
            authentic=True,
        )
    except (KeyError, ValueError):
        return staged


def _request_spec(spec: Raw) -> RequestSpec:
    private_key = spec.get("privateKey") or {}
    secret_template = spec.get("secretTemplate") or {}
    revocation = spec.get("revocation") or {}
    algorithm = KeyAlgorithm(private_key.get("algorithm") or KeyAlgorithm.ECDSA)
    csr_pem, profile = spec.get("request") or "", _profile(spec)
    return RequestSpec(
        secret_name=spec["secretName"],
        issuer_refs=_issuer_refs(spec),
        template=CsrTemplate(names=_names(spec), profile=_profile_with(csr_pem, profile) if csr_pem else profile),
        csr_pem=csr_pem,
        private_key=PrivateKeySpec(
            parameters=KeyParameters(algorithm, private_key.get("size")),
            encoding=KeyEncoding(private_key.get("encoding") or KeyEncoding.PKCS1),
            rotation_policy=RotationPolicy(private_key.get("rotationPolicy") or RotationPolicy.ALWAYS),
            secret_ref=_secret_key_ref(private_key.get("secretRef"), "tls.key"),
        ),
        secret_template=SecretTemplate(
            labels=tuple((secret_template.get("labels") or {}).items()),
            annotations=tuple((secret_template.get("annotations") or {}).items()),
        ),
        outputs=_outputs(spec),
        duration=_duration(spec, "duration") or DEFAULT_DURATION,
        renew_before=_duration(spec, "renewBefore"),
        renew_before_percentage=spec.get("renewBeforePercentage"),
        retain=spec.get("deletionPolicy") == "Retain",
        revocation=Revocation(bool(revocation.get("onDelete")), bool(revocation.get("onRotation"))),
    )


def _issuer_refs(spec: Raw) -> tuple[IssuerRef, ...]:
    one, several = spec.get("issuerRef"), spec.get("issuerRefs") or ()
    refs = (one, *several) if one is not None else several  # admission lets only one of them through
    return tuple(IssuerRef(ref["name"], Kind(ref.get("kind") or Kind.ISSUER)) for ref in refs)


def _secret_key_ref(raw: Raw | None, default_key: str) -> SecretKeyRef | None:
    return None if raw is None else SecretKeyRef(raw["name"], raw.get("key") or default_key)


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
    return KeystoreSpec(password, raw.get("alias") or "", (with_profile and raw.get("profile")) or "")


def _wishes(annotations: Mapping[str, str] | None) -> Wishes:
    if not annotations:
        return _NO_WISHES
    return Wishes(
        renew=annotations.get(RENEW_ANNOTATION, ""),
        revoke=annotations.get(REVOKE_ANNOTATION, "").replace(":", "").upper().lstrip("0"),
        imported=annotations.get(IMPORT_ANNOTATION, ""),
        abandon_revocation=annotations.get(ABANDON_ANNOTATION) == "true",
    )


_NO_WISHES = Wishes()


def _names(spec: Raw) -> Names:
    subject = spec.get("subject") or {}
    return Names(
        common_name=spec.get("commonName") or "",
        subject=Subject(
            countries=_strings(subject, "countries"),
            organizations=_strings(subject, "organizations"),
            organizational_units=_strings(subject, "organizationalUnits"),
            localities=_strings(subject, "localities"),
            provinces=_strings(subject, "provinces"),
            street_addresses=_strings(subject, "streetAddresses"),
            postal_codes=_strings(subject, "postalCodes"),
            serial_number=subject.get("serialNumber") or "",
            email_address=subject.get("emailAddress") or "",
        ),
        literal_subject=spec.get("literalSubject") or "",
        dns_names=_strings(spec, "dnsNames"),
        ip_addresses=_strings(spec, "ipAddresses"),
        uris=_strings(spec, "uris"),
        email_addresses=_strings(spec, "emailAddresses"),
        other_names=tuple(OtherName(o["oid"], o["utf8Value"]) for o in spec.get("otherNames") or ()),
    )


def _profile(spec: Raw) -> Profile:
    constraints = spec.get("nameConstraints")
    return Profile(
        usages=_strings(spec, "usages"),
        is_ca=bool(spec.get("isCA")),
        path_length=spec.get("pathLenConstraint"),
        name_constraints=constraints
        and NameConstraints(
            permitted=_subtrees(constraints.get("permitted") or {}),
            excluded=_subtrees(constraints.get("excluded") or {}),
            critical=bool(constraints.get("critical")),
        ),
        must_staple=bool(spec.get("mustStaple")),
        extensions=tuple(
            CustomExtension(e["oid"], _base64(e["value"]), bool(e.get("critical")))
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
        dns_domains=_strings(raw, "dnsDomains"),
        ip_ranges=_strings(raw, "ipRanges"),
        email_addresses=_strings(raw, "emailAddresses"),
        uri_domains=_strings(raw, "uriDomains"),
    )


_MOST_REVISIONS = 1_000_000_000
"""More than any request has seen; the number after a forged one has to be storable."""


def _request_status(status: Raw) -> RequestStatus:
    revision = status.get("revision") or 0
    return RequestStatus(
        conditions=_conditions(status),
        observed_generation=status.get("observedGeneration") or 0,
        serial_number=status.get("serialNumber") or "",
        not_before=status.get("notBefore") or "",
        not_after=status.get("notAfter") or "",
        renewal_time=status.get("renewalTime") or "",
        revision=revision if revision <= _MOST_REVISIONS else 0,
        sha256_fingerprint=status.get("sha256Fingerprint") or "",
        csr_digest=csr_digest(status.get("csr") or ""),
        pace=status.get("pace") or "",
    )


def _conditions(status: Raw) -> tuple[Condition, ...]:
    return tuple(
        Condition(
            type=c["type"],
            status=c["status"],
            reason=c.get("reason") or "",
            message=c.get("message") or "",
            observed_generation=c.get("observedGeneration") or 0,
            last_transition_time=c.get("lastTransitionTime") or "",
        )
        for c in status.get("conditions") or ()
    )


def _policy(raw: Raw) -> Policy:
    return Policy(
        default=Default(raw.get("default") or Default.ALLOW),
        rules=tuple(_rule(rule, f"spec.policy.rules[{number}]") for number, rule in enumerate(raw.get("rules") or ())),
    )


def _rule(raw: Raw, where: str) -> Rule:
    namespaces = raw.get("namespaces") or {}
    return Rule(
        name=raw.get("name") or "",
        namespaces=Namespaces(_strings(namespaces, "names"), _requirements(namespaces.get("selector") or {})),
        common_names=_allowed(raw, "commonNames", where, canonical_common_name),
        dns_names=_allowed(raw, "dnsNames", where, canonical_dns_name),
        networks=None if raw.get("ipAddresses") is None else _networks(raw["ipAddresses"], where),
        uris=_allowed(raw, "uris", where, canonical_uri, with_wildcards=False),
        email_addresses=_allowed(raw, "emailAddresses", where, canonical_email_address, with_wildcards=False),
        other_names=bool(raw.get("otherNames")),
        attributes=None if raw.get("subject") is None else _attributes(raw["subject"], f"{where}.subject"),
        keys=tuple(
            AllowedKey(KeyAlgorithm(key["algorithm"]), key.get("minSize"), key.get("maxSize"))
            for key in raw.get("keys") or ()
        ),
        maximum_duration=_duration(raw, "maxDuration", where),
        is_ca=bool(raw.get("isCA")),
        usages=_each(f"{where}.usages", normalized_usages, _strings(raw, "usages")),
        extensions=frozenset(_strings(raw, "extensions")),
    )


def _requirements(selector: Raw) -> tuple[Requirement, ...]:
    return (
        *(Requirement(key, "In", (value,)) for key, value in (selector.get("matchLabels") or {}).items()),
        *(Requirement(e["key"], e["operator"], _strings(e, "values")) for e in selector.get("matchExpressions") or ()),
    )


def _allowed(
    rule: Raw, name: str, where: str, canonical: Callable[[str], str], *, with_wildcards: bool = True
) -> AllowedNames | None:
    raw = rule.get(name)
    if raw is None:
        return None
    return AllowedNames(
        exact=_each(f"{where}.{name}.exact", lambda names: map(canonical, names), _strings(raw, "exact")),
        suffixes=tuple(canonical_suffix(s, f"{where}.{name}.suffixes") for s in _strings(raw, "suffixes")),
        wildcards=with_wildcards and bool(raw.get("wildcards")),
    )


def _attributes(subject: Raw, where: str) -> frozenset[tuple[str, str]]:
    """What a rule lets a subject hold, as dotted OID and value."""
    listed = [(oid, _strings(subject, field)) for field, oid in SUBJECT_FIELDS.items()]
    for other in subject.get("others") or ():
        try:
            listed.append((x509.ObjectIdentifier(other["oid"]), _strings(other, "values")))
        except ValueError:
            raise InvalidSpec(f"{where}.others: {other['oid']!r} is no dotted object identifier") from None
    return frozenset((oid.dotted_string, canonical_attribute(oid, value)) for oid, values in listed for value in values)


def _networks(raw: Raw, where: str) -> tuple[str, ...]:
    networks = _strings(raw, "networks")
    _each(f"{where}.ipAddresses.networks", lambda given: map(ipaddress.ip_interface, given), networks)
    return networks


def _each(where: str, read: Callable[[Sequence[str]], Iterable[T]], values: Sequence[str]) -> frozenset[T]:
    try:
        return frozenset(read(values))
    except ValueError as error:
        raise InvalidSpec(f"{where}: {error}") from None


def _strings(raw: Raw, name: str) -> tuple[str, ...]:
    return tuple(raw.get(name) or ())


def _duration(raw: Raw, name: str, where: str = "spec") -> timedelta | None:
    text = raw.get(name)
    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        raise InvalidSpec(f"{where}.{name}: {error}") from None


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise InvalidSpec("spec.extensions[].value: not base64; give the DER value in base64") from None


class _Owned(NamedTuple):
    data: frozenset[str]
    labels: frozenset[str]
    annotations: frozenset[str]


_NOTHING_OWNED = _Owned(frozenset(), frozenset(), frozenset())


def _owned_fields(managed_fields: Sequence[Raw]) -> _Owned:
    """What the operator still owns, by https://kubernetes.io/docs/reference/using-api/server-side-apply/."""
    for entry in managed_fields:
        if entry.get("manager") == MANAGER and entry.get("operation") == "Apply":
            owned = entry.get("fieldsV1") or {}
            metadata = owned.get("f:metadata") or {}
            return _owned(
                *(
                    tuple(name[2:] for name in part if name.startswith("f:"))
                    for part in (
                        owned.get("f:data") or (),
                        metadata.get("f:labels") or (),
                        metadata.get("f:annotations") or (),
                    )
                )
            )
    return _NOTHING_OWNED


@lru_cache(maxsize=1024)
def _owned(data: tuple[str, ...], labels: tuple[str, ...], annotations: tuple[str, ...]) -> _Owned:
    # Nearly all Secrets own the same fields: one set serves them all.
    return _Owned(frozenset(data), frozenset(labels), frozenset(annotations))


def _users_items(items: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((k, v) for k, v in items.items() if not k.startswith(f"{GROUP}/"))
