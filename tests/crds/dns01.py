"""What the API server makes of `acme.solvers[].dns01`: specs of issuers, with the field and the remedy if refused."""

from typing import Any

SECRET: dict[str, Any] = {"name": "dns"}
KEY: dict[str, Any] = {"name": "dns", "key": "key"}
BAD_NAME: dict[str, Any] = {"name": "a_b", "key": "key"}
UPDATES: dict[str, Any] = {"nameserver": "192.0.2.53"}
ACME_DNS: dict[str, Any] = {"host": "https://auth.example.com", "accountSecretRef": KEY}
HOOK: dict[str, Any] = {"url": "https://dns.example.com/acme"}
NO_SERVERS = ("https://ns.example.com", "ns.example.com:dns", "192.0.2.1 192.0.2.2", "[::1", "a.example.")
NO_LIST: tuple[dict[str, Any], ...] = ({}, {"recursiveNameservers": []})
NO_BUNDLE = "paste CA certificates in PEM, from -----BEGIN"
DNS01 = "spec.acme.solvers[0].dns01"


def dns01(**fields: Any) -> dict[str, Any]:
    """An issuer with this one solver."""
    account = {"server": "letsencrypt", "privateKeySecretRef": {"name": "account"}}
    return {"acme": {**account, "solvers": [{"dns01": fields}]}}


REFUSED: tuple[tuple[dict[str, Any], str, str], ...] = (
    (dns01(rfc2136=UPDATES, exec={"program": "a"}), DNS01, "or none; write another list entry for each other one"),
    (dns01(webhook=HOOK, lexicon={"provider": "ovh"}, acmeDNS=ACME_DNS), DNS01, "dns01 takes one of rfc2136, lexicon"),
    *(
        (dns01(recursiveNameserversOnly=True, **more), f"{DNS01}.recursiveNameservers", "list the servers to ask")
        for more in NO_LIST
    ),
    (
        dns01(acmeDNS=ACME_DNS, challengeType="dns-persist-01"),
        f"{DNS01}.challengeType",
        "remove challengeType, or use another provider",
    ),
    *(
        case
        for text in NO_SERVERS
        for case in (
            (
                dns01(recursiveNameservers=["192.0.2.1", text]),
                f"{DNS01}.recursiveNameservers[1]",
                "write host or host:p",
            ),
            (dns01(rfc2136={"nameserver": text}), f"{DNS01}.rfc2136.nameserver", "write host or host:port, such as"),
        )
    ),
    (dns01(rfc2136={**UPDATES, "tsigKeyName": "k"}), f"{DNS01}.rfc2136", "or neither; add the other one"),
    (dns01(rfc2136={**UPDATES, "tsigSecretSecretRef": KEY}), f"{DNS01}.rfc2136", "or neither; add the other one"),
    (
        dns01(rfc2136={**UPDATES, "tsigAlgorithm": "HMACSHA512"}),
        f"{DNS01}.rfc2136.tsigKeyName",
        "add tsigKeyName and tsigSecretSecretRef",
    ),
    *(
        (
            dns01(lexicon={"provider": name}),
            f"{DNS01}.lexicon.provider",
            "write it as dns-lexicon does, such as cloudflare",
        )
        for name in ("Cloudflare", "../powerdns", "a.b")
    ),
    *(
        (dns01(lexicon={"provider": name}), f"{DNS01}.lexicon.provider", "name the service, or use rfc2136")
        for name in ("auto", "ddns", "localzone", "oci")
    ),
    *(
        case
        for url in ("auth.example.com", "ftp://a.example", "https://", "https://a b")
        for case in (
            (
                dns01(acmeDNS={**ACME_DNS, "host": url}),
                f"{DNS01}.acmeDNS.host",
                "write the whole one, such as https://",
            ),
            (dns01(webhook={"url": url}), f"{DNS01}.webhook.url", "write the whole one, such as https://"),
        )
    ),
    (dns01(acmeDNS={**ACME_DNS, "caBundle": "MIIB"}), f"{DNS01}.acmeDNS.caBundle", NO_BUNDLE),
    (dns01(webhook={**HOOK, "caBundle": "MIIB"}), f"{DNS01}.webhook.caBundle", NO_BUNDLE),
    *(
        (dns01(exec={"program": name}), f"{DNS01}.exec.program", "write one without its folder")
        for name in ("/bin/sh", "../sh", ".hidden", "a b")
    ),
    *(
        (dns01(**{kind: {**fields, reference: BAD_NAME}}), f"{DNS01}.{kind}.{reference}.name", "use lower-case letters")
        for kind, reference, fields in (
            ("rfc2136", "tsigSecretSecretRef", {**UPDATES, "tsigKeyName": "k"}),
            ("acmeDNS", "accountSecretRef", ACME_DNS),
        )
    ),
    *(
        (
            dns01(**{kind: {**fields, "credentialsSecretRef": {"name": "a_b"}}}),
            f"{DNS01}.{kind}.credentialsSecretRef.name",
            "use lower-case letters, digits, hyphens and dots",
        )
        for kind, fields in (("lexicon", {"provider": "ovh"}), ("webhook", HOOK), ("exec", {"program": "a"}))
    ),
)

ACCEPTED: tuple[dict[str, Any], ...] = (
    dns01(),
    *(
        dns01(rfc2136={"nameserver": server}, recursiveNameservers=[server])
        for server in (
            "192.0.2.1",
            "192.0.2.1:5353",
            "ns.example.com",
            "ns_1.svc:53",
            "2001:db8::1",
            "[2001:db8::1]:53",
        )
    ),
    dns01(
        rfc2136={**UPDATES, "tsigKeyName": "k.", "tsigAlgorithm": "HMACSHA512", "tsigSecretSecretRef": KEY},
        recursiveNameservers=["10.0.0.1", "10.0.0.2:53"],
        recursiveNameserversOnly=True,
        challengeType="dns-persist-01",
    ),
    dns01(
        lexicon={
            "provider": "cloudflare",
            "zone": "example.com",
            "credentialsSecretRef": SECRET,
            "options": {"zone_id": "1", "ttl": "600"},
        }
    ),
    dns01(acmeDNS={**ACME_DNS, "caBundle": "-----BEGIN CERTIFICATE-----"}, challengeType="dns-account-01"),
    dns01(webhook={"url": "http://dns.svc:8080", "credentialsSecretRef": SECRET}, recursiveNameserversOnly=False),
    dns01(exec={"program": "update-dns.sh", "credentialsSecretRef": SECRET}),
)
