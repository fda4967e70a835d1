"""Names of the API group, of labels, annotations and finalizers."""

import re

GROUP = "csr-operator.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

MANAGER = "csr-operator"
"""Field manager of every write (server-side apply: which fields are ours)."""

MANAGED_LABEL = f"{GROUP}/managed"
"""On every Secret that the operator wrote; the server filters the watch by it."""

STAGING_LABEL = f"{GROUP}/staging"
"""On the Secrets that hold key and CSR while an order is under way."""

CREDENTIAL_LABEL = f"{GROUP}/allow-credential"
"""On a Secret of its user: `true` lets the Issuers of its namespace use it as a credential."""

CREDENTIAL_TYPE = f"{GROUP}/credential"
"""The type of a Secret that says the same."""

RENEW_ANNOTATION = f"{GROUP}/renew"
"""On a request: another value than at the last issuance has it renewed now."""

REVOKE_ANNOTATION = f"{GROUP}/revoke"
"""On a request: `SERIAL [REASON]`, the serial number of its certificate, which is then replaced and revoked; REASON is
one of REVOCATION_REASONS."""

REVOCATION_REASONS = (
    "unspecified",
    "keyCompromise",
    "cACompromise",
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    "privilegeWithdrawn",
    "aACompromise",
)
"""As RFC 5280, section 5.3.1, names them, without those of what is revoked for a time only."""

SUPERSEDED = "superseded"
"""The reason where nobody gave one: another certificate takes its place."""

IMPORT_ANNOTATION = f"{GROUP}/import"
"""On a request: the chain (PEM) that a person brings for a manual issuer."""

ABANDON_ANNOTATION = f"{GROUP}/abandon-revocation"
"""On a request: `true` gives up the revocations that are owed, when the CA is gone."""

OWED_ANNOTATION = f"{GROUP}/owed-revocations"
"""On a Secret: the replaced certificates that are still to be revoked (`revocation_debts.py`)."""

RETAINED_ANNOTATION = f"{GROUP}/retained-for"
"""On a Secret that outlives its request: the request's name. A request of that name takes it over."""

ADOPT_ANNOTATION = f"{GROUP}/adopt"
"""On a Secret, by who may write it: the name of the request that is to take it over (`decisions/adoption.py`)."""

REVOKED_ANNOTATION = f"{GROUP}/revoked-certificate"
"""On a Secret that outlives its request: `FINGERPRINT CODE` of its certificate, before the CA is asked to revoke it."""

RENEWAL_WINDOW_ANNOTATION = f"{GROUP}/renewal-window"
"""On a Secret: when its CA wants the certificate renewed, as `SERIAL START/END CODE` (hex; RFC 3339 in UTC)."""

SEAL_ANNOTATION = f"{GROUP}/seal"
"""On a Secret: the code (`seal.py`) of what else the operator says of it in annotations."""

REPLICAS_LABEL = f"{GROUP}/replicas"
"""On the Leases of the replicas, in the operator's own namespace: which of them share their work."""

SHARDS_ANNOTATION = f"{GROUP}/shards"
"""On one of these Leases: which replica has which shards."""

NAMESPACES_ANNOTATION = f"{GROUP}/namespaces"
"""On the same: which namespaces they watch, between commas; absent for all."""

LEAVING_ANNOTATION = f"{GROUP}/leaving"
"""On the Lease of a replica: `true` while it gives its shards to the others."""

OPERATOR_NAMESPACE = "csr-operator-system"
"""Where `deploy/` has the operator."""

STATE_KEY = "csr-operator-state-key"
"""The Secret, in the operator's own namespace, of the key that state is authenticated with (`seal.py`): `key` seals,
every other entry is accepted as well."""

RECORD_ANNOTATIONS = tuple(
    f"{GROUP}/{name}"
    for name in (
        *("issuance-hash", "revision", "serial-number", "not-before", "not-after", "sha256-fingerprint"),
        *("issuer-sha256-fingerprint", "issuer", "renewed-for", "csr-digest", "outputs-digest", "stored-at"),
        *("early-replacements", "reference", "retained-for"),
    )
)
"""On the Secret of a certificate, all of them: what one lacked, somebody else could add."""

STAGED_ANNOTATIONS = tuple(
    f"{GROUP}/{name}"
    for name in (
        *("issuance-hash", "revision", "issuer", "csr-digest", "order", "early-replacements", "lapses", "order-again"),
    )
)
"""On a staging Secret, likewise."""

ORDER_FINALIZER = f"{GROUP}/order"
"""On a staging Secret: the order leaves something behind that is taken back before the Secret goes."""

ORDER_OF_ANNOTATION = f"{GROUP}/order-of"
"""On a staging Secret: the UID of its request, should its owner reference be taken from it (`--cascade=orphan`)."""

SECRET_NAME_ANNOTATION = f"{GROUP}/secret-name"
"""On a staging Secret: `spec.secretName` of its request, by which a replica knows whose order it is. Whoever changes it
only has the order forgotten, as whoever deletes the Secret has."""

REVOCATION_FINALIZER = f"{GROUP}/revocation"
"""On a request that must not go before its certificates have been revoked, and on the Secret that has them."""

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def is_name(text: str) -> bool:
    """It can be the name of an object: a DNS subdomain (RFC 1123), of any length."""
    return _NAME.fullmatch(text) is not None
