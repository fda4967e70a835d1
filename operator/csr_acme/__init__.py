"""An ACME client (RFC 8555) on aiohttp and cryptography, with ARI (RFC 9773), IP identifiers (RFC 8738) and profiles.

It knows nothing of Kubernetes, keeps no state but nonces, and never sleeps: whoever uses it decides when to ask again,
by the `retry_after` that comes with what the server says.

The server is not trusted either: requests go to its own host alone, and texts, lists, answers and times are bounded.
"""

from csr_acme.client import AcmeClient
from csr_acme.errors import AcmeError, ForeignUrl, Problem, Refused, Unreachable, Untrusted
from csr_acme.jose import ExternalAccount
from csr_acme.objects import Account, Authorization, Challenge, Directory, Identifier, Order, RenewalInfo

__all__ = [
    "Account",
    "AcmeClient",
    "AcmeError",
    "Authorization",
    "Challenge",
    "Directory",
    "ExternalAccount",
    "ForeignUrl",
    "Identifier",
    "Order",
    "Problem",
    "Refused",
    "RenewalInfo",
    "Unreachable",
    "Untrusted",
]
