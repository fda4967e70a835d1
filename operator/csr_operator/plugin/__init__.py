"""What a CA backend is, and what it is written with: the API for third parties.

Only what this package exports is promised to packages of others; its modules are not. `credentials`, `http` and
`text` are modules. `csr_operator.plugin.testing` is for tests, and has to be imported by itself.
"""

from csr_operator.pki.chain import load_bundle
from csr_operator.pki.errors import PkiError
from csr_operator.pki.fingerprint import sha256_fingerprint
from csr_operator.pki.profile import Profile
from csr_operator.pki.verify import Rules

from . import credentials, http, text
from .backend import Backend, Health, Issued, Order, Pending, Renewal, Traits
from .context import Context, NoResponder, Responder
from .errors import BackendError, Lapsed, Misconfigured, Rejected, Retryable, SecretNotFound
from .fresh import Fresh
from .schedule import Schedule, bounded_pause

__all__ = [
    "Backend",
    "BackendError",
    "Context",
    "Fresh",
    "Health",
    "Issued",
    "Lapsed",
    "Misconfigured",
    "NoResponder",
    "Order",
    "Pending",
    "PkiError",
    "Profile",
    "Rejected",
    "Renewal",
    "Responder",
    "Retryable",
    "Rules",
    "Schedule",
    "SecretNotFound",
    "Traits",
    "bounded_pause",
    "credentials",
    "http",
    "load_bundle",
    "sha256_fingerprint",
    "text",
]
