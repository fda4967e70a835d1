"""Each way to set a DNS record, through a whole operator, with a CA that looks it up."""

import json
import sys
from pathlib import Path
from typing import Any

from csr_acme.challenges import dns_name
from csr_operator.api.names import CREDENTIAL_TYPE
from tests.support.acme import acme_issuer, rfc2136
from tests.support.acme_dns import AcmeDnsServer
from tests.support.acme_scene import Scene, names
from tests.support.manifests import request
from tests.support.pebble import pebble
from tests.support.powerdns import powerdns
from tests.support.site import base64_text
from tests.support.webhook import Webhook

PROGRAM = """#!{python}
import os, sys
import dns.query, dns.tsig, dns.update
action, name, value = sys.argv[1:]
key = dns.tsig.Key("{key}", os.environ["DNS_CREDENTIAL_SECRET"], "hmac-sha256")
update = dns.update.UpdateMessage("example.com", keyring=key)
if action == "present":
    update.add(name + ".", 60, "TXT", value)
else:
    update.delete(name + ".", "TXT", value)
sys.exit(dns.query.tcp(update, "{address}", 10, {port}).rcode())
"""


def secret(name: str, data: dict[str, str]) -> dict[str, Any]:
    encoded = {key: base64_text(value) for key, value in data.items()}
    metadata = {"name": name}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": CREDENTIAL_TYPE, "data": encoded}


def by(scene: Scene, **provider: dict[str, Any]) -> dict[str, Any]:
    """The solver with another provider than the scene's."""
    others = {key: value for key, value in rfc2136(scene.bind)["dns01"].items() if key != "rfc2136"}
    return {"dns01": {**others, **provider}}


def issues(scene: Scene, name: str) -> None:
    """A certificate for a host and its wildcard, from the issuer of that name, after which no record is left."""
    both = [f"{name}.example.com", f"*.{name}.example.com"]
    scene.kubectl.apply(request(name, name, dnsNames=both))
    assert names(scene.ready(name)) == set(both)


def test_a_webhook(scene: Scene, unique_name: str) -> None:
    with Webhook(scene.bind) as hook:
        scene.kubectl.apply(secret(unique_name, {"token": "s3cret"}))
        config = {"url": f"{hook.url}/dns", "caBundle": hook.ca_bundle, "credentialsSecretRef": {"name": unique_name}}
        scene.issuer(unique_name, by(scene, webhook=config))
        issues(scene, unique_name)
    assert {call.headers["authorization"] for call in hook.calls} == {"Bearer s3cret"}
    assert scene.bind.records(dns_name(f"{unique_name}.example.com")) == []


def test_a_program_of_the_administrator(scene: Scene, unique_name: str) -> None:
    bind = scene.bind
    text = PROGRAM.format(python=sys.executable, key=bind.key_name, address=bind.address, port=bind.port)
    program = scene.programs / unique_name
    program.write_text(text)
    program.chmod(0o755)
    scene.kubectl.apply(secret(unique_name, {"SECRET": bind.secret}))
    scene.issuer(unique_name, by(scene, exec={"program": unique_name, "credentialsSecretRef": {"name": unique_name}}))
    issues(scene, unique_name)
    assert bind.records(dns_name(f"{unique_name}.example.com")) == []


def test_acme_dns(scene: Scene, unique_name: str) -> None:
    """The user delegates late, and is told where to."""
    challenge = dns_name(f"{unique_name}.example.com")
    with AcmeDnsServer(scene.bind, f"auth-{unique_name}.example.com") as server:
        account = server.register()
        scene.kubectl.apply(secret(unique_name, {"accounts.json": json.dumps({f"{unique_name}.example.com": account})}))
        reference = {"name": unique_name, "key": "accounts.json"}
        config = {"host": server.url, "caBundle": server.ca_bundle, "accountSecretRef": reference}
        scene.issuer(unique_name, by(scene, acmeDNS=config))
        both = [f"{unique_name}.example.com", f"*.{unique_name}.example.com"]
        scene.kubectl.apply(request(unique_name, unique_name, dnsNames=both))
        told = scene.site.wait_condition(unique_name, "Reconciling", "IssuerUnavailable")["message"]
        assert f"{challenge} is not delegated: create there a CNAME record to {account['fulldomain']}" in told
        scene.bind.add(challenge, "CNAME", f"{account['fulldomain']}.")
        assert names(scene.ready(unique_name)) == set(both)


def test_a_service_by_lexicon(scene: Scene, unique_name: str, tmp_path: Path) -> None:
    for part in ("pdns", "pebble"):
        (tmp_path / part).mkdir()
    with powerdns(tmp_path / "pdns") as service, pebble(tmp_path / "pebble", dns_port=service.port) as server:
        service.create("example.com")
        scene.kubectl.apply(secret(unique_name, {"auth_token": service.token}))
        config = {
            "provider": "powerdns",
            "options": {"pdns_server": service.url},
            "credentialsSecretRef": {"name": unique_name},
        }
        where = {"recursiveNameservers": [f"127.0.0.1:{service.port}"], "recursiveNameserversOnly": True}
        scene.kubectl.apply(acme_issuer(unique_name, server, {"dns01": {"lexicon": config, **where}}))
        scene.kubectl.wait_ready(unique_name, kind="issuer")
        issues(scene, unique_name)
        assert service.records("example.com", dns_name(f"{unique_name}.example.com")) == []


def test_who_writes_issuers_runs_no_other_program(scene: Scene, unique_name: str) -> None:
    scene.issuer(unique_name, by(scene, exec={"program": "sh"}))
    scene.kubectl.apply(request(unique_name, unique_name))
    told = scene.site.wait_condition(unique_name, "Reconciling", "IssuerNotReady")["message"]
    assert "dns01.exec.program: the operator has no program sh: there is " in told
