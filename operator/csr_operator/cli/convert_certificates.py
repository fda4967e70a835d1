"""A Certificate of cert-manager as a CertificateRequest: pure."""

from collections.abc import Mapping
from typing import Any

from .convert_parts import Notes, duration, fields, head, items, rest

_AS_IT_IS = ("commonName", "subject", "literalSubject", "otherNames", "secretName", "secretTemplate", "isCA")
_SETS = ("dnsNames", "ipAddresses", "uris", "emailAddresses", "usages")
_SUBJECT_SETS = (
    *("organizations", "organizationalUnits", "countries", "provinces", "localities", "streetAddresses"),
    "postalCodes",
)
_LEFT_OUT = {
    "revisionHistoryLimit": "there are no objects of earlier attempts here",
    "signatureAlgorithm": "the CA chooses it by its key",
    "encodeUsagesInRequest": "the CSR always has them",
}
_KNOWN = frozenset(
    (
        *(*_AS_IT_IS, *_SETS, *_LEFT_OUT, "duration", "renewBefore", "renewBeforePercentage", "privateKey"),
        *("issuerRef", "nameConstraints", "keystores", "additionalOutputFormats"),
    )
)
_SIZES = {"RSA": 2048, "ECDSA": 256}
_PROFILES = {"Modern2023": "Modern2023", "LegacyDES": "LegacyDES"}


def certificate(document: Mapping[str, Any], notes: Notes) -> dict[str, Any]:
    """`document`: of the kind Certificate, `cert-manager.io/v1`."""
    given = fields(document, "spec")
    obj = head(document, "CertificateRequest", notes)
    spec: dict[str, Any] = {}
    for name in (*_AS_IT_IS[:3], *_SETS[:4], "otherNames"):
        if given.get(name):
            spec[name] = _set(given[name], f"spec.{name}", notes) if name in _SETS else given[name]
    if "subject" in spec:
        spec["subject"] = {
            name: _set(value, f"spec.subject.{name}", notes) if name in _SUBJECT_SETS else value
            for name, value in fields(given, "subject").items()
            if value
        }
    if given.get("secretName"):
        spec["secretName"] = given["secretName"]
    else:
        notes.add("spec.secretName: it is missing; name the Secret that is to hold key and certificate")
    if template := fields(given, "secretTemplate"):
        spec["secretTemplate"] = dict(template)
        if "cert-manager.io/allow-direct-injection" in fields(template, "annotations"):
            notes.add("spec.secretTemplate: the CA injector, which reads that Secret, has no counterpart here")
    spec["issuerRef"] = _issuer_ref(fields(given, "issuerRef"), notes)
    for name in ("duration", "renewBefore"):
        if given.get(name) and (text := duration(given[name], f"spec.{name}", notes)) is not None:
            spec[name] = text
    if given.get("renewBeforePercentage"):
        spec["renewBeforePercentage"] = given["renewBeforePercentage"]
    spec["privateKey"] = _private_key(fields(given, "privateKey"), notes)
    if given.get("isCA"):
        spec["isCA"] = True
    if usages := _usages(given, spec["privateKey"]["algorithm"], notes):
        spec["usages"] = usages
    if constraints := fields(given, "nameConstraints"):
        if given.get("isCA"):
            spec["nameConstraints"] = dict(constraints)
        else:
            notes.left_out("spec.nameConstraints", "they are for CAs, and isCA is not set")
    namespace = str(obj["metadata"].get("namespace") or "")
    if stores := _keystores(fields(given, "keystores"), str(given.get("secretName")), namespace, notes):
        spec["keystores"] = stores
    if formats := items(given, "additionalOutputFormats"):
        spec["additionalOutputFormats"] = formats
    for name, why in _LEFT_OUT.items():
        if name in given:
            notes.left_out(f"spec.{name}", why)
    notes.add("spec.deletionPolicy: the Secret is deleted with this request; Retain keeps it, as cert-manager does")
    rest(given, _KNOWN, "spec", notes)
    return obj | {"spec": spec}


def _set(values: Any, field: str, notes: Notes) -> Any:
    """Lists are sets here."""
    if not isinstance(values, list):
        return values
    distinct = [value for at, value in enumerate(values) if value not in values[:at]]
    if len(distinct) < len(values):
        notes.add(f"{field}: what it has twice stands there once")
    return distinct


def _issuer_ref(ref: Mapping[str, Any], notes: Notes) -> dict[str, Any]:
    if not ref.get("name"):
        notes.add("spec.issuerRef.name: it is missing; name an issuer")
    kind, group = str(ref.get("kind") or "Issuer"), str(ref.get("group") or "cert-manager.io")
    if group == "cert-manager.io" and kind in ("Issuer", "ClusterIssuer"):
        return {"name": ref.get("name"), "kind": kind}
    ours = "ClusterIssuer" if "Cluster" in kind else "Issuer"
    notes.add(
        f"spec.issuerRef: {kind} of {group} is an external issuer: make {ours} {ref.get('name')} of csr-operator.dev "
        "with a backend for that CA (docs/backends.md)"
    )
    return {"name": ref.get("name"), "kind": ours}


def _private_key(given: Mapping[str, Any], notes: Notes) -> dict[str, Any]:
    algorithm = str(given.get("algorithm") or "RSA")
    key: dict[str, Any] = {"algorithm": algorithm}
    if not given.get("algorithm"):
        notes.add("spec.privateKey: RSA of 2048 bits is cert-manager's default; ECDSA P-256 is ours")
    if size := given.get("size") or _SIZES.get(algorithm):
        key["size"] = size
    if algorithm not in _SIZES:
        key.pop("size", None)
    encoding = given.get("encoding")
    if encoding == "PKCS1" and algorithm not in _SIZES:
        encoding = "PKCS8"
        notes.add(f"spec.privateKey.encoding: PKCS8, as {algorithm} has no other")
    if encoding:
        key["encoding"] = encoding
    if given.get("rotationPolicy"):
        key["rotationPolicy"] = given["rotationPolicy"]
    else:
        notes.add(
            "spec.privateKey.rotationPolicy: Always, as in cert-manager since 1.18; before that, Never: set it if the "
            "key has to stay"
        )
    rest(given, ("algorithm", "size", "encoding", "rotationPolicy"), "spec.privateKey", notes)
    return key


def _usages(given: Mapping[str, Any], algorithm: str, notes: Notes) -> list[Any]:
    usages = _set(items(given, "usages"), "spec.usages", notes)
    kept = []
    for usage in usages:
        if usage == "cert sign" and not given.get("isCA"):
            notes.left_out('spec.usages: "cert sign"', "it is for CAs, and isCA is not set")
        elif usage in ("encipher only", "decipher only") and "key agreement" not in usages:
            notes.left_out(f'spec.usages: "{usage}"', 'it means nothing without "key agreement"')
        else:
            kept.append(usage)
    if algorithm != "RSA" and "key encipherment" in kept:
        notes.add(f'spec.usages: "key encipherment" is for RSA keys: with {algorithm} the certificate has none')
    return kept


def _keystores(given: Mapping[str, Any], secret: str, namespace: str, notes: Notes) -> dict[str, Any]:
    stores, option = {}, f" -n {namespace}" if namespace else ""
    for kind in ("jks", "pkcs12"):
        store, where = fields(given, kind), f"spec.keystores.{kind}"
        if not store.get("create"):
            continue
        ours: dict[str, Any] = {"create": True}
        if store.get("alias"):
            ours["alias"] = store["alias"]
        if kind == "pkcs12" and (profile := str(store.get("profile") or "LegacyRC2")) in _PROFILES:
            ours["profile"] = profile
        elif kind == "pkcs12":
            notes.add(f"{where}.profile: Modern2023 instead of {profile}, which is broken and not here; LegacyDES is")
        if fields(store, "passwordSecretRef"):
            ours["passwordSecretRef"] = dict(store["passwordSecretRef"])
        else:
            name = f"{secret}-keystore"
            ours["passwordSecretRef"] = {"name": name, "key": "password"}
            notes.add(
                f"{where}.password: passwords are not written into the request here: put it into a Secret: "
                f"kubectl create secret generic {name}{option} --from-file=password=FILE (no line break at its end)"
            )
        rest(store, ("create", "alias", "profile", "passwordSecretRef", "password"), where, notes)
        stores[kind] = ours
    return stores
