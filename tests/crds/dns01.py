"""What the API server makes of `dns01`: specs of issuers, with the field and the remedy if refused."""

from collections.abc import Callable, Iterator
from typing import Any

Spec = dict[str, Any]
SECRET: Spec = {"name": "dns"}
KEY: Spec = {"name": "dns", "key": "key"}
BAD_NAME: Spec = {"name": "a_b", "key": "key"}
UPDATES: Spec = {"nameserver": "192.0.2.53"}
ACME_DNS: Spec = {"host": "https://auth.example.com", "accountSecretRef": KEY}
HOOK: Spec = {"url": "https://dns.example.com/acme"}
NO_LIST: tuple[Spec, ...] = ({}, {"recursiveNameservers": []})
NO_SERVERS = ("https://ns.example.com", "ns.example.com:dns", "192.0.2.1 192.0.2.2", "[::1", "a.example.")
NO_URLS = ("auth.example.com", "ftp://a.example", "https://", "https://a b")
NO_BUNDLE = "paste CA certificates in PEM, from -----BEGIN"
NO_NAME = "use lower-case letters, digits, hyphens and dots"
WHOLE_URL = "write the whole one, such as https://"


def acme(**fields: Any) -> Spec:
    """An issuer with this one solver."""
    account = {"server": "letsencrypt", "privateKeySecretRef": {"name": "account"}}
    return {"acme": {**account, "solvers": [{"dns01": fields}]}}


def digicert(**fields: Any) -> Spec:
    order = {"secretName": "digicert", "product": "ssl_basic", "dcvMethod": "dns-txt-token"}
    return {"digicert": {**order, "dns01": fields}}


def _refused(issuer: Callable[..., Spec], place: str) -> Iterator[tuple[Spec, str, str]]:
    """Of the fields that both have."""
    for more in NO_LIST:
        spec = issuer(rfc2136=UPDATES, recursiveNameserversOnly=True, **more)
        yield spec, f"{place}.recursiveNameservers", "list the servers to ask"
    for text in NO_SERVERS:
        spec = issuer(rfc2136=UPDATES, recursiveNameservers=["192.0.2.1", text])
        yield spec, f"{place}.recursiveNameservers[1]", "write host or host:port, such as 192.0.2.53:53"
        spec = issuer(rfc2136={"nameserver": text})
        yield spec, f"{place}.rfc2136.nameserver", "write host or host:port, such as 192.0.2.53:53"
    for half in ({"tsigKeyName": "k"}, {"tsigSecretSecretRef": KEY}):
        yield issuer(rfc2136={**UPDATES, **half}), f"{place}.rfc2136", "or neither; add the other one"
    spec = issuer(rfc2136={**UPDATES, "tsigAlgorithm": "HMACSHA512"})
    yield spec, f"{place}.rfc2136.tsigKeyName", "add tsigKeyName and tsigSecretSecretRef"
    spec = issuer(rfc2136={**UPDATES, "tsigKeyName": "k", "tsigSecretSecretRef": BAD_NAME})
    yield spec, f"{place}.rfc2136.tsigSecretSecretRef.name", NO_NAME
    for name in ("Cloudflare", "../powerdns", "a.b"):
        spec = issuer(lexicon={"provider": name})
        yield spec, f"{place}.lexicon.provider", "write it as dns-lexicon does, such as cloudflare"
    for name in ("auto", "ddns", "localzone", "oci"):
        yield issuer(lexicon={"provider": name}), f"{place}.lexicon.provider", "name the service, or use rfc2136"
    for url in NO_URLS:
        yield issuer(webhook={"url": url}), f"{place}.webhook.url", WHOLE_URL
    yield issuer(webhook={**HOOK, "caBundle": "MIIB"}), f"{place}.webhook.caBundle", NO_BUNDLE
    for name in ("/bin/sh", "../sh", ".hidden", "a b"):
        yield issuer(exec={"program": name}), f"{place}.exec.program", "write one without its folder"
    for kind, fields in (("lexicon", {"provider": "ovh"}), ("webhook", HOOK), ("exec", {"program": "a"})):
        spec = issuer(**{kind: {**fields, "credentialsSecretRef": {"name": "a_b"}}})
        yield spec, f"{place}.{kind}.credentialsSecretRef.name", NO_NAME


def _accepted(issuer: Callable[..., Spec]) -> Iterator[Spec]:
    for server in ("192.0.2.1", "192.0.2.1:5353", "ns.example.com", "ns_1.svc:53", "2001:db8::1", "[2001:db8::1]:53"):
        yield issuer(rfc2136={"nameserver": server}, recursiveNameservers=[server])
    signed = {"tsigKeyName": "k.", "tsigAlgorithm": "HMACSHA512", "tsigSecretSecretRef": KEY}
    servers = ["10.0.0.1", "10.0.0.2:53"]
    yield issuer(rfc2136={**UPDATES, **signed}, recursiveNameservers=servers, recursiveNameserversOnly=True)
    service = {"provider": "cloudflare", "zone": "example.com", "credentialsSecretRef": SECRET}
    yield issuer(lexicon={**service, "options": {"zone_id": "1", "ttl": "600"}})
    yield issuer(webhook={"url": "http://dns.svc:8080", "credentialsSecretRef": SECRET}, recursiveNameserversOnly=False)
    yield issuer(exec={"program": "update-dns.sh", "credentialsSecretRef": SECRET})


_SOLVER, _ORDER = "spec.acme.solvers[0].dns01", "spec.digicert.dns01"
_PERSIST = "dns-persist-01"

REFUSED: tuple[tuple[Spec, str, str], ...] = (
    *_refused(acme, _SOLVER),
    (acme(rfc2136=UPDATES, exec={"program": "a"}), _SOLVER, "or none; write another list entry for each other one"),
    (acme(webhook=HOOK, lexicon={"provider": "ovh"}, acmeDNS=ACME_DNS), _SOLVER, "takes one of rfc2136, lexicon"),
    (acme(acmeDNS=ACME_DNS, challengeType=_PERSIST), f"{_SOLVER}.challengeType", "or use another provider"),
    *((acme(acmeDNS={**ACME_DNS, "host": url}), f"{_SOLVER}.acmeDNS.host", WHOLE_URL) for url in NO_URLS),
    (acme(acmeDNS={**ACME_DNS, "caBundle": "MIIB"}), f"{_SOLVER}.acmeDNS.caBundle", NO_BUNDLE),
    (acme(acmeDNS={**ACME_DNS, "accountSecretRef": BAD_NAME}), f"{_SOLVER}.acmeDNS.accountSecretRef.name", NO_NAME),
    *_refused(digicert, _ORDER),
    (digicert(), _ORDER, "exactly one of rfc2136, lexicon, webhook and exec; add it, or remove the others"),
    (digicert(rfc2136=UPDATES, webhook=HOOK), _ORDER, "exactly one of rfc2136, lexicon, webhook and exec; add it"),
    (
        {"digicert": {**digicert(rfc2136=UPDATES)["digicert"], "dcvMethod": "email"}},
        "spec.digicert.dcvMethod",
        "set dcvMethod to dns-txt-token",
    ),
)

ACCEPTED: tuple[Spec, ...] = (
    acme(),
    acme(challengeType=_PERSIST),
    acme(rfc2136=UPDATES, challengeType=_PERSIST),
    acme(acmeDNS={**ACME_DNS, "caBundle": "-----BEGIN CERTIFICATE-----"}, challengeType="dns-account-01"),
    *_accepted(acme),
    *_accepted(digicert),
)
