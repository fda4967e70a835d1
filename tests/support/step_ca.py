"""step-ca, the CA of Smallstep, with an ACME provisioner."""

import json
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from csr_operator.pki.authority import load_authority, sign
from csr_operator.pki.profile import Profile
from tests.support.authorities import authority
from tests.support.kubectl import wait_until
from tests.support.ports import answers, free_ports
from tests.support.tools import go_tool

STEP_CA = ("github.com/smallstep/certificates/cmd/step-ca", "v0.30.2")


@dataclass(frozen=True, slots=True)
class StepCa:
    """directory: URL of its ACME provisioner. ca_file: its root, which its own HTTPS certificate leads to as well."""

    url: str
    directory: str
    ca_file: Path
    log: Path

    def revoked(self) -> set[int]:
        """The serial numbers on its revocation list."""
        context = ssl.create_default_context(cafile=self.ca_file)
        with urllib.request.urlopen(f"{self.url}/1.0/crl", context=context, timeout=10) as answer:
            return {entry.serial_number for entry in x509.load_der_x509_crl(answer.read())}


@contextmanager
def step_ca(folder: Path, *, dns_port: int, http_port: int) -> Iterator[StepCa]:
    """Run it. dns_port: of the DNS server that it asks. http_port: where it connects to for http-01."""
    (port,) = free_ports(1)
    _authorities(folder)
    config = {
        "root": str(folder / "root.pem"),
        "crt": str(folder / "intermediate.pem"),
        "key": str(folder / "intermediate.key"),
        "address": f"127.0.0.1:{port}",
        "dnsNames": ["127.0.0.1"],
        "db": {"type": "badgerv2", "dataSource": str(folder / "db")},
        "crl": {"enabled": True, "generateOnRevoke": True},
        "authority": {
            "provisioners": [
                {
                    "type": "ACME",
                    "name": "acme",
                    "claims": {"defaultTLSCertDuration": "2160h", "maxTLSCertDuration": "8760h"},
                }
            ]
        },
    }
    (folder / "ca.json").write_text(json.dumps(config))
    command: list[str | Path] = [go_tool(*STEP_CA), folder / "ca.json", "--resolver", f"127.0.0.1:{dns_port}"]
    command += ["--insecure", "--acme-http-port", str(http_port)]
    log = folder / "step-ca.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        try:
            wait_until(f"step-ca answers: see {log}", lambda: process.poll() is not None or answers(port))
            assert process.poll() is None, log.read_text()[-2000:]
            url = f"https://127.0.0.1:{port}"
            yield StepCa(url, f"{url}/acme/acme/directory", folder / "root.pem", log)
        finally:
            process.kill()
            process.wait()


def _authorities(folder: Path) -> None:
    """A root, and an intermediate CA by it."""
    root, key = authority("step-ca Root"), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "step-ca Intermediate")])
    csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    now = datetime.now(UTC)
    parent = load_authority(root.certificate.encode(), root.key.encode())
    profile = Profile(usages=("cert sign", "crl sign"), is_ca=True)
    signed = sign(parent, csr, profile, not_before=now - timedelta(hours=1), not_after=now + timedelta(days=365))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "root.pem").write_text(root.certificate)
    (folder / "intermediate.pem").write_bytes(signed.public_bytes(Encoding.PEM))
    (folder / "intermediate.key").touch(mode=0o600)
    (folder / "intermediate.key").write_bytes(private)
