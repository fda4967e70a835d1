"""Certificates that are revoked, and the lists that say so."""

import re
import subprocess
from pathlib import Path
from typing import Any

from tests.support.authorities import KeyPair, authority
from tests.support.kubectl import wait_until
from tests.support.manifests import issuer, request
from tests.support.openssl import openssl
from tests.support.site import REQUEST, Site

GROUP = "csr-operator.dev"
FINALIZER = f"{GROUP}/revocation"
OWED = f"{GROUP}/owed-revocations"
ON_DELETE, ON_ROTATION = {"onDelete": True}, {"onRotation": True}

CA = authority("Revoking CA")
URL = "http://pki.example.com/ca.crl"
ISSUER: dict[str, Any] = {"secretName": "revoking-ca", "crl": {"secretName": "crl", "distributionPoints": [URL]}}


def make_revoking_ca(site: Site) -> None:
    """An issuer `revoking`, Ready, that keeps a revocation list in Secret crl."""
    site.kubectl.apply(CA.secret("revoking-ca"), issuer("revoking", ca=ISSUER))
    site.kubectl.wait_ready("revoking", kind="issuer")


def ask(site: Site, name: str, issuer_name: str = "revoking", **spec: Any) -> str:
    """Have a certificate issued; returns it (PEM)."""
    site.kubectl.apply(request(name, issuer_name, **spec))
    site.kubectl.wait_ready(name)
    return site.data(f"{name}-tls")["tls.crt"]


def crl(site: Site, secret: str = "crl") -> str:
    return site.data(secret).get("ca.crl", "")


def crl_text(pem: str) -> str:
    return re.sub(r"\s+", " ", openssl("crl", "-noout", "-text", stdin=pem))


def number(pem: str) -> int:
    return int(openssl("crl", "-noout", "-crlnumber", stdin=pem).strip().removeprefix("crlNumber=0x"), 16)


def serial(pem: str) -> str:
    return openssl("x509", "-noout", "-serial", stdin=pem).strip().removeprefix("serial=")


def checked(folder: Path, certificate: str, list_pem: str, ca: KeyPair = CA) -> str:
    """What `openssl verify -crl_check` says of a certificate: `OK` or why not."""
    for name, text in (("ca.pem", ca.certificate), ("ca.crl", list_pem), ("leaf.pem", certificate)):
        (folder / name).write_text(text)
    arguments = ("-x509_strict", "-crl_check", "-CAfile", "ca.pem", "-CRLfile", "ca.crl", "leaf.pem")
    done = subprocess.run(["openssl", "verify", *arguments], cwd=folder, capture_output=True, text=True)
    found = re.search(r"lookup: (.*)|: (OK)$", done.stdout + done.stderr, re.MULTILINE)
    assert found is not None, done
    return found[1] or found[2]


def wait_revoked(site: Site, folder: Path, certificate: str) -> None:
    """Also that it is not true yet is fine; another answer than these two is not."""

    def revoked() -> bool:
        answer = checked(folder, certificate, crl(site))
        assert answer in ("OK", "certificate revoked")
        return answer == "certificate revoked"

    wait_until("the certificate is on the list", revoked)


def renew(site: Site, name: str, value: str = "now") -> None:
    site.kubectl("annotate", REQUEST, name, f"{GROUP}/renew={value}", "--overwrite")


def finalizers(site: Site, name: str) -> list[str]:
    return list(site.kubectl.get(REQUEST, name).get("metadata", {}).get("finalizers", []))


def leave(site: Site, name: str, **spec: Any) -> str:
    """A request that went from issuer `name` to `revoking` after that was deleted; returns its first certificate."""
    site.kubectl.apply(issuer(name, ca={"secretName": "revoking-ca", "crl": {"secretName": f"{name}-crl"}}))
    old = ask(site, name, name, **spec)
    site.kubectl("delete", "issuer", name)
    site.kubectl.apply(request(name, "revoking", **spec))
    site.wait_status(name, revision=2)
    return old


def come_back(site: Site, name: str) -> None:
    """Make the issuer anew that `leave` deleted."""
    site.kubectl.apply(issuer(name, ca={"secretName": "revoking-ca", "crl": {"secretName": f"{name}-crl"}}))


def wait_gone(site: Site, name: str) -> None:
    wait_until(f"{name} is gone", lambda: not site.kubectl.get(REQUEST, name))


def events(site: Site, name: str, reason: str) -> list[str]:
    found = site.kubectl.list("events.events.k8s.io", f"--field-selector=reason={reason},regarding.name={name}")
    return [event["note"] for event in found]
