"""What an attempt to get a certificate starts from, and what it comes to."""

from dataclasses import dataclass, field

from cryptography import x509

from csr_operator.api.revocation_debts import RevocationDebt
from csr_operator.api.secrets import SecretMeta, Staged
from csr_operator.pki.keys import PrivateKey
from csr_operator.plugin.backend import Pending, Renewal

from .secret_body import Passwords
from .signing_requests import pem_of


@dataclass(frozen=True, slots=True)
class Basis:
    """What a Secret is made with, beside the certificate."""

    csr: x509.CertificateSigningRequest
    """What the certificate is, or is to be, issued for."""
    key: PrivateKey | None = field(repr=False)
    """None if it is not here."""
    passwords: Passwords = field(repr=False)
    """Of the keystores."""
    debts: tuple[RevocationDebt, ...]
    """What is to be revoked afterwards."""
    lost: str = ""
    """See `Written.lost`."""

    @property
    def csr_pem(self) -> str:
        """The CSR as PEM text."""
        return pem_of(self.csr)


@dataclass(frozen=True, slots=True)
class Written:
    """The certificate is in its Secret."""

    secret: SecretMeta
    """The Secret as it is now."""
    csr_pem: str
    """What its certificate was issued for."""
    renewal: Renewal | None = None
    """What the CA said of its renewal."""
    lost: str = ""
    """The serial number of what it replaced, if that was to be revoked and is not there any more."""
    finished: Staged | None = None
    """Where its order was kept, which is deleted."""


@dataclass(frozen=True, slots=True)
class Ordered:
    """The CA needs time."""

    staged: Staged
    """Where the order is kept."""
    pending: Pending
    """What the CA said of it."""
    csr_pem: str
    """What was ordered."""
