"""`approve` and `deny` by users of different rights, against the admission policy of deploy/."""

import json
import os
import pty
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import yaml

from csr_operator.cli.cluster import Cluster
from tests.cli.support import READER, Plugin, rule, user, wait_unready
from tests.support.kubectl import condition
from tests.support.manifests import issuer, request
from tests.support.site import REQUEST, Site

TOP = Path(__file__).parents[2]
WRITER = (rule("certificaterequests", "get list watch"), rule("certificaterequests/status", "get patch update"))
WAITING = ("www", "quiet", "shop", "twice", "grown", "sly", "busy", "changed", "shown", "many", "more", "twin")
APPROVE = {**rule("issuers", "approve"), "resourceNames": ["guarded"]}


@pytest.fixture(scope="module", autouse=True)
def guarded(site: Site) -> None:
    """An issuer that signs what was approved, and another one; requests of theirs that wait."""
    site.kubectl.apply(
        issuer("guarded", selfSigned={}, approval="Manual"),
        issuer("vault", selfSigned={}, approval="Manual"),
        request("secret", "vault"),
        *(request(name, "guarded") for name in WAITING),
    )
    wait_unready(site.kubectl, "ApprovalPending", "secret", *WAITING)


@pytest.fixture(scope="module")
def approver(site: Site, folder: Path) -> Plugin:
    """May approve `guarded`, called by kubectl."""
    made = user(site.kubectl, folder, "approver", *WRITER, APPROVE)
    return Plugin(site.kubectl.cluster, made.kubeconfig, by_kubectl=True)


def test_approved_by_who_may(approver: Plugin, site: Site) -> None:
    answer = approver("approve", "www", "--message", "ticket 7", "--generation", "1")

    assert answer.out == f"{site.kubectl.namespace}/www: approved, generation 1: DNS:www.example.com\n"
    site.kubectl.wait_ready("www")
    approved = condition(site.kubectl.get(REQUEST, "www"), "Approved")
    who = f"system:serviceaccount:{site.kubectl.namespace}:approver"
    assert approved["message"] == f"ticket 7 (by {who})"
    assert (approved["status"], approved["reason"], approved["observedGeneration"]) == ("True", "KubectlApprove", 1)


def test_refused_in_the_words_of_admission(site: Site, folder: Path) -> None:
    """Who may write status, and even who may approve another issuer, may not approve this one."""
    writer = user(site.kubectl, folder, "writer", *WRITER)
    neighbour = user(site.kubectl, folder, "neighbour", *WRITER, APPROVE)
    for plugin, name in ((writer, "writer"), (neighbour, "neighbour")):
        for command in (("approve", "secret", "-y"), ("deny", "secret", "-y", "--message", "no")):
            said = plugin.refused(*command)
            assert "Error from server (Forbidden): " in said
            assert (
                "the conditions Approved and Denied require the permission `approve` on Issuer vault, which "
                f"system:serviceaccount:{site.kubectl.namespace}:{name} does not have: ask somebody who has it"
            ) in said
    assert not condition(site.kubectl.get(REQUEST, "secret"), "Approved")


def test_refused_without_a_right_to_the_status(site: Site, folder: Path) -> None:
    reader = user(site.kubectl, folder, "reader", *READER, APPROVE)
    assert 'cannot patch resource "certificaterequests/status"' in reader.refused("approve", "quiet", "-y")


def test_denied_and_then_approved_after_all(approver: Plugin, csr: Plugin, site: Site) -> None:
    denied = json.loads(approver("deny", "shop", "--message", "not our name", "-y", "-o", "json").out)
    wait_unready(site.kubectl, "Denied", "shop")
    words = csr("status", "shop").words
    csr("approve", "shop", "-y")

    site.kubectl.wait_ready("shop")
    assert (denied["decision"], denied["observedGeneration"]) == ("Denied", 1)
    assert denied["message"] == f"not our name (by {denied['by']})"
    assert "Message: not our name (by system:serviceaccount:" in words
    assert f"`kubectl csr approve shop -n {site.kubectl.namespace} --generation 1`" in words
    types = [c["type"] for c in site.status("shop")["conditions"]]
    assert "Approved" in types
    assert "Denied" not in types
    assert condition(site.kubectl.get(REQUEST, "shop"), "Approved")["message"] == "approved by devcluster-admin"


def test_approving_twice_changes_nothing(csr: Plugin, site: Site) -> None:
    csr("approve", "twice", "-y")
    site.kubectl.wait_ready("twice")
    before = site.kubectl.get(REQUEST, "twice")["metadata"]["resourceVersion"]
    csr("approve", "twice", "-y")
    assert site.kubectl.get(REQUEST, "twice")["metadata"]["resourceVersion"] == before


def test_a_changed_spec_wants_approval_anew(csr: Plugin, site: Site) -> None:
    csr("approve", "grown", "-y")
    site.kubectl.wait_ready("grown")

    site.kubectl("patch", REQUEST, "grown", "--type=merge", "-p", '{"spec": {"dnsNames": ["more.example.com"]}}')
    wait_unready(site.kubectl, "ApprovalPending", "grown")
    assert (
        "Approved for an earlier spec, without effect now: approved by devcluster-admin" in csr("status", "grown").words
    )
    csr("approve", "grown", "-y")
    site.kubectl.wait_ready("grown")
    assert site.status("grown")["revision"] == 2


def test_a_spec_that_changes_while_one_decides_is_not_approved(csr: Plugin, site: Site) -> None:
    change = '{"spec": {"dnsNames": ["bank.example.com"]}}'

    async def meanwhile(*_: Any) -> str:
        site.kubectl("patch", REQUEST, "sly", "--type=merge", "-p", change)
        return "admin"

    with patch.object(Cluster, "user", meanwhile):
        said = csr.refused("approve", "sly", "-y")
    assert "the spec of sly has just been changed: review it again before you decide" in said
    assert not condition(site.kubectl.get(REQUEST, "sly"), "Approved")


def test_another_request_of_the_same_name_and_generation_is_not_approved(csr: Plugin, site: Site) -> None:
    async def meanwhile(*_: Any) -> str:
        site.kubectl("delete", REQUEST, "twin")
        site.kubectl.apply(request("twin", "guarded", dnsNames=["bank.example.com"]))
        return "admin"

    with patch.object(Cluster, "user", meanwhile):
        said = csr.refused("approve", "twin", "--generation", "1")
    assert "the spec of twin has just been changed: review it again before you decide" in said
    assert site.kubectl.get(REQUEST, "twin")["metadata"]["generation"] == 1
    assert not condition(site.kubectl.get(REQUEST, "twin"), "Approved")


def test_the_generation_that_was_looked_at_is_approved_and_no_other(csr: Plugin, site: Site) -> None:
    """Its requester changes the spec after the approver looked, and before the approval."""
    looked_at = str(site.kubectl.get(REQUEST, "changed")["metadata"]["generation"])
    change = {"isCA": True, "commonName": "Bank CA", "usages": ["client auth"], "dnsNames": ["*.bank.example.com"]}
    site.kubectl("patch", REQUEST, "changed", "--type=merge", "-p", json.dumps({"spec": change}))

    for command in (("approve", "changed"), ("deny", "changed", "--message", "no")):
        said = csr.refused(*command, "--generation", looked_at)
        assert "the spec of changed is at generation 2, not 1: review it again before you decide" in said
    types = [c["type"] for c in site.status("changed")["conditions"]]
    assert not {"Approved", "Denied"} & set(types)

    shown = csr("deny", "changed", "--message", "no", "--generation", "2").words
    unusual = "a CA certificate, with any number of CA certificates below it; wildcard names: *.bank.example.com"
    assert f"denied, generation 2: {unusual}; CN=Bank CA, DNS:*.bank.example.com" in shown


@pytest.mark.parametrize("answer", ["no", "", "y"])
def test_at_a_terminal_it_says_what_is_asked_for_and_asks(csr: Plugin, site: Site, answer: str) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, f"{answer}\n".encode())
    try:
        done = csr.at_terminal(theirs, "approve", "shown")
    finally:
        os.close(ours)
        os.close(theirs)
    assert f"CertificateRequest {site.kubectl.namespace}/shown, generation 1, asks for:\n" in done.err
    assert "  DNS        shown.example.com\n" in done.err
    assert "Approve it? [y/N] " in done.err
    if answer != "y":
        assert (done.status, "nothing was changed" in done.err) == (1, True)
        assert not condition(site.kubectl.get(REQUEST, "shown"), "Approved")
    else:
        assert done.status == 0
        site.kubectl.wait_ready("shown")


def test_another_writer_of_the_object_does_not_get_in_the_way(csr: Plugin, site: Site) -> None:
    async def meanwhile(*_: Any) -> str:
        site.kubectl("label", REQUEST, "busy", "team=web")
        return "admin"

    with patch.object(Cluster, "user", meanwhile):
        csr("approve", "busy", "-y")
    site.kubectl.wait_ready("busy")
    assert site.kubectl.get(REQUEST, "busy")["metadata"]["labels"] == {"team": "web"}


def test_without_a_terminal_nobody_approves_what_nobody_looked_at(csr: Plugin, site: Site) -> None:
    for command in (("approve", "quiet"), ("deny", "quiet", "--message", "no")):
        said = csr.refused(*command, stdin="y\n")
        assert "stdin is not a terminal" in said
        assert "--generation N" in said
    types = [c["type"] for c in site.status("quiet")["conditions"]]
    assert not {"Approved", "Denied"} & set(types)


def test_several_are_approved_one_by_one_and_what_fails_stops_no_other(csr: Plugin, site: Site) -> None:
    answer = csr.run("approve", "many", "nope", "csreq/more", "-y")
    assert answer.status == 1
    assert 'error: certificaterequests.csr-operator.dev "nope" not found' in answer.err
    assert [line.split(":")[0].rpartition("/")[2] for line in answer.out.splitlines()] == ["many", "more"]
    site.kubectl.wait_ready("many", "more")


def test_status_and_approve_show_what_a_ca_for_ten_years_is(csr: Plugin, site: Site) -> None:
    """Who decides sees at once that this is no certificate for a web server."""
    asked = {"isCA": True, "duration": "87600h", "usages": ["cert sign", "crl sign", "code signing"]}
    site.kubectl.apply(request("decade", "guarded", **asked, dnsNames=["www.example.com"]))
    wait_unready(site.kubectl, "ApprovalPending", "decade")

    words, data = csr("status", "decade").words, csr.json("status", "decade")

    unusual = (
        "a CA certificate, with any number of CA certificates below it",
        "duration 87600h, longer than the default of 2160h",
        "usages: code signing",
    )
    generation = site.kubectl.get(REQUEST, "decade")["metadata"]["generation"]
    command = f"`kubectl csr approve decade -n {site.kubectl.namespace} --generation {generation}`"
    assert f"Generation {generation}, written at " in words
    assert command in words
    assert command in condition(site.kubectl.get(REQUEST, "decade"), "Ready")["message"]
    assert all(f"Unusual {text}" in words for text in unusual)
    assert data["generation"] == generation
    assert data["asks"]["unusual"] == list(unusual)
    assert data["asks"]["writtenBy"].startswith("kubectl")
    answer = csr.run("deny", "decade", "--message", "no", "-y")
    assert all(text in answer.err and text in answer.out for text in unusual)
    assert "Written" in answer.err


def test_the_role_of_an_approver_is_enough_to_see_all_but_secrets(site: Site, folder: Path) -> None:
    manifests = yaml.safe_load_all((TOP / "deploy" / "approval.yaml").read_text())
    (role,) = (one for one in manifests if one["kind"] == "ClusterRole")
    approver = user(site.kubectl, folder, "by-role", *role["rules"])
    words = approver("status", "secret").words
    assert "could not be read" not in words
    assert "; needs approval" in words
    assert "secret-tls (you may not read Secrets here)" in words


def test_a_decision_without_effect_is_told(csr: Plugin, site: Site) -> None:
    site.kubectl.apply(request("free", "ca"))
    site.kubectl.wait_ready("free")
    answer = csr.run("deny", "free", "--message", "no", "-y", "-o", "json")
    assert answer.status == 1
    assert json.loads(answer.out)["hasEffect"] is False
    assert f"has no effect now, as spec.approval of Issuer {site.kubectl.namespace}/ca is not Manual" in answer.err
    assert "the denial has no effect" in csr("status", "free").words
