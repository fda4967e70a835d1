"""What an issuer's owner lets be asked of it (`spec.policy`), and the one form in which names are compared.

That is the form that a certificate has them in: what looks different and is the same counts as the same, and what no
certificate can have is never allowed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from cryptography import x509
from cryptography.x509.oid import NameOID

from csr_operator.pki import general_names
from csr_operator.pki.errors import PkiError
from csr_operator.pki.keys import KeyAlgorithm

SUBJECT_FIELDS = {
    "countries": NameOID.COUNTRY_NAME,
    "organizations": NameOID.ORGANIZATION_NAME,
    "organizationalUnits": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "localities": NameOID.LOCALITY_NAME,
    "provinces": NameOID.STATE_OR_PROVINCE_NAME,
    "streetAddresses": NameOID.STREET_ADDRESS,
    "postalCodes": NameOID.POSTAL_CODE,
    "serialNumbers": NameOID.SERIAL_NUMBER,
}
"""The attributes of a subject that a rule lists in a field of its own, by that field."""

FIELD_OF_ATTRIBUTE = {oid.dotted_string: field for field, oid in SUBJECT_FIELDS.items()}


class Default(StrEnum):
    """What holds for a request whose namespace no rule of the policy is about."""

    ALLOW = "Allow"
    DENY = "Deny"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One of a label selector's `matchExpressions` (https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/)."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """True if an object with these labels fulfils it, as Kubernetes has it."""
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value in self.values
            case "NotIn":
                return value not in self.values
            case "Exists":
                return value is not None
            case _:
                return value is None


@dataclass(frozen=True, slots=True)
class Namespaces:
    """Some namespaces of the cluster; with neither names nor a selector, all."""

    names: tuple[str, ...] = ()
    """Those of these names."""
    selector: tuple[Requirement, ...] = ()
    """Those whose labels fulfil all of it, as well."""

    def include(self, name: str, labels: Mapping[str, str]) -> bool:
        """True if the namespace `name`, which has these labels, is one of them."""
        if not self.names and not self.selector:
            return True
        return name in self.names or (bool(self.selector) and all(r.matches(labels) for r in self.selector))


@dataclass(frozen=True, slots=True)
class AllowedNames:
    """Which names of one kind may be asked for, each as the kind's `canonical_...` function returns it."""

    exact: frozenset[str] = frozenset()
    """As they stand."""
    suffixes: tuple[str, ...] = ()
    """A name (of an e-mail address or a URI: its host) that equals one, or ends with a dot and one."""
    wildcards: bool = False
    """`*.example.com` may be asked for where example.com may."""


@dataclass(frozen=True, slots=True)
class AllowedKey:
    """Which keys of one algorithm may be asked for."""

    algorithm: KeyAlgorithm
    minimum_size: int | None = None
    """In bits; None for any."""
    maximum_size: int | None = None
    """In bits; None for any."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What is None, or empty for `keys` and `usages`, is not restricted. What is False, or empty for `extensions`, may
    not be asked for."""

    name: str = ""
    """For messages."""
    namespaces: Namespaces = field(default_factory=Namespaces)
    """Those of the requests that it is about."""
    common_names: AllowedNames | None = None
    """None: where there are `dns_names`, a common name has to be one of the alternative names.

    For much software still takes it for the name of a host.
    """
    dns_names: AllowedNames | None = None
    networks: tuple[str, ...] | None = None
    """In which the IP addresses have to be, as CIDR."""
    uris: AllowedNames | None = None
    email_addresses: AllowedNames | None = None
    other_names: bool = False
    """They may be asked for, whatever they say."""
    attributes: frozenset[tuple[str, str]] | None = None
    """What the subject may hold besides common names and e-mail addresses, as dotted OID and value (see
    `canonical_attribute`). None: nothing else where the rule restricts names, and anything where it does not."""
    keys: tuple[AllowedKey, ...] = ()
    """An RSA key beyond 4,096 bits is for whom one of them says so by its sizes."""
    maximum_duration: timedelta | None = None
    is_ca: bool = False
    usages: frozenset[str] = frozenset()
    """Normalized (`pki.usages`)."""
    extensions: frozenset[str] = frozenset()
    """Dotted OIDs of custom ones."""

    @property
    def allowed_attributes(self) -> frozenset[tuple[str, str]] | None:
        """None for any."""
        names = (self.common_names, self.dns_names, self.networks, self.uris, self.email_addresses)
        if self.attributes is None and any(restricted is not None for restricted in names):
            return frozenset()
        return self.attributes


@dataclass(frozen=True, slots=True)
class Policy:
    """`spec.policy` of an issuer. How it is read: `decisions.policy`."""

    default: Default = Default.ALLOW
    rules: tuple[Rule, ...] = ()

    @property
    def needs_labels(self) -> bool:
        """The labels of the request's namespace have to be known."""
        return any(rule.namespaces.selector for rule in self.rules)


def canonical_dns_name(name: str) -> str:
    """The dNSName that a certificate has for it. Raises PkiError for what is none."""
    return general_names.dns_name(name)


def canonical_common_name(name: str) -> str:
    """A host name like a dNSName, an IP address like an iPAddress, all else as it stands: it is signed as it is."""
    if not name.isascii():
        return name
    if is_name(general_names.ip_address, name):
        return str(general_names.ip_address(name))
    return general_names.dns_name(name) if is_name(general_names.dns_name, name) else name


def canonical_uri(uri: str) -> str:
    """The uniformResourceIdentifier for it, scheme and host in lower case (RFC 3986, 6.2.2.1). Raises PkiError."""
    scheme, _, rest = general_names.uri(uri).partition(":")
    if not rest.startswith("//"):
        return f"{scheme.lower()}:{rest}"
    end = min((at for at in (rest.find(c, 2) for c in "/?#") if at >= 0), default=len(rest))
    user, at, host = rest[2:end].rpartition("@")
    return f"{scheme.lower()}://{user}{at}{host.lower()}{rest[end:]}"


def canonical_email_address(address: str) -> str:
    """The rfc822Name for it. Raises PkiError for what is none, and for a quoted local part."""
    return general_names.email_address(address)


def canonical_attribute(oid: x509.ObjectIdentifier, value: str) -> str:
    """The value of a subject's attribute: a country in capitals (ISO 3166-1), any other as it stands."""
    return value.upper() if oid == NameOID.COUNTRY_NAME else value


def canonical_suffix(suffix: str, field: str) -> str:
    """Raises PkiError, which names `field`, for what is no host name."""
    return general_names.host_name(suffix, field)


def is_name(reader: Callable[[str], object], text: str) -> bool:
    """Whether `reader` takes it: a function of `pki.general_names`, which raises PkiError for what is no such name."""
    try:
        reader(text)
    except PkiError:
        return False
    return True
