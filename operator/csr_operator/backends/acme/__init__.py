"""`acme`: a CA that speaks ACME (RFC 8555), with ARI (RFC 9773).

The order's URL is the handle: it is stored before anything else is done, and everything after follows from what the
CA says of it. An order that is placed again after a crash is first looked for in the account's list of orders, which
not every CA keeps (Let's Encrypt does not; it gives the same pending order to who asks again for the same names).
"""

from .backend import AcmeBackend

__all__ = ["AcmeBackend"]
