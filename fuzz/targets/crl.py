"""The revocation list that a `ca` issuer finds in its Secret. May raise BackendError.

What the issuer then writes is a list that its CA has signed, with all that was on one of that CA before.
"""

from collections.abc import Mapping

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from csr_operator.backends.ca import CaBackend
from csr_operator.pki.crl import crl_number, is_signed_by, load_crl, revoked
from csr_operator.pki.errors import PkiError
from csr_operator.pki.keys import private_key_pem
from csr_operator.plugin.errors import BackendError
from csr_operator.plugin.testing import Clock, World
from fuzz.checks import outcome
from fuzz.loop import finish
from fuzz.parties import CA, CA_KEY, NOW, sign_list
from fuzz.pem_text import unwrap, wrap

SHAPE = "der"

_LABEL = "X509 CRL"
_KEY_PAIR = {"tls.crt": CA.certificate.public_bytes(Encoding.PEM), "tls.key": private_key_pem(CA_KEY)}


def fuzz(data: bytes) -> None:
    _use(data if data[:1] != b"\x30" else wrap(data, _LABEL))
    try:
        signed = sign_list(unwrap(data))
    except PkiError:
        return  # nothing to sign
    _use(wrap(signed, _LABEL))


def _use(text: bytes) -> None:
    secrets: dict[str, Mapping[str, bytes]] = {"ca": _KEY_PAIR, "crl": {"ca.crl": text}}
    # Nothing is called.
    world = World(None, Clock(NOW), secrets, frozenset({"crl"}))  # type: ignore[arg-type]
    ca = world.make(CaBackend, {"secretName": "ca", "crl": {"secretName": "crl"}})
    if outcome(lambda: finish(ca.check()), BackendError) is None:
        assert secrets["crl"]["ca.crl"] == text, "what cannot be read is kept"
        return
    written = load_crl(world.secrets["crl"]["ca.crl"])
    assert is_signed_by(written, CA)
    before = _list_of_ca(text)
    if before is not None:
        assert {*revoked(before)} <= {*revoked(written)}
        assert crl_number(before) <= crl_number(written)


def _list_of_ca(text: bytes) -> x509.CertificateRevocationList | None:
    before = load_crl(text)
    return before if is_signed_by(before, CA) else None
