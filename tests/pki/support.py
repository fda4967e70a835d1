"""What the pki tests share: small CAs, requests, and openssl as a second opinion."""

import base64
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from csr_operator.pki import asn1
from csr_operator.pki.authority import Authority, load_authority, self_sign, sign
from csr_operator.pki.chain import Chain, build_chain, to_pem
from csr_operator.pki.csr import CsrTemplate, build_csr
from csr_operator.pki.keys import KeyAlgorithm, KeyParameters, PrivateKey, generate, private_key_pem
from csr_operator.pki.names import Names, Subject
from csr_operator.pki.profile import Profile

# A moment long after these tests are read, so that nothing passes by leaning on the clock.
NOW = datetime(2041, 5, 4, 12, tzinfo=UTC)
DAY = timedelta(days=1)
LEAF = Profile(usages=("digital signature", "key encipherment", "server auth"))
WWW = Names(common_name="www.example.com", dns_names=("www.example.com", "example.com", "api.example.com"))

P256 = KeyParameters()
P384 = KeyParameters(KeyAlgorithm.ECDSA, 384)
P521 = KeyParameters(KeyAlgorithm.ECDSA, 521)
RSA = KeyParameters(KeyAlgorithm.RSA)
ED25519 = KeyParameters(KeyAlgorithm.ED25519)
ML_DSA = tuple(KeyParameters(one) for one in KeyAlgorithm if one.startswith("ML-DSA"))


@cache
def key_of(parameters: KeyParameters, which: int = 0) -> PrivateKey:
    """One key of each kind for the whole run (and another for another ``which``): RSA keys take long to make."""
    return generate(parameters)


@dataclass(frozen=True)
class Request:
    key: PrivateKey
    csr: x509.CertificateSigningRequest
    profile: Profile


def request(names: Names = WWW, profile: Profile = LEAF, parameters: KeyParameters = P256) -> Request:
    key = key_of(parameters)
    return Request(key, build_csr(CsrTemplate(names, profile), key), profile)


def authority(
    name: str = "Test Root",
    *,
    parent: Authority | None = None,
    profile: Profile | None = None,
    parameters: KeyParameters = P256,
    days: tuple[int, int] = (-30, 3650),
) -> Authority:
    """A CA of its own key, self-signed or below ``parent``; ``days`` is its validity counted from NOW."""
    profile = profile or Profile(is_ca=True)
    key = generate(parameters)
    names = Names(common_name=name, subject=Subject(countries=("DE",), organizations=("Example Ltd",)))
    csr = build_csr(CsrTemplate(names, profile), key)
    first, last = (NOW + count * DAY for count in days)
    if parent is None:
        own = self_sign(csr, key, profile, not_before=first, not_after=last)
        return load_authority(to_pem((own,)), private_key_pem(key))
    own = sign(parent, csr, profile, not_before=first, not_after=last)
    return load_authority(to_pem((own, *parent.chain)), private_key_pem(key), to_pem(parent.certificates))


def issue(ca: Authority, asked: Request, days: int = 90) -> Chain:
    """What a CA that does as it is told answers."""
    leaf = sign(ca, asked.csr, asked.profile, not_before=NOW, not_after=NOW + days * DAY)
    return build_chain(asked.csr, (leaf, *ca.certificates))


def pem(one: x509.Certificate | x509.CertificateSigningRequest) -> bytes:
    return one.public_bytes(Encoding.PEM)


def openssl(*arguments: str | Path, stdin: bytes = b"") -> str:
    """What openssl says on both its outputs; a failure is the test's."""
    done = subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, timeout=60)
    text = done.stdout.decode() + done.stderr.decode()
    assert done.returncode == 0, text
    return text


def openssl_verify(chain: Chain, folder: Path, *options: str) -> str:
    """`openssl verify` of a chain up to its root, at NOW."""
    assert chain.root is not None
    for name, content in (("root.pem", chain.ca_pem), ("leaf.pem", pem(chain.leaf))):
        (folder / name).write_bytes(content)
    (folder / "between.pem").write_bytes(to_pem(chain.intermediates))
    between = ["-untrusted", str(folder / "between.pem")] if chain.intermediates else []
    return openssl(
        "verify",
        *("-x509_strict", "-attime", str(int(NOW.timestamp())), "-CAfile", str(folder / "root.pem")),
        *between,
        *options,
        folder / "leaf.pem",
    )


# 2**p - 1 is a prime for these p (Mersenne primes), so that whoever wants to can make an RSA key of any size at once.
MERSENNE = (9689, 9941)


def rsa_pem(p: int, q: int, /, **parts: int) -> bytes:
    """An RSAPrivateKey (RFC 8017, A.1.2) with the primes p and q, but for the parts that are given."""
    d = pow(65537, -1, (p - 1) * (q - 1))
    numbers = {"n": p * q, "e": 65537, "d": d, "p": p, "q": q}
    numbers |= {"dmp1": d % (p - 1), "dmq1": d % (q - 1), "iqmp": pow(q, -1, p), **parts}
    integers = [asn1.encode(2, number.to_bytes(number.bit_length() // 8 + 1)) for number in (0, *numbers.values())]
    body = base64.encodebytes(asn1.encode(asn1.SEQUENCE, b"".join(integers)))
    return b"-----BEGIN RSA PRIVATE KEY-----\n" + body + b"-----END RSA PRIVATE KEY-----\n"
