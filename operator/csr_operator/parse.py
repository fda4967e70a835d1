"""From the dicts that the Kubernetes API sends to the values of `model.py`; nothing below this sees a raw dict."""

import base64
import binascii
import hashlib
import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from typing import Any, NamedTuple, ParamSpec, TypeVar

from cryptography import x509

from .model import (
    ABANDON_ANNOTATION,
    ADOPT_ANNOTATION,
    DEFAULT_DURATION,
    GROUP,
    IMPORT_ANNOTATION,
    MANAGED_LABEL,
    MANAGER,
    ORDER_FINALIZER,
    ORDER_OF_ANNOTATION,
    OWED_ANNOTATION,
    RENEW_ANNOTATION,
    RENEWAL_WINDOW_ANNOTATION,
    RETAINED_ANNOTATION,
    REVOCATION_FINALIZER,
    REVOCATION_REASONS,
    REVOKE_ANNOTATION,
    REVOKED_ANNOTATION,
    SEAL_ANNOTATION,
    STAGING_LABEL,
    SUPERSEDED,
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
    Setback,
    Staged,
    Window,
    Wishes,
    parse_duration,
)
from .owed import read_debts
from .pki.csr import CsrTemplate, csr_digest, load_csr, profile_with
from .pki.errors import PkiError, quoted
from .pki.fingerprint import whole_octets
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

P = ParamSpec("P")
T = TypeVar("T")


def parse_request(obj: Raw) -> CertificateRequest:
    """A spec that cannot be read does not raise: it is the request's `problem`, so that its user is told.

    `metadata` is what the API server checks for every object (ObjectMeta): without a name and a UID, nothing can be
    filed. All else may have any shape.
    """
    metadata, spec = obj["metadata"], _mapping(obj, "spec")
    problem = ""
    try:
        parsed = _request_spec(spec)
        issuance_hash = parsed.issuance_hash()
    except Exception as error:
        problem = _problem(error)
        parsed = RequestSpec(_text(spec, "secretName"), _readable_refs(spec), CsrTemplate(Names(), Profile()))
        issuance_hash = parsed.issuance_hash()
    return CertificateRequest(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        generation=_count(metadata, "generation"),
        created=_text(metadata, "creationTimestamp"),
        spec=parsed,
        issuance_hash=issuance_hash,
        status=_request_status(_mapping(obj, "status")),
        wishes=_wishes(_mapping(metadata, "annotations")),
        being_deleted="deletionTimestamp" in metadata,
        finalizers=tuple(f for f in _items(metadata, "finalizers") if isinstance(f, str)),
        problem=problem,
    )


def parse_issuer(obj: Raw) -> Issuer:
    """A spec that cannot be read does not raise: it is the issuer's `problem`. As for `parse_request`."""
    metadata, spec = obj["metadata"], _mapping(obj, "spec")
    backends = [name for name in spec if name not in ("policy", "approval", "limits")]
    backend, policy, problem, limits = "", None, "", Limits()
    config: Raw = {}
    needs_approval = spec.get("approval") is not None
    try:
        if len(backends) != 1:
            raise InvalidSpec("spec: name exactly one backend, such as `selfSigned: {}` or `ca: {secretName: ...}`")
        needs_approval = _needs_approval(spec)
        policy = _read("spec.policy", _policy, spec["policy"]) if "policy" in spec else None
        limits = _read("spec.limits", _limits, _mapping(spec, "limits"))
        backend, config = _read(f"spec.{backends[0]}", _backend, backends[0], spec[backends[0]])
        if _depth(config) > _DEEPEST:
            raise InvalidSpec(f"spec.{backends[0]}: nested more than {_DEEPEST} levels deep: make it flatter")
    except Exception as error:
        problem = _problem(error)
        backend, config = "", {}
    return Issuer(
        kind=Kind(obj["kind"]),
        namespace=metadata.get("namespace", ""),
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        generation=_count(metadata, "generation"),
        backend=backend,
        config=config,
        policy=policy,
        needs_approval=needs_approval,
        limits=limits,
        conditions=_conditions(_mapping(obj, "status")),
        problem=problem,
    )


def _backend(name: str, raw: Any) -> tuple[str, Raw]:
    """The name, and the part of the spec that belongs to it."""
    config = raw or {}
    if name == "external":
        name, config = config["name"], config.get("config") or {}
    if not isinstance(config, Mapping) or not isinstance(name, str):
        raise TypeError
    return name, config


def _needs_approval(spec: Raw) -> bool:
    match spec.get("approval"):
        case None | "Automatic":
            return False
        case "Manual":
            return True
    raise InvalidSpec("spec.approval: write Manual or Automatic")


def _limits(raw: Raw) -> Limits:
    concurrent, per_minute = raw.get("concurrent") or Limits().concurrent, raw.get("perMinute")
    if not all(isinstance(one, int | None) and (one is None or one > 0) for one in (concurrent, per_minute)):
        raise TypeError
    return Limits(concurrent, per_minute)


def _read(field: str, reader: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `reader` returns. Raises InvalidSpec, which names `field`, or what `reader` says of itself."""
    try:
        return reader(*args, **kwargs)
    except (InvalidSpec, PkiError):
        raise
    except Exception:
        raise InvalidSpec(_unreadable(field)) from None


def _problem(error: Exception) -> str:
    """The words of what we raised ourselves; of all else, whose words may hold anything, only the field."""
    return str(error) if isinstance(error, InvalidSpec | PkiError) else _unreadable("spec")


def _unreadable(field: str) -> str:
    return f"{field}: it cannot be read: write it as `kubectl explain` shows"


def _mapping(raw: Raw, name: str) -> Raw:
    """Empty if it is none."""
    value = raw.get(name)
    return value if isinstance(value, Mapping) else {}


def _items(raw: Raw, name: str) -> Sequence[Any]:
    """Empty if it is no list."""
    value = raw.get(name)
    return value if isinstance(value, list | tuple) else ()


def _text(raw: Raw, name: str) -> str:
    """Empty if it is no text."""
    value = raw.get(name)
    return value if isinstance(value, str) else ""


def _count(raw: Raw, name: str) -> int:
    """0 if it is no number that the API server could store."""
    value = raw.get(name)
    return value if isinstance(value, int) and 0 <= value < 1 << 63 else 0


def _depth(value: Any) -> int:
    """How deep lists and maps are nested, counted to one more than _DEEPEST."""
    level, depth = [value], 0
    while level and depth <= _DEEPEST:
        depth += 1
        level = [
            child
            for one in level
            if isinstance(one, Mapping | list)
            for child in (one.values() if isinstance(one, Mapping) else one)
        ]
    return depth


_DEEPEST = 32
"""Levels of an issuer's configuration: what reads it may do so by recursion."""


def parse_secret_meta(obj: Raw, seal: Seal | None) -> SecretMeta:
    """From a PartialObjectMetadata (or a whole Secret, of which only the metadata is kept).

    seal: without it, what stands in the annotations is believed, which is for showing it and for nothing else.
    """
    metadata = obj["metadata"]
    key = SecretKey(metadata["namespace"], metadata["name"])
    managed = metadata.get("managedFields") or ()
    owned = _owned_fields(managed)
    written = metadata.get("annotations") or {}
    annotations = {k: v for k, v in written.items() if k in owned.annotations}
    labels = {k: v for k, v in (metadata.get("labels") or {}).items() if k in owned.labels}
    owner_uid = owner = ""
    for reference in metadata.get("ownerReferences") or ():
        if reference.get("controller"):
            owner_uid, owner = reference["uid"], f"{reference['kind']} {reference['name']}"
    code, forged = written.get(SEAL_ANNOTATION, ""), []
    sealed = seal is None or seal.verifies(code, "record", *record_parts(key, written))
    said = Record.from_annotations(written)
    record = said if sealed else None
    if record is not None:
        record = replace(record, window=_window(key, record, written.get(RENEWAL_WINDOW_ANNOTATION, ""), seal))
    elif code and not sealed:
        forged.append(SEAL_ANNOTATION)
    owed = read_debts(key, written.get(OWED_ANNOTATION, ""), seal)
    if owed is None:
        forged.append(OWED_ANNOTATION)
    if record is not None and not owner_uid:
        owner = "a request that is gone"
    left_for = None
    if said is not None and not owner_uid and (metadata.get("labels") or {}).get(MANAGED_LABEL) == "true":
        left_for = written.get(RETAINED_ANNOTATION, "")
    revoked, _, revoked_code = written.get(REVOKED_ANNOTATION, "").partition(" ")
    if revoked and seal is not None and not seal.verifies(revoked_code, "revoked", *key, revoked):
        forged.append(REVOKED_ANNOTATION)
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
        guarded=REVOCATION_FINALIZER in (metadata.get("finalizers") or ()),
        deleted="deletionTimestamp" in metadata,
        changed_by=_changed_by(managed, owned.data),
        adopt=written.get(ADOPT_ANNOTATION, ""),
        left_for=left_for,
        revoked=revoked,
        issuance_hash=said.issuance_hash if said is not None else "",
        forged=tuple(forged),
    )


def _window(secret: SecretKey, record: Record, written: str, seal: Seal | None) -> Window | None:
    serial_number, _, rest = written.partition(" ")
    times, _, code = rest.partition(" ")
    if whole_octets(serial_number) != record.serial_number:
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
    owners: Sequence[Raw] = metadata.get("ownerReferences") or ()
    staged = Staged(
        namespace=key.namespace,
        name=key.name,
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        created=metadata["creationTimestamp"],
        owner_uid=owners[0].get("uid", "") if owners else annotations.get(ORDER_OF_ANNOTATION, ""),
        issuance_hash="",
        revision=0,
        issuer="",
        csr="",
        handle="",
        leaves_traces=ORDER_FINALIZER in (metadata.get("finalizers") or ()),
        deleted=metadata.get("deletionTimestamp") or "",
        authentic=False,
        owner=owners[0].get("name", "") if owners else "",
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
            setback=Setback.read(annotations[f"{GROUP}/order-again"]),
            authentic=True,
        )
    except (KeyError, ValueError):
        return staged


def _request_spec(spec: Raw) -> RequestSpec:
    csr_pem, profile = _string(spec, "request"), _read("spec", _profile, spec)
    percentage = spec.get("renewBeforePercentage")
    if percentage is not None and percentage not in range(1, 100):
        raise InvalidSpec(_unreadable("spec.renewBeforePercentage"))
    return RequestSpec(
        secret_name=_read("spec.secretName", _required, spec, "secretName"),
        issuer_refs=_read("spec.issuerRef", _issuer_refs, spec),
        template=CsrTemplate(
            names=_read("spec", _names, spec),
            profile=_read("spec.request", _profile_with, csr_pem, profile) if csr_pem else profile,
        ),
        csr_pem=csr_pem,
        private_key=_read("spec.privateKey", _private_key, spec.get("privateKey") or {}, is_ca=profile.is_ca),
        secret_template=_read("spec.secretTemplate", _secret_template, spec.get("secretTemplate") or {}),
        outputs=_read("spec.keystores", _outputs, spec),
        duration=_duration(spec, "duration") or DEFAULT_DURATION,
        renew_before=_duration(spec, "renewBefore"),
        renew_before_percentage=percentage,
        retain=spec.get("deletionPolicy") == "Retain",
        revocation=_read("spec.revocation", _revocation, spec.get("revocation") or {}),
    )


def _private_key(raw: Raw, *, is_ca: bool) -> PrivateKeySpec:
    # What a CA signed leads to its key: with another one, all of it would have to be issued anew.
    rotation = RotationPolicy.NEVER if is_ca else RotationPolicy.ALWAYS
    return PrivateKeySpec(
        parameters=KeyParameters(KeyAlgorithm(raw.get("algorithm") or KeyAlgorithm.ECDSA), _optional(raw, "size")),
        encoding=KeyEncoding(raw.get("encoding") or KeyEncoding.PKCS1),
        rotation_policy=RotationPolicy(raw.get("rotationPolicy") or rotation),
        secret_ref=_secret_key_ref(raw.get("secretRef"), "tls.key"),
    )


def _secret_template(raw: Raw) -> SecretTemplate:
    return SecretTemplate(labels=_texts(raw.get("labels") or {}), annotations=_texts(raw.get("annotations") or {}))


def _texts(raw: Raw) -> tuple[tuple[str, str], ...]:
    if not all(isinstance(key, str) and isinstance(value, str) for key, value in raw.items()):
        raise TypeError
    return tuple(raw.items())


def _revocation(raw: Raw) -> Revocation:
    return Revocation(bool(raw.get("onDelete")), bool(raw.get("onRotation")))


def _required(raw: Raw, name: str) -> str:
    if not isinstance(value := raw[name], str):
        raise TypeError
    return value


def _string(raw: Raw, name: str, where: str = "spec") -> str:
    """Empty if it is absent. Raises InvalidSpec for what is no text."""
    value = raw.get(name) or ""
    if not isinstance(value, str):
        raise InvalidSpec(_unreadable(f"{where}.{name}"))
    return value


def _issuer_refs(spec: Raw) -> tuple[IssuerRef, ...]:
    one, several = spec.get("issuerRef"), spec.get("issuerRefs") or ()
    refs = (one, *several) if one is not None else several  # admission lets only one of them through
    return tuple(IssuerRef(_required(ref, "name"), Kind(ref.get("kind") or Kind.ISSUER)) for ref in refs)


def _optional(raw: Raw, name: str) -> int | None:
    if not isinstance(value := raw.get(name), int | None):
        raise TypeError
    return value


def _readable_refs(spec: Raw) -> tuple[IssuerRef, ...]:
    """None if one of them is not readable."""
    try:
        return _issuer_refs(spec)
    except Exception:
        return ()


def _secret_key_ref(raw: Raw | None, default_key: str) -> SecretKeyRef | None:
    return None if raw is None else SecretKeyRef(_required(raw, "name"), _string(raw, "key") or default_key)


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
    return KeystoreSpec(password, _string(raw, "alias"), _string(raw, "profile") if with_profile else "")


def _wishes(annotations: Raw) -> Wishes:
    if not annotations:
        return _NO_WISHES
    renew = _text(annotations, RENEW_ANNOTATION)
    if len(renew) > _LONGEST_WISH:
        # It is written to the Secret, among whose annotations there has to be room for it.
        renew = f"sha256:{hashlib.sha256(renew.encode(errors='replace')).hexdigest()}"
    serial_number, _, reason = _text(annotations, REVOKE_ANNOTATION)[:_LONGEST_WISH].strip().partition(" ")
    return Wishes(
        renew=renew,
        revoke=whole_octets(serial_number) if serial_number else "",
        revoke_because=_REVOCATION_REASONS.get(reason.strip().lower()),
        imported=_text(annotations, IMPORT_ANNOTATION),
        abandon_revocation=annotations.get(ABANDON_ANNOTATION) == "true",
    )


_NO_WISHES = Wishes()
_REVOCATION_REASONS = {"": SUPERSEDED, **{reason.lower(): reason for reason in REVOCATION_REASONS}}
_LONGEST_WISH = 256


def _names(spec: Raw) -> Names:
    subject = spec.get("subject") or {}
    return Names(
        common_name=_string(spec, "commonName"),
        subject=Subject(
            countries=_strings(subject, "countries"),
            organizations=_strings(subject, "organizations"),
            organizational_units=_strings(subject, "organizationalUnits"),
            localities=_strings(subject, "localities"),
            provinces=_strings(subject, "provinces"),
            street_addresses=_strings(subject, "streetAddresses"),
            postal_codes=_strings(subject, "postalCodes"),
            serial_number=_string(subject, "serialNumber", "spec.subject"),
            email_address=_string(subject, "emailAddress", "spec.subject"),
        ),
        literal_subject=_string(spec, "literalSubject"),
        dns_names=_strings(spec, "dnsNames"),
        ip_addresses=_strings(spec, "ipAddresses"),
        uris=_strings(spec, "uris"),
        email_addresses=_strings(spec, "emailAddresses"),
        other_names=tuple(
            OtherName(_required(o, "oid"), _required(o, "utf8Value")) for o in spec.get("otherNames") or ()
        ),
    )


def _profile(spec: Raw) -> Profile:
    constraints, path_length = (
        spec.get("nameConstraints"),
        _read("spec.pathLenConstraint", _optional, spec, "pathLenConstraint"),
    )
    return Profile(
        usages=_strings(spec, "usages"),
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
            CustomExtension(_required(e, "oid"), _base64(_required(e, "value")), bool(e.get("critical")))
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
    """Of what has another shape than it should, nothing is taken: status decides nothing but approval."""
    revision = _count(status, "revision")
    return RequestStatus(
        conditions=_conditions(status),
        observed_generation=_count(status, "observedGeneration"),
        serial_number=_text(status, "serialNumber"),
        not_before=_text(status, "notBefore"),
        not_after=_text(status, "notAfter"),
        renewal_time=_text(status, "renewalTime"),
        revision=revision if revision <= _MOST_REVISIONS else 0,
        sha256_fingerprint=_text(status, "sha256Fingerprint"),
        csr_digest=csr_digest(_text(status, "csr")),
        pace=_text(status, "pace"),
    )


def _conditions(status: Raw) -> tuple[Condition, ...]:
    return tuple(
        Condition(
            type=c["type"],
            status=_text(c, "status"),
            reason=_text(c, "reason"),
            message=_text(c, "message"),
            observed_generation=_count(c, "observedGeneration"),
            last_transition_time=_text(c, "lastTransitionTime"),
        )
        for c in _items(status, "conditions")
        if isinstance(c, Mapping) and isinstance(c.get("type"), str)
    )


def _policy(raw: Raw) -> Policy:
    return Policy(
        default=Default(raw.get("default") or Default.ALLOW),
        rules=tuple(_rule(rule, f"spec.policy.rules[{number}]") for number, rule in enumerate(raw.get("rules") or ())),
    )


def _rule(raw: Raw, where: str) -> Rule:
    namespaces = raw.get("namespaces") or {}
    return Rule(
        name=_string(raw, "name", where),
        namespaces=Namespaces(_strings(namespaces, "names"), _requirements(namespaces.get("selector") or {})),
        common_names=_allowed(raw, "commonNames", where, canonical_common_name),
        dns_names=_allowed(raw, "dnsNames", where, canonical_dns_name),
        networks=None if raw.get("ipAddresses") is None else _networks(raw["ipAddresses"], where),
        uris=_allowed(raw, "uris", where, canonical_uri, with_wildcards=False),
        email_addresses=_allowed(raw, "emailAddresses", where, canonical_email_address, with_wildcards=False),
        other_names=bool(raw.get("otherNames")),
        attributes=None if raw.get("subject") is None else _attributes(raw["subject"], f"{where}.subject"),
        keys=tuple(
            AllowedKey(KeyAlgorithm(key["algorithm"]), _optional(key, "minSize"), _optional(key, "maxSize"))
            for key in raw.get("keys") or ()
        ),
        maximum_duration=_duration(raw, "maxDuration", where),
        is_ca=bool(raw.get("isCA")),
        usages=_each(f"{where}.usages", normalized_usages, _strings(raw, "usages")),
        extensions=frozenset(_strings(raw, "extensions")),
    )


def _requirements(selector: Raw) -> tuple[Requirement, ...]:
    return (
        *(Requirement(key, "In", (value,)) for key, value in _texts(selector.get("matchLabels") or {})),
        *(
            Requirement(_required(e, "key"), _required(e, "operator"), _strings(e, "values"))
            for e in selector.get("matchExpressions") or ()
        ),
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
            raise InvalidSpec(f"{where}.others: {other['oid']!r} is not a dotted object identifier") from None
    return frozenset((oid.dotted_string, canonical_attribute(oid, value)) for oid, values in listed for value in values)


def _networks(raw: Raw, where: str) -> tuple[str, ...]:
    networks = _strings(raw, "networks")
    for network in networks:
        try:
            ipaddress.ip_interface(network)
        except ValueError:
            text = f"{quoted(network)} is not a network: write it like 10.0.0.0/8 or 2001:db8::/32"
            raise InvalidSpec(f"{where}.ipAddresses.networks: {text}") from None
    return networks


def _each(where: str, read: Callable[[Sequence[str]], Iterable[T]], values: Sequence[str]) -> frozenset[T]:
    try:
        return frozenset(read(values))
    except PkiError as error:
        raise InvalidSpec(f"{where}: {error}") from None


def _strings(raw: Raw, name: str) -> tuple[str, ...]:
    """Raises InvalidSpec for what is no list of texts."""
    values = raw.get(name) or ()
    if not isinstance(values, list | tuple) or not all(isinstance(value, str) for value in values):
        raise InvalidSpec(f"{name}: it is not a list of texts: write it as a list, each entry in quotation marks")
    return tuple(values)


def _duration(raw: Raw, name: str, where: str = "spec") -> timedelta | None:
    text = raw.get(name)
    if text is None:
        return None
    try:
        return parse_duration(text)
    except (ValueError, TypeError, OverflowError):
        shown = repr(text) if isinstance(text, str) and len(text) <= 64 else "this"
        words = "is not a duration: write hours, minutes and seconds, such as 2160h or 1h30m"
        raise InvalidSpec(f"{where}.{name}: {shown} {words}") from None


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
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


def _changed_by(managed_fields: Sequence[Raw], intact: frozenset[str]) -> str:
    changes = []
    for entry in managed_fields:
        data = (entry.get("fieldsV1") or {}).get("f:data") or ()
        theirs = sorted(name[2:] for name in data if name.startswith("f:") and name[2:] not in intact)
        if theirs and (entry.get("manager"), entry.get("operation")) != (MANAGER, "Apply"):
            changes.append(f"{entry.get('manager')} ({', '.join(theirs[:_MOST_TOLD])})")
    return " and ".join(changes[:_MOST_TOLD])


_MOST_TOLD = 4


@lru_cache(maxsize=1024)
def _owned(data: tuple[str, ...], labels: tuple[str, ...], annotations: tuple[str, ...]) -> _Owned:
    # Nearly all Secrets own the same fields: one set serves them all.
    return _Owned(frozenset(data), frozenset(labels), frozenset(annotations))


def _users_items(items: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((k, v) for k, v in items.items() if not k.startswith(f"{GROUP}/"))
