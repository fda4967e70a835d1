"""OpenSSL's command line: an implementation of X.509 that is not ours."""

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CA_CONFIG = """
[ca]
new_certs_dir = {folder}
database = {folder}/index.txt
certificate = {folder}/ca.crt
private_key = {folder}/ca.key
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
copy_extensions = copyall
{extensions}
[any]
countryName = optional
organizationName = optional
commonName = optional
[extra]
basicConstraints = critical, CA:FALSE
{names}
"""


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


def own_csr(folder: Path, name: str, *arguments: str, key: str = "ec") -> str:
    """A CSR for the host `name` that a user makes, with the key in `folder`/`name`.key. key: as `-newkey` takes it."""
    curve = ("-pkeyopt", "ec_paramgen_curve:P-256") if key == "ec" else ()
    return openssl(
        *("req", "-new", "-newkey", key, *curve, "-noenc", "-keyout", folder / f"{name}.key"),
        *("-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", *arguments),
    )


@dataclass(frozen=True, slots=True)
class OpensslCa:
    """A root CA that a person runs with `openssl ca`, in a folder of its own."""

    folder: Path

    @classmethod
    def create(cls, folder: Path, name: str = "Company Root") -> "OpensslCa":
        folder.mkdir()
        (folder / "index.txt").touch()
        usage = "keyUsage=critical,keyCertSign,cRLSign"
        openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "3650"),
            *("-subj", f"/CN={name}", "-addext", usage),
            *("-keyout", folder / "ca.key", "-out", folder / "ca.crt"),
        )
        return cls(folder)

    @property
    def certificate(self) -> str:
        return (self.folder / "ca.crt").read_text()

    def sign(self, csr: str, *arguments: str, names: Sequence[str] | None = None) -> str:
        """The certificate for a CSR, with the extensions that it asks for.

        names: alternative names instead of those of the CSR, such as `DNS:www.example.com`.
        """
        listed = f"subjectAltName = {','.join(names)}" if names else ""
        extensions = "" if names is None else "copy_extensions = none\nx509_extensions = extra"
        config = self.folder / "ca.cnf"
        config.write_text(CA_CONFIG.format(folder=self.folder, names=listed, extensions=extensions))
        (self.folder / "in.csr").write_text(csr)
        days = () if "-enddate" in arguments else ("-days", "30")
        return openssl(
            *("ca", "-config", config, "-name", "ca", "-batch", "-notext", "-in", self.folder / "in.csr"),
            *(*days, *arguments),
        )
