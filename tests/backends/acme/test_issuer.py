"""A user's way with an ACME CA: an issuer, a request, and a certificate in the Secret that Pebble signed."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509.oid import NameOID

from csr_acme import challenges
from csr_operator.api.names import REVOKE_ANNOTATION
from tests.support.acme import rfc2136
from tests.support.acme_scene import HTTP, Scene, names
from tests.support.kubectl import condition, wait_until
from tests.support.manifests import request
from tests.support.site import REQUEST


def test_http01(scene: Scene) -> None:
    scene.issuer("http", HTTP)
    scene.kubectl.apply(request("web", "http", dnsNames=["web.example.com", "www.web.example.com"]))

    assert names(scene.ready("web")) == {"web.example.com", "www.web.example.com"}
    ready = condition(scene.kubectl.get("issuer", "http"), "Ready")
    assert ready["message"].startswith(f"has the account {scene.pebble.directory.removesuffix('/dir')}/my-account/")


def test_dns01_with_a_wildcard(scene: Scene) -> None:
    scene.issuer("dns", rfc2136(scene.bind))
    scene.kubectl.apply(request("wild", "dns", dnsNames=["*.wild.example.com", "wild.example.com"]))

    assert names(scene.ready("wild")) == {"*.wild.example.com", "wild.example.com"}
    assert scene.bind.records("_acme-challenge.wild.example.com") == []


def test_an_ip_address_by_http01(scene: Scene) -> None:
    scene.issuer("ip", HTTP)
    scene.kubectl.apply(request("ip", "ip", ipAddresses=["127.0.0.1"]))

    assert names(scene.ready("ip")) == {"127.0.0.1"}


def test_delegation_by_cname(scene: Scene) -> None:
    scene.bind.add("_acme-challenge.away.example.com", "CNAME", "away.validation.example.com.")
    scene.issuer("delegated", rfc2136(scene.bind))
    scene.kubectl.apply(request("away", "delegated"))

    assert names(scene.ready("away")) == {"away.example.com"}
    assert scene.bind.records("away.validation.example.com") == []


def test_dns_account_01(scene: Scene) -> None:
    scene.issuer("labelled", rfc2136(scene.bind, challengeType="dns-account-01"))
    scene.kubectl.apply(request("labelled", "labelled"))

    assert names(scene.ready("labelled")) == {"labelled.example.com"}


def test_dns_persist_01_leaves_its_record_for_the_next_time(scene: Scene) -> None:
    scene.issuer("persistent", rfc2136(scene.bind, challengeType="dns-persist-01"))
    scene.kubectl.apply(request("persistent", "persistent", dnsNames=["*.persistent.example.com"]))

    assert names(scene.ready("persistent")) == {"*.persistent.example.com"}
    (record,) = scene.bind.records(challenges.dns_persist_name("persistent.example.com"))
    message = condition(scene.kubectl.get("issuer", "persistent"), "Ready")["message"]
    assert record.endswith(f"accounturi={message.removeprefix('has the account ')}; policy=wildcard")


def test_without_a_provider_a_person_sets_the_record(scene: Scene) -> None:
    by_hand = {key: value for key, value in rfc2136(scene.bind)["dns01"].items() if key != "rfc2136"}
    scene.issuer("by-hand", {"dns01": by_hand})
    scene.kubectl.apply(request("by-hand", "by-hand"))

    message = scene.site.wait_condition("by-hand", "Reconciling", "ActionRequired")["message"]
    name = "_acme-challenge.by-hand.example.com"
    head, value, tail = message.split('"')
    assert (head, tail) == (f"by-hand.example.com: set the TXT record {name} to ", "")
    scene.bind.add(name, "TXT", value)

    assert names(scene.ready("by-hand")) == {"by-hand.example.com"}


def test_the_solver_that_fits_best_is_taken(scene: Scene) -> None:
    # A record below a name leaves no wildcard of the zone for it.
    scene.bind.add("exact.choosy.example.com", "A", "127.0.0.1")
    scene.issuer(
        "choosy",
        {"selector": {"dnsZones": ["nowhere.example.com"]}, "dns01": {}},
        {"selector": {"dnsNames": ["exact.choosy.example.com"]}, **HTTP},
        {"selector": {"dnsZones": ["choosy.example.com"]}, **rfc2136(scene.bind)},
    )
    scene.kubectl.apply(
        request("choosy", "choosy", dnsNames=["exact.choosy.example.com", "*.choosy.example.com"]),
        request("unfit", "choosy", dnsNames=["unfit.example.com"]),
    )

    assert names(scene.ready("choosy")) == {"exact.choosy.example.com", "*.choosy.example.com"}
    message = scene.site.wait_condition("unfit", "Stalled", "Rejected")["message"]
    assert message == (
        "unfit.example.com: no solver of the issuer fits: add one to spec.acme.solvers, or extend the selector of one"
    )


def test_a_wildcard_needs_a_solver_by_dns(scene: Scene) -> None:
    scene.issuer("web-only", HTTP)
    scene.kubectl.apply(request("star", "web-only", dnsNames=["*.star.example.com"]))

    message = scene.site.wait_condition("star", "Stalled", "Rejected")["message"]
    assert message.startswith("*.star.example.com: the CA offers dns-")
    assert message.endswith("and the issuer's solvers support http-01: add one that fits")


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"isCA": True, "commonName": "ca.example.com"}, "remove spec.isCA, or use another issuer"),
        ({"uris": ["spiffe://a/b"]}, "remove the other names from the request"),
        ({"commonName": "10.0.0.1"}, "takes no IP address there: write it in spec.ipAddresses, and remove commonName"),
        ({"commonName": "Some One"}, "takes only a DNS name: write one, or none"),
    ],
)
def test_what_no_acme_ca_signs_is_told_before_it_is_asked(
    scene: Scene, spec: dict[str, Any], says: str, unique_name: str
) -> None:
    scene.issuer(unique_name, HTTP)
    orders = scene.pebble.orders()
    scene.kubectl.apply(request(unique_name, unique_name, **spec))

    assert scene.site.wait_condition(unique_name, "Stalled", "Rejected")["message"].endswith(says)
    assert scene.pebble.orders() == orders


def test_what_the_ca_refuses_is_told_in_its_words(scene: Scene) -> None:
    scene.issuer("refused", HTTP)
    scene.kubectl.apply(request("refused", "refused", dnsNames=["blocked.example"]))

    message = scene.site.wait_condition("refused", "Stalled", "Rejected")["message"]
    assert "rejectedIdentifier" in message
    assert "blocked.example" in message


def test_a_common_name_is_signed_as_a_dns_name_too(scene: Scene) -> None:
    scene.issuer("named", HTTP)
    scene.kubectl.apply(request("named", "named", commonName="named.example.com"))

    assert names(scene.ready("named")) == {"named.example.com"}
    before = scene.kubectl.get(REQUEST, "named")
    scene.site.operator.stop()
    scene.site.operator.start()
    scene.site.settle()
    assert scene.kubectl.get(REQUEST, "named") == before


def test_a_profile_and_a_preferred_chain(scene: Scene) -> None:
    scene.issuer("short", HTTP, profile="shortlived", preferredChain=scene.pebble.root_name(1))
    scene.kubectl.apply(request("short", "short"))

    leaf = scene.ready("short")
    assert (leaf.not_valid_after_utc - leaf.not_valid_before_utc).days in (5, 6)
    chain = scene.chain("short")
    top = chain[-1].issuer.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    assert top == scene.pebble.root_name(1)


def test_an_unknown_profile_is_told_with_those_there_are(scene: Scene) -> None:
    scene.apply_issuer("unknown-profile", HTTP, profile="nonsense")

    message = scene.site.wait_condition("unknown-profile", "Ready", "Misconfigured", "issuer")["message"]
    assert message == "spec.acme.profile: 127.0.0.1 has no profile nonsense; it offers default, shortlived"


def test_a_certificate_is_revoked_with_its_request(scene: Scene) -> None:
    scene.issuer("revoking", HTTP)
    scene.kubectl.apply(request("gone", "revoking", revocation={"onDelete": True}))
    leaf = scene.ready("gone")

    scene.kubectl("delete", REQUEST, "gone")

    wait_until("the certificate is revoked", lambda: scene.pebble.status_of(leaf) == "Revoked")


def test_the_ca_is_told_why_a_certificate_is_revoked(scene: Scene) -> None:
    """In the annotation, which names the certificate."""
    scene.issuer("told", HTTP)
    scene.kubectl.apply(request("leaked", "told"))
    leaf = scene.ready("leaked")

    scene.kubectl("annotate", REQUEST, "leaked", f"{REVOKE_ANNOTATION}={leaf.serial_number:X} keyCompromise")

    wait_until("the certificate is revoked", lambda: scene.pebble.status_of(leaf) == "Revoked")
    assert scene.pebble.reason_of(leaf) == 1


def test_what_the_ca_leaves_out_of_the_subject_is_no_difference(scene: Scene) -> None:
    scene.issuer("plain", HTTP)
    scene.kubectl.apply(request("plain", "plain", subject={"organizations": ["Example Inc"]}))

    leaf = scene.ready("plain")
    assert not leaf.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    kubectl_csr = str(Path(sys.executable).with_name("kubectl-csr"))
    command = [kubectl_csr, "verify", "plain", "-n", scene.kubectl.namespace]
    done = subprocess.run(command, env=dict(scene.cluster.env), capture_output=True, text=True, timeout=60)
    assert (done.returncode, ": OK: " in done.stdout) == (0, True), done
    # A repair keeps the certificate.
    scene.kubectl("label", "secret", "plain-tls", "csr-operator.dev/managed-")
    label = "csr-operator.dev/managed"
    wait_until("it is back", lambda: label in scene.kubectl.get("secret", "plain-tls")["metadata"].get("labels", {}))
    assert scene.leaf("plain") == leaf
