"""A malicious or compromised ACME CA, and what it gets out of a whole operator: no record, no route, no call."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from csr_operator.api.names import MANAGER
from tests.support.acme import acme_issuer
from tests.support.bind import Bind, bind
from tests.support.contract import Reply
from tests.support.hostile_acme import HostileAcme, Sink, problem
from tests.support.kubectl import Kubectl, condition, wait_until
from tests.support.manifests import request
from tests.support.operator import NAMESPACE
from tests.support.site import REQUEST, Site
from tests.support.webhook import Webhook

SECRET = "INTERNAL-ANSWER-4711"


class Ca(HostileAcme):
    """As an issuer of the tests names it."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.ca_file = folder / f"{uuid.uuid4().hex}.pem"
        self.ca_file.write_text(self.ca_bundle)


@pytest.fixture
def ca(tmp_path: Path) -> Iterator[Ca]:
    with Ca(tmp_path) as server:
        yield server


@pytest.fixture(scope="module")
def dns(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bind]:
    with bind(tmp_path_factory.mktemp("bind"), ["example.com"]) as running:
        yield running


@pytest.fixture
def hook(dns: Bind) -> Iterator[Webhook]:
    """Writes the records, with the credentials of the platform."""
    with Webhook(dns) as running:
        yield running


def by(hook: Webhook, dns: Bind, **fields: Any) -> dict[str, Any]:
    """The solver."""
    provider = {"url": f"{hook.url}/dns", "caBundle": hook.ca_bundle}
    where = {"recursiveNameservers": [dns.nameserver], "recursiveNameserversOnly": True}
    return {"dns01": {"webhook": provider, **where, **fields}}


def ask(site: Site, name: str, ca: Ca, *solvers: dict[str, Any], **fields: Any) -> None:
    site.kubectl.apply(acme_issuer(name, ca, *solvers, **fields), request(name, name))


def ask_by_http(site: Site, name: str, ca: Ca, **fields: Any) -> None:
    """By a ClusterIssuer: the operator answers http01 for no other, unless it is told to."""
    solver = {"http01": {"ingress": {"ingressClassName": "nginx"}, **fields}}
    by_all = {**acme_issuer(name, ca, solver), "kind": "ClusterIssuer"}
    site.kubectl.apply(by_all, request(name, name, issuerRef={"name": name, "kind": "ClusterIssuer"}))


@pytest.fixture
def shared_name(site: Site, unique_name: str) -> Iterator[str]:
    """Of a ClusterIssuer, which goes with the test."""
    yield unique_name
    site.kubectl("delete", "clusterissuer", unique_name, "--ignore-not-found")


def told(site: Site, name: str, reason: str) -> str:
    """What the user reads, once the request is where `reason` says."""

    def probe() -> str | None:
        ready = condition(site.kubectl.get(REQUEST, name), "Ready")
        found = [each for each in site.status(name).get("conditions", []) if each.get("reason") == reason]
        return str(found[0]["message"]) if found and ready.get("status") != "True" else None

    try:
        return wait_until(f"{name} has a condition because of {reason}", probe)
    except AssertionError as error:
        raise AssertionError(f"{error}: {site.status(name)}") from None


def test_an_honest_ca_has_its_record_written(site: Site, ca: Ca, hook: Webhook, dns: Bind, unique_name: str) -> None:
    """The control of what follows."""
    ask(site, unique_name, ca, by(hook, dns))
    site.kubectl.wait_ready(unique_name)
    assert {call.body["name"] for call in hook.calls} == {f"_acme-challenge.{unique_name}.example.com"}


@pytest.mark.parametrize("victim", ["www.bank.example", "`id`.$(id).example.com", "example.com"])
def test_the_ca_does_not_choose_what_is_proven(
    site: Site, ca: Ca, hook: Webhook, dns: Bind, unique_name: str, victim: str
) -> None:
    ca.lies["authorization"] = lambda body: {**body, "identifier": {"type": "dns", "value": victim}}
    ask(site, unique_name, ca, by(hook, dns))
    assert "the CA asks for proof of control over" in told(site, unique_name, "Rejected")
    assert hook.calls == []
    assert ca.asked("challenge") == 0


def test_a_wildcard_that_was_not_asked_for_is_not_proven(
    site: Site, ca: Ca, hook: Webhook, dns: Bind, unique_name: str
) -> None:
    ca.lies["authorization"] = lambda body: {**body, "wildcard": True}
    ask(site, unique_name, ca, by(hook, dns))
    assert f"the CA asks for proof of control over *.{unique_name}.example.com" in told(site, unique_name, "Rejected")
    assert hook.calls == []


def test_a_certificate_of_another_ca_is_not_given_away_for_good(
    site: Site, ca: Ca, hook: Webhook, dns: Bind, unique_name: str
) -> None:
    """dns-persist-01: the record would be worth certificates at Let's Encrypt to an account of the CA's owner."""
    ca.lies["authorization"] = lambda body: {
        **body,
        "challenges": [{**one, "issuer-domain-names": ["letsencrypt.org"]} for one in body["challenges"]],
    }
    ask(site, unique_name, ca, by(hook, dns, challengeType="dns-persist-01"))
    assert "add it to spec.acme.issuerDomainNames" in told(site, unique_name, "Rejected")

    ca.headers["account"] = {"Location": "https://acme-v02.api.letsencrypt.org/acme/acct/666"}
    ask(
        site,
        f"{unique_name}-2",
        ca,
        by(hook, dns, challengeType="dns-persist-01"),
        issuerDomainNames=["letsencrypt.org"],
    )
    message = site.wait_condition(f"{unique_name}-2", "Ready", "Misconfigured", "issuer")["message"]
    assert message.startswith("the CA's Location is https://acme-v02.api.letsencrypt.org/acme/acct/666")
    assert hook.calls == []


def test_one_name_makes_one_route(site: Site, ca: Ca, shared_name: str) -> None:
    """Asked for one name, it wants six hundred Ingresses in the operator's own namespace."""
    name = shared_name
    hosts = [f"{number}.{name}.example.com" for number in range(600)]

    def many(body: dict[str, Any]) -> dict[str, Any]:
        urls = ca.orders[int(ca.add_order(*hosts).rpartition("/")[2])]["authorizations"]
        return {**body, "authorizations": urls}

    ca.lies["new-order"] = ca.lies["order"] = many
    ask_by_http(site, name, ca)
    assert "has 600 authorizations for 1 identifiers" in told(site, name, "IssuerUnavailable")
    assert routes(site, name) == []


def routes(site: Site, name: str) -> list[str]:
    there = Kubectl(site.kubectl.cluster, NAMESPACE).list("ingress", "-l", "csr-operator.dev/challenge")
    return [each["metadata"]["name"] for each in there if name in json.dumps(each["spec"])]


def test_routes_go_with_their_issuer(site: Site, ca: Ca, shared_name: str) -> None:
    name = shared_name
    ca.proves = False
    ask_by_http(site, name, ca, selfCheck=False)
    wait_until("the CA is told to look", lambda: ca.asked("challenge"))
    assert len(routes(site, name)) == 1
    site.kubectl("delete", "clusterissuer", name)
    wait_until("the Ingress is gone", lambda: not routes(site, name))


@pytest.mark.parametrize("member", ["finalize", "authorizations"])
def test_no_url_of_an_order_leads_into_the_network(
    site: Site, ca: Ca, hook: Webhook, dns: Bind, unique_name: str, member: str
) -> None:
    with Sink(Reply(403, {"type": "about:blank", "detail": SECRET}), tls=False) as sink:
        url = f"{sink.url}/api/v1/namespaces/kube-system/secrets"
        lie = {member: [url] if member == "authorizations" else url}
        ca.lies["new-order"] = ca.lies["order"] = lambda body: {**body, **lie}
        ask(site, unique_name, ca, by(hook, dns))
        message = told(site, unique_name, "IssuerNotReady")
        assert f"the CA's {member.removesuffix('s')} is {sink.url}/api/" in message
        assert message.endswith("for a CA of tests set spec.acme.insecureAllowAnyURL")
        assert sink.calls == hook.calls == []


def test_a_directory_leads_nowhere_else(site: Site, ca: Ca, unique_name: str) -> None:
    with Sink(Reply(403, {"type": "about:blank", "detail": SECRET}), tls=False) as sink:
        ca.lies["directory"] = lambda _: Reply(302, None, {"Location": f"{sink.url}/metadata"})
        site.kubectl.apply(acme_issuer(unique_name, ca))
        message = site.wait_condition(unique_name, "Ready", "Unavailable", "issuer")["message"]
        assert "directory is a redirect (HTTP status 302), which is not followed" in message
        assert sink.calls == []


def test_what_is_not_acmes_is_not_shown(site: Site, ca: Ca, unique_name: str) -> None:
    """A server of the network that speaks of other things, whose answers an author of Issuers may not read."""
    ca.lies["directory"] = lambda _: Reply(403, {"type": "internal", "detail": SECRET, "message": SECRET})
    site.kubectl.apply(acme_issuer(unique_name, ca))
    message = site.wait_condition(unique_name, "Ready", "Unavailable", "issuer")["message"]
    assert message.startswith(f"127.0.0.1:{ca.port}: HTTP status 403 and no ACME problem document: spec.acme.server")
    assert SECRET not in site.operator.log.read_text()


def test_what_the_ca_says_forges_no_line_and_is_bounded(site: Site, ca: Ca, unique_name: str) -> None:
    forged = "2026-01-01 00:00:00,000 ERROR csr_operator: FORGED"
    ca.lies["new-order"] = lambda _: problem("malformed", f"no\n{forged}\n\x1b[31mred " + "x" * 400_000)
    ask(site, unique_name, ca)
    message = told(site, unique_name, "Rejected")
    assert message.startswith(f"no {forged} [31mred xxx")
    assert len(message) < 600
    log = site.operator.log.read_text()
    assert not any(line.startswith(forged) for line in log.splitlines())
    assert "\x1b" not in log


def test_absurd_waits_do_not_keep_a_certificate_away(
    site: Site, ca: Ca, hook: Webhook, dns: Bind, unique_name: str
) -> None:
    steps = ("new-order", "order", "authorization", "challenge", "finalize")
    for step, wait in zip(steps, ("inf", "nan", "1e308", "0.0001", "-1"), strict=True):
        ca.headers[step] = {"Retry-After": wait}
    ask(site, unique_name, ca, by(hook, dns))
    site.kubectl.wait_ready(unique_name)
    assert "Traceback" not in site.operator.log.read_text()


@pytest.mark.parametrize("preferred", [False, True])
def test_no_more_chains_are_fetched_than_are_of_use(site: Site, ca: Ca, unique_name: str, preferred: bool) -> None:
    links = ", ".join(f'<{ca.url}/alternate/{number}>;rel="alternate"' for number in range(100, 200))
    ca.headers["certificate"] = {"Link": links}
    ca.chains.update(dict.fromkeys(range(100, 200), b""))
    ca.lies["alternate"] = lambda _: next(chain for chain in ca.chains.values() if chain)
    ca.lies["authorization"] = lambda body: {**body, "status": "valid"}
    ca.lies["order"] = lambda body: {**body, "status": "ready"} if body["status"] == "pending" else body
    ask(site, unique_name, ca, **({"preferredChain": "Nobody's Root"} if preferred else {}))
    site.kubectl.wait_ready(unique_name)
    assert ca.asked("alternate") == (10 if preferred else 0)


@pytest.mark.parametrize("tls", [False, True])
def test_a_forged_handle_sends_nothing_elsewhere(
    site: Site, ca: Ca, hook: Webhook, dns: Bind, unique_name: str, tls: bool
) -> None:
    """Whoever may write Secrets of the namespace puts another URL in the place of the order's."""
    ca.proves = False
    ask(site, unique_name, ca, by(hook, dns))
    wait_until("the CA is told to look", lambda: ca.asked("challenge"))
    secrets = site.kubectl.list("secrets", "-l", "csr-operator.dev/staging=true")
    (staged,) = [each for each in secrets if each["metadata"]["name"].startswith(f"{unique_name}-")]
    with Sink(Reply(200, {}), tls=tls) as sink:
        with site.operator_away():
            metadata = {each: staged["metadata"][each] for each in ("name", "annotations", "labels", "ownerReferences")}
            metadata["annotations"]["csr-operator.dev/order"] = f"{sink.url}/order/1"
            # A field manager's name is no proof.
            arguments = ("--server-side", "--force-conflicts", f"--field-manager={MANAGER}", "-f", "-")
            site.kubectl("apply", *arguments, stdin=json.dumps({**staged, "metadata": metadata}))
            ca.proves = True
        site.kubectl.wait_ready(unique_name, seconds=60)
        assert sink.calls == []
    assert {call.body["name"] for call in hook.calls} == {f"_acme-challenge.{unique_name}.example.com"}


def test_a_forged_handle_takes_nothing_back_of_others(
    site: Site, ca: Ca, hook: Webhook, dns: Bind, unique_name: str
) -> None:
    """Of two requests by one account, one is given the other's order, and deleted."""
    ca.proves = False
    victim = f"{unique_name}-victim"
    site.kubectl.apply(
        acme_issuer(unique_name, ca, by(hook, dns)), request(victim, unique_name), request(unique_name, unique_name)
    )
    wait_until(
        "the CA is told to look at both", lambda: len({c.path for c in ca.calls if "/challenge/" in c.path}) == 2
    )

    def staged(of: str) -> dict[str, Any]:
        owner = site.kubectl.get(REQUEST, of)["metadata"]["uid"]
        secrets = site.kubectl.list("secrets", "-l", "csr-operator.dev/staging=true")
        return next(each for each in secrets if each["metadata"]["ownerReferences"][0]["uid"] == owner)

    record = f"_acme-challenge.{victim}.example.com"
    theirs = staged(victim)["metadata"]["annotations"]["csr-operator.dev/order"]
    with site.operator_away():
        mine = staged(unique_name)
        metadata = {each: mine["metadata"][each] for each in ("name", "annotations", "labels", "ownerReferences")}
        metadata["annotations"]["csr-operator.dev/order"] = theirs
        arguments = ("--server-side", "--force-conflicts", f"--field-manager={MANAGER}", "-f", "-")
        site.kubectl("apply", *arguments, stdin=json.dumps({**mine, "metadata": metadata}))
        site.kubectl("delete", REQUEST, unique_name, "--wait=false")
    wait_until("the request is gone", lambda: not site.kubectl.get(REQUEST, unique_name))
    site.settle()
    assert dns.records(record)
    assert "deactivated" not in {
        one["status"] for one in ca.authorizations.values() if one["identifier"]["value"].startswith(victim)
    }
