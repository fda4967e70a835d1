"""`export` and `import`: a CA that is a person, with openssl, signs what the operator asks for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.authority import Authority, another_csr, authority
from tests.cli.support import READER, Plugin, rule, user, wait_unready
from tests.support.kubectl import wait_until
from tests.support.manifests import issuer, request
from tests.support.openssl import openssl, public_key, request_text, verify
from tests.support.site import Site

IMPORT = "csr-operator.dev/import"


@pytest.fixture(scope="module")
def bank(site: Site, folder: Path) -> Authority:
    """A CA that the manual issuer `bank` takes certificates of, and requests that wait for some."""
    ca = authority(folder / "bank", "Bank Root")
    site.kubectl.apply(
        issuer("bank", manual={"caBundle": ca.certificate}),
        issuer("offline", manual={}),
        request("vault", "bank", usages=["digital signature"]),
        request("safe", "bank"),
        request("steady", "bank", privateKey={"rotationPolicy": "Never"}),
        request("piped", "bank"),
        request("deep", "offline"),
        request("own", "ca"),
        request("early", "nobody"),
    )
    wait_unready(site.kubectl, "ActionRequired", "vault", "safe", "steady", "piped", "deep")
    wait_unready(site.kubectl, "IssuerNotFound", "early")
    site.kubectl.wait_ready("own")
    return ca


@pytest.fixture(scope="module")
def csr_pem(csr: Plugin, bank: Authority) -> str:
    """What the request `vault` waits to have signed."""
    return csr("export", "vault").out


@pytest.fixture
def untouched(site: Site) -> Iterator[None]:
    """Nothing was handed to the operator."""
    yield
    assert IMPORT not in site.kubectl.get("csreq", "vault")["metadata"].get("annotations", {})


def test_what_comes_back_is_in_the_secret(
    kubectl_csr: Plugin, csr: Plugin, site: Site, bank: Authority, tmp_path: Path
) -> None:
    csr_file, certificate_file = tmp_path / "safe.csr", tmp_path / "safe.pem"
    assert kubectl_csr("export", "safe", "--output-file", str(csr_file)).out == ""
    assert csr_file.read_text() == site.status("safe")["csr"]
    certificate_file.write_text(bank.sign(csr_file.read_text(), days=365))  # people grant what they like
    answer = kubectl_csr("import", "safe", str(certificate_file), "--wait")

    assert "revision 1 is in the Secret" in answer.out
    site.kubectl.wait_ready("safe", seconds=1)
    data = site.data("safe-tls")
    assert data["tls.crt"] == certificate_file.read_text()
    assert public_key(data["tls.key"]) == public_key(data["tls.crt"])
    # Only the leaf was brought: the root is the issuer's.
    assert data["ca.crt"] == bank.certificate
    verify(tmp_path, data)
    assert csr("export", "safe", "--certificate").out == csr("export", "safe", "--chain").out == data["tls.crt"]
    assert csr("export", "safe", "--ca").out == bank.certificate
    assert csr("verify", "safe").words.startswith(f"{site.kubectl.namespace}/safe: OK")


def test_the_exported_csr_is_that_of_the_status(csr: Plugin, site: Site, csr_pem: str) -> None:
    assert csr_pem == site.status("vault")["csr"]
    assert "DNS:vault.example.com" in request_text(csr_pem)


@pytest.mark.usefixtures("untouched")
def test_a_certificate_for_another_key_is_refused(csr: Plugin, csr_pem: str, bank: Authority, tmp_path: Path) -> None:
    certificate = bank.sign(another_csr(tmp_path, "vault.example.com"))
    said = csr.refused("import", "vault", "-", stdin=certificate)
    assert "not what vault asks for" in said
    assert "none of the 1 certificates is for the key that was asked for" in said


@pytest.mark.usefixtures("untouched")
def test_a_certificate_with_other_names_is_refused(csr: Plugin, csr_pem: str, bank: Authority) -> None:
    said = csr.refused("import", "vault", "-", stdin=bank.sign(csr_pem, names="DNS:other.example.com"))
    assert '  DNS name: "vault.example.com" is missing\n' in said
    assert '  DNS name: "other.example.com" was not asked for\n' in said


@pytest.mark.usefixtures("untouched")
def test_an_expired_certificate_is_refused(csr: Plugin, csr_pem: str, bank: Authority) -> None:
    assert "  validity: it ends at " in csr.refused("import", "vault", "-", stdin=bank.sign(csr_pem, days=-1))


@pytest.mark.usefixtures("untouched")
def test_a_certificate_that_does_not_lead_to_the_issuers_bundle_is_refused(
    csr: Plugin, csr_pem: str, tmp_path: Path
) -> None:
    stranger = authority(tmp_path / "stranger", "Stranger Root")
    chain = stranger.sign(csr_pem) + stranger.certificate
    said = csr.refused("import", "vault", "-", stdin=chain)
    assert '"CN=Stranger Root", which is not among the issuer\'s roots ("CN=Bank Root")' in said


@pytest.mark.usefixtures("untouched")
def test_each_difference_is_told(csr: Plugin, csr_pem: str, tmp_path: Path) -> None:
    namesake = authority(tmp_path / "namesake", "Bank Root")
    certificate = namesake.sign(csr_pem, "-subj", "/CN=vault", names="DNS:other.example.com", days=-1)
    said = csr.refused("import", "vault", "-", stdin=certificate)
    for field in ("chain: ", "subject: ", "DNS name: ", "validity: "):
        assert f"\n  {field}" in said


@pytest.mark.usefixtures("untouched")
def test_a_file_without_a_certificate_is_refused(csr: Plugin, csr_pem: str, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("to do")
    assert f"{file}: there is no certificate in it" in csr.refused("import", "vault", str(file))
    assert "cannot read /nowhere: No such file" in csr.refused("import", "vault", "/nowhere")
    assert "cannot write" in csr.refused("export", "vault", "--output-file", str(tmp_path / "no" / "folder"))


def test_what_waits_for_nothing_takes_nothing(csr: Plugin, site: Site, bank: Authority) -> None:
    certificate = csr("export", "own", "--certificate").out

    said = csr.refused("import", "own", "-", stdin=certificate)
    assert (
        said == f"error: nothing can be imported for own: Issuer {site.kubectl.namespace}/ca is not a manual issuer\n"
    )
    assert "IssuerNotFound" in csr.refused("export", "early")
    assert "own-tls" not in csr.refused("export", "early", "--ca")


def test_a_chain_is_taken_in_any_order_and_form_and_brought_leaf_first(
    csr: Plugin, site: Site, bank: Authority, tmp_path: Path
) -> None:
    root = authority(tmp_path / "root", "Offline Root")
    openssl(
        *("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=Issuing CA"),
        *("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"),
        *("-keyout", tmp_path / "ca.key", "-out", tmp_path / "issuing.csr"),
    )
    intermediate = root.sign((tmp_path / "issuing.csr").read_text(), days=300)
    (tmp_path / "ca.crt").write_text(intermediate)
    leaf = Authority(tmp_path).sign(csr("export", "deep").out)
    (tmp_path / "all.pem").write_text(root.certificate + intermediate + leaf)
    p7 = openssl("crl2pkcs7", "-nocrl", "-certfile", tmp_path / "all.pem")

    answer = csr("import", "deep", "-", "--wait", "-o", "json", stdin=p7)

    assert '"revision": 1' in answer.out
    assert (
        site.kubectl.get("csreq", "deep")["metadata"]["annotations"][IMPORT] == leaf + intermediate + root.certificate
    )
    assert site.data("deep-tls")["tls.crt"] == leaf + intermediate
    assert site.data("deep-tls")["ca.crt"] == root.certificate
    # There is nothing to bring any more, and the operator would keep it for the next CSR.
    said = csr.refused("import", "deep", "-", stdin=p7)
    assert "deep is not waiting for a certificate to be imported" in said
    assert f"kubectl csr renew deep -n {site.kubectl.namespace}" in said


def test_renewed_with_the_same_key_it_waits_for_another_certificate(csr: Plugin, site: Site, bank: Authority) -> None:
    """What was brought before is still in the annotation, and for the same key."""
    first, second = (bank.sign(csr("export", "steady").out) for _ in range(2))
    csr("import", "steady", "-", "--wait", stdin=first)

    csr("renew", "steady")
    site.wait_condition("steady", "Renewing", "ActionRequired")
    assert site.status("steady")["revision"] == 1
    csr("import", "steady", "-", "--wait", stdin=second)

    assert site.data("steady-tls")["tls.crt"] == second
    assert site.status("steady")["revision"] == 2


def test_with_the_rights_to_requests_alone(csr: Plugin, site: Site, bank: Authority, folder: Path) -> None:
    """A pipeline needs neither Secrets nor issuers; what it cannot check, the operator does."""
    pipeline = user(site.kubectl, folder, "pipeline", rule("certificaterequests", "get list watch patch"))
    reader = user(site.kubectl, folder, "onlooker", *READER)
    stranger = authority(folder / "other", "Other Root")

    csr_text = pipeline("export", "piped").out
    assert 'cannot patch resource "certificaterequests"' in reader.refused(
        "import", "piped", "-", stdin=bank.sign(csr_text)
    )
    said = pipeline.refused("import", "piped", "-", "--wait", stdin=stranger.sign(csr_text))
    assert "bank could not be read" in said
    assert "ActionRequired: what was imported is refused: " in said
    assert 'not among the issuer\'s roots ("CN=Bank Root")' in said

    answer = pipeline("import", "piped", "-", "--wait", stdin=bank.sign(csr_text))
    assert "bank could not be read" in answer.err
    wait_until("piped is Ready", lambda: csr.json("status", "piped")["ready"])
