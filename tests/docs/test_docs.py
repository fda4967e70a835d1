"""What README.md, the other pages beside it and docs/ say is so."""

import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from csr_operator.api import names as api_names
from csr_operator.api.reasons import Reason
from devcluster import ControlPlane
from docs.generate import REFERENCE, render
from tests.support.ingress import install_gateway_api
from tests.support.kubectl import Kubectl

TOP = Path(__file__).parents[2]
PAGES = [*sorted(TOP.glob("*.md")), *sorted((TOP / "docs").rglob("*.md"))]
OPERATOR = TOP / "operator" / "csr_operator"
REASONS = (
    "Reasons on a CertificateRequest",
    "Reasons on an Issuer or ClusterIssuer",
    "Reasons of the operator itself",
    "Reasons for another certificate",
)


def _name(page: Path) -> str:
    return str(page.relative_to(TOP))


def _blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


def _section(heading: str) -> str:
    return REFERENCE.read_text().split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


def _first_cells(text: str) -> list[str]:
    return re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)


def test_fields_arguments_and_metrics_are_those_of_the_code() -> None:
    """If not: `python -m docs.generate`."""
    assert render(REFERENCE.read_text()) == REFERENCE.read_text()


def test_every_reason_is_documented_once() -> None:
    documented = [reason for heading in REASONS for reason in _first_cells(_section(heading))]
    assert len(documented) == len(set(documented))
    assert set(documented) == {*Reason}


def test_labels_annotations_and_finalizers_are_documented() -> None:
    """All but those of the staging Secret and of Secrets that an issuer publishes, which are nobody else's concern."""
    names = {value for name, value in vars(api_names).items() if name.endswith(("_LABEL", "_ANNOTATION", "_FINALIZER"))}
    text = REFERENCE.read_text()
    assert [name for name in (*names, *api_names.RECORD_ANNOTATIONS) if f"`{name}`" not in text] == []


def test_the_example_of_a_backend_registers_as_the_page_says() -> None:
    [block] = _blocks(TOP / "docs" / "backends.md", "toml")
    project = tomllib.loads((TOP / "examples" / "backend" / "pyproject.toml").read_text())["project"]
    for group, entries in tomllib.loads(block)["project"]["entry-points"].items():
        assert entries.items() <= project["entry-points"][group].items()


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_manifests_are_accepted(page: Path, cluster: ControlPlane, kubectl: Kubectl) -> None:
    """By a server-side dry run."""
    if "gateway.networking.k8s.io" in page.read_text():
        install_gateway_api(cluster)
    for block in _blocks(page, "yaml"):
        for document in yaml.safe_load_all(block):
            if document["kind"] == "Kustomization":
                continue
            namespace = document["metadata"].get("namespace", kubectl.namespace)
            text = f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}}}"
            kubectl("apply", "-f", "-", stdin=text)
            command = ("apply", "--server-side", "--dry-run=server", "--force-conflicts", "-n", namespace, "-f", "-")
            assert "(server dry run)" in kubectl(*command, stdin=yaml.safe_dump(document))


def test_each_threat_has_a_test() -> None:
    table = (TOP / "docs" / "security.md").read_text().split("\n## Threats, controls, tests\n", 1)[1]
    for row in re.findall(r"^\| [^-|].*\|$", table, re.MULTILINE)[1:]:
        tests = re.findall(r"`([^`]+)`", row.rsplit("|", 2)[1])
        assert tests, row
        assert [t for t in tests if not (TOP / (t if "/" in t else f"tests/security/{t}")).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?://)([^)]+)\)", page.read_text()):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings}, link


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_targets_of_make_exist(page: Path) -> None:
    commands = "\n".join(_blocks(page, "sh"))
    for target in re.findall(r"^make ([a-z-]+)", commands, re.MULTILINE):
        subprocess.run(["make", "--dry-run", target], cwd=TOP, check=True, capture_output=True)


def _recipes() -> Iterator[str]:
    text = (TOP / "CONTRIBUTING.md").read_text().split("\n## Recipes\n", 1)[1]
    for recipe in text.split("\n### ")[1:]:
        title, *steps = re.split(r"\n(?=\d+\. )", recipe)
        yield from (f"{title.splitlines()[0]}: {' '.join(step.split())}" for step in steps)


@pytest.mark.parametrize("step", [*_recipes()], ids=lambda step: step.partition(". ")[0])
def test_a_step_of_a_recipe_names_files_that_are_there_and_what_is_in_them(step: str) -> None:
    """A path, as seen from the operator's package or from the top; and each Python name, in one of the step's files."""
    quoted = re.findall(r"`([^`]+)`", step)
    paths = [word for word in quoted if re.fullmatch(r"[\w./-]+(/|\.(md|py|toml|yaml))", word)]
    found = {word: [top / word for top in (OPERATOR, TOP) if (top / word).exists()] for word in paths}
    assert [word for word, files in found.items() if not files] == []
    texts = [file.read_text() for files in found.values() for file in files if file.is_file()]
    names = [word for word in quoted if re.fullmatch(r"_*[A-Za-z]\w*", word)]
    assert [name for name in names if not any(re.search(rf"\b{name}\b", text) for text in texts)] == []


CERTIFICATE = """
apiVersion: cert-manager.io/v1
kind: Certificate
metadata:
  name: moved
spec:
  commonName: moved.example.com
  subject:
    countries: [US]
    organizations: [Example Inc]
    organizationalUnits: [IT]
    localities: [San Francisco]
    provinces: [California]
    streetAddresses: [1 Example Street]
    postalCodes: ["94105"]
    serialNumber: "1234"
  dnsNames: [moved.example.com, "*.moved.example.com"]
  ipAddresses: [192.0.2.7]
  uris: ["spiffe://example.com/moved"]
  emailAddresses: [moved@example.com]
  otherNames:
    - oid: 1.3.6.1.4.1.311.20.2.3
      utf8Value: moved@example.com
  duration: 2160h0m0s
  renewBefore: 360h0m0s
  secretName: moved-tls
  secretTemplate:
    labels: {team: web}
    annotations: {example.com/contact: web}
  privateKey:
    algorithm: RSA
    encoding: PKCS1
    size: 2048
    rotationPolicy: Always
  usages: [server auth, client auth]
  isCA: true
  nameConstraints:
    critical: true
    permitted:
      dnsDomains: [example.com]
      ipRanges: [192.0.2.0/24]
      emailAddresses: [example.com]
      uriDomains: [example.com]
  keystores:
    pkcs12:
      create: true
      profile: Modern2023
      passwordSecretRef: {name: password, key: password}
    jks:
      create: true
      alias: web
      passwordSecretRef: {name: password, key: password}
  additionalOutputFormats:
    - type: DER
    - type: CombinedPEM
  issuerRef:
    name: ca
    kind: ClusterIssuer
"""


def test_a_certificate_of_cert_manager_needs_another_apiversion_and_kind_only(kubectl: Kubectl) -> None:
    manifest = yaml.safe_load(CERTIFICATE) | {"apiVersion": "csr-operator.dev/v1alpha1", "kind": "CertificateRequest"}
    variants = [
        manifest["spec"],
        {"secretName": "a", "issuerRef": {"name": "ca"}, "literalSubject": "CN=a,O=b", "renewBeforePercentage": 25},
    ]
    for spec in variants:
        kubectl("create", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump({**manifest, "spec": spec}))
    carried = {field for spec in variants for field in spec}
    row = next(
        line for line in (TOP / "docs" / "moving.md").read_text().splitlines() if line.startswith("| as they are ")
    )
    assert set(re.findall(r"`(\w+)`", row)) == carried - {"issuerRef"}


@pytest.mark.parametrize("field", ["revisionHistoryLimit", "signatureAlgorithm", "encodeUsagesInRequest"])
def test_a_field_that_is_not_here_is_refused(kubectl: Kubectl, field: str) -> None:
    manifest = yaml.safe_load(CERTIFICATE) | {"apiVersion": "csr-operator.dev/v1alpha1", "kind": "CertificateRequest"}
    manifest["spec"][field] = "x"
    with pytest.raises(AssertionError, match=f'unknown field "spec.{field}"'):
        kubectl("create", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(manifest))
