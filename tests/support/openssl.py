"""OpenSSL's command line: an implementation of X.509 that is not ours."""

import re
import subprocess
from pathlib import Path


def openssl(*arguments: str | Path, stdin: str = "") -> str:
    """What `openssl` prints; a failure raises with what it said."""
    done = subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"openssl {' '.join(map(str, arguments))}: {done.stdout}{done.stderr}")
    return done.stdout


def certificate_text(pem: str) -> str:
    """`openssl x509 -text` of the first certificate, with each run of white space as one space."""
    text = openssl("x509", "-noout", "-text", "-nameopt", "RFC2253,-esc_msb,utf8", stdin=pem)
    return re.sub(r"\s+", " ", text)


def request_text(pem: str) -> str:
    """`openssl req -verify -text`, with each run of white space as one space."""
    text = openssl("req", "-noout", "-verify", "-text", "-nameopt", "RFC2253,-esc_msb,utf8", stdin=pem)
    return re.sub(r"\s+", " ", text)


def end_date(pem: str) -> str:
    """notAfter of a certificate, as OpenSSL writes it."""
    return openssl("x509", "-noout", "-enddate", stdin=pem)


def split(bundle: str) -> list[str]:
    """The certificates of a PEM file, each by itself."""
    return re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", bundle, re.DOTALL)


def verify(folder: Path, data: dict[str, str], *arguments: str) -> None:
    """`openssl verify -x509_strict` of a Secret's `data`: the leaf, by the chain it comes with, up to `ca.crt`."""
    for name in ("tls.crt", "ca.crt"):
        (folder / name).write_text(data[name])
    chain = folder / "chain.pem"
    chain.write_text("".join(split(data["tls.crt"])[1:]))
    untrusted = ("-untrusted", chain) if chain.read_text() else ()
    openssl(
        *("verify", "-x509_strict", "-check_ss_sig", "-CAfile", folder / "ca.crt"),
        *untrusted,
        *arguments,
        folder / "tls.crt",
    )


def public_key(pem: str) -> str:
    """The public key (PEM) of a certificate or of a private key."""
    if "PRIVATE KEY" in pem:
        return openssl("pkey", "-pubout", stdin=pem)
    return openssl("x509", "-noout", "-pubkey", stdin=pem)
