"""A CA that is a person with openssl."""

from dataclasses import dataclass
from pathlib import Path

from tests.support.openssl import openssl


@dataclass(frozen=True, slots=True)
class Authority:
    """Its files are in `folder`."""

    folder: Path

    @property
    def certificate(self) -> str:
        return (self.folder / "ca.crt").read_text()

    def sign(self, csr: str, *arguments: str, names: str = "", days: int = 30) -> str:
        """A certificate (PEM) for a CSR (PEM), with the extensions that it asks for; `names` (as openssl writes them)
        instead of its alternative names."""
        (self.folder / "csr.pem").write_text(csr)
        if names:
            usage = "keyUsage = critical,digitalSignature"
            (self.folder / "extensions").write_text(f"subjectAltName = critical,{names}\n{usage}\n")
            arguments = (*arguments, "-extfile", str(self.folder / "extensions"))
        else:
            arguments = (*arguments, "-copy_extensions", "copyall")
        return openssl(
            *("x509", "-req", "-in", self.folder / "csr.pem", "-days", str(days)),
            *("-CA", self.folder / "ca.crt", "-CAkey", self.folder / "ca.key", "-CAcreateserial"),
            *arguments,
        )


def authority(folder: Path, name: str) -> Authority:
    """A new root CA of this name."""
    folder.mkdir()
    openssl(
        *("req", "-x509", *_NEW_KEY, "-keyout", folder / "ca.key", "-out", folder / "ca.crt"),
        *("-subj", f"/CN={name}", "-days", "3650", "-addext", "keyUsage=critical,keyCertSign,cRLSign"),
    )
    return Authority(folder)


def another_csr(folder: Path, name: str) -> str:
    """A CSR (PEM) for this DNS name, and a key that nobody asked for."""
    return openssl(
        *("req", "-new", *_NEW_KEY, "-keyout", folder / "another.key", "-subj", "/"),
        *("-addext", f"subjectAltName=critical,DNS:{name}", "-addext", "keyUsage=critical,digitalSignature"),
    )


_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
