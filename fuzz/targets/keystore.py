"""Passwords and aliases of keystores. May raise PkiError, which does not show the password.

A keystore that was written is opened by that password.
"""

from cryptography.hazmat.primitives.serialization import pkcs12

from csr_operator.pki.chain import Chain
from csr_operator.pki.errors import PkiError
from csr_operator.pki.keys import public_key_der
from csr_operator.pki.keystores import Pkcs12Profile, jks_keystore, password_problem, pkcs12_keystore
from fuzz.checks import check_message, outcome
from fuzz.parties import CA, CA_KEY

SHAPE = "octets"

_CHAIN = Chain(CA.certificate)


def fuzz(data: bytes) -> None:
    """The password, a line break, and the alias; the first octet chooses."""
    password_text, _, alias_text = data[1:].partition(b"\n")
    password, alias = password_text.decode(errors="replace"), alias_text.decode(errors="replace") or "certificate"
    profile = tuple(Pkcs12Profile)[(data[0] if data else 0) % 2]
    problem = password_problem(password)
    if problem:
        check_message(problem)
        assert len(password) < 8 or password not in problem
    store = outcome(lambda: pkcs12_keystore(_CHAIN, CA_KEY, password, alias=alias, profile=profile), PkiError)
    assert (store is None) == bool(problem)
    if store is not None:
        opened = pkcs12.load_pkcs12(store, password.encode())
        assert opened.key is not None
        assert public_key_der(opened.key.public_key()) == public_key_der(CA_KEY.public_key())
        assert opened.cert is not None
        assert (opened.cert.friendly_name or b"") == alias.encode()
    outcome(lambda: jks_keystore(_CHAIN, CA_KEY, password, alias=alias), PkiError)
