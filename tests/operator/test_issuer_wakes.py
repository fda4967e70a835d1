"""An issuer is looked at when what it depends on changes, not only when its next check is due."""

from pathlib import Path

from tests.support.kubectl import Kubectl, condition, wait_until
from tests.support.manifests import issuer, request
from tests.support.operator import OperatorProcess


def test_a_ca_whose_secret_the_operator_issues_later_becomes_ready_at_once(
    kubectl: Kubectl, operator_credentials: Path, tmp_path: Path
) -> None:
    """The operator's own write of the Secret counts like anybody else's: no check is due for an hour."""
    arguments = ("--namespace", kubectl.namespace, "--issuer-check-interval", "3600")
    with OperatorProcess(operator_credentials, tmp_path / "operator.log", *arguments):
        kubectl.apply(issuer("root"), issuer("ca", ca={"secretName": "root-tls"}))
        wait_until("the CA lacks its Secret", lambda: condition(kubectl.get("issuer", "ca"), "Ready"))

        kubectl.apply(request("root", "root", commonName="Test Root", isCA=True, duration="87600h"))

        kubectl.wait_ready("ca", kind="issuer")
