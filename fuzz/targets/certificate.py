"""Answers of CAs, CA bundles and imported chains: PEM, DER, PKCS #7. May raise PkiError.

What was read is read again from what is written of it. A certificate that is accepted as the answer to a request is one
that OpenSSL takes from a TLS server.
"""

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from csr_operator.pki.chain import Chain, chains, load_bundle, to_pem
from csr_operator.pki.errors import PkiError
from csr_operator.pki.profile import Profile
from csr_operator.pki.verify import CA_DECIDES, accepted
from fuzz.checks import outcome
from fuzz.openssl import refusal_of
from fuzz.parties import CA, CSR, NOW, sign_certificate
from fuzz.pem_text import unwrap

SHAPE = "der"


def fuzz(data: bytes) -> None:
    certificates = outcome(lambda: load_bundle(data), PkiError)
    if certificates:
        assert load_bundle(to_pem(certificates)) == certificates
        _use(certificates)
    try:
        signed = sign_certificate(unwrap(data))
    except PkiError:
        return  # nothing to sign
    answer = outcome(lambda: load_bundle(signed), PkiError)
    if answer:
        _use(answer)
        chain = outcome(lambda: _accepted((*answer, CA.certificate)), PkiError)
        if chain is not None:
            assert chain.leaf.public_bytes(Encoding.DER) == signed
            assert not (refusal := refusal_of(chain)), f"accepted, and OpenSSL refuses it: {refusal}"


def _accepted(certificates: tuple[x509.Certificate, ...]) -> Chain:
    return accepted(CSR, certificates, Profile(), now=NOW, roots=[CA.certificate], rules=CA_DECIDES)


def _use(certificates: tuple[x509.Certificate, ...]) -> None:
    """As whoever is given them does, for whatever key they are."""
    for certificate in certificates:
        try:
            key = certificate.public_key()
        except Exception:  # whatever the library stumbles over
            continue
        outcome(lambda: chains(key, certificates, now=NOW), PkiError)  # noqa: B023
    outcome(lambda: _accepted(certificates), PkiError)
