"""Specs that the API server refuses, with a part of its answer, and specs that it accepts."""

import base64
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tests.crds import dns01, http01, sectigo, vault

REQUEST: Mapping[str, Any] = {
    "secretName": "tls",
    "issuerRef": {"name": "ca"},
    "dnsNames": ["www.example.com"],
}
CA: Mapping[str, Any] = {"isCA": True}
LABEL63 = "a" * 63
LONGEST_DER = base64.b64encode(b"\x04\x82\x0b\xfc" + bytes(0x0BFC)).decode()
LONGEST_NAME = ".".join([LABEL63, LABEL63, LABEL63, "a" * 61])


def request(**changes: Any) -> dict[str, Any]:
    """The spec of a request that is accepted, with changes; a field that is None is left out."""
    return {field: value for field, value in {**REQUEST, **changes}.items() if value is not None}


def dns(*names: str) -> dict[str, Any]:
    return request(dnsNames=list(names))


def key(**fields: Any) -> dict[str, Any]:
    return request(privateKey=fields)


def subject(**fields: Any) -> dict[str, Any]:
    return request(subject=fields)


def constraints(side: str, **lists: list[str]) -> dict[str, Any]:
    return request(**CA, nameConstraints={side: lists})


def template(part: str, **items: str) -> dict[str, Any]:
    return request(secretTemplate={part: items})


def ca(**crl: Any) -> dict[str, Any]:
    """An issuer that signs with the key pair in Secret ca, and keeps this revocation list."""
    return {"ca": {"secretName": "ca", "crl": crl}}


def acme(**fields: Any) -> dict[str, Any]:
    return {"acme": {"server": "letsencrypt", "privateKeySecretRef": {"name": "account"}, **fields}}


def digicert(**fields: Any) -> dict[str, Any]:
    return {"digicert": {"secretName": "digicert", "product": "ssl_basic", **fields}}


def digicert_one(**fields: Any) -> dict[str, Any]:
    profile = "36f011b7-5fa1-4c6d-83f3-ee59c4d54bb0"
    return {"digicertOne": {"secretName": "digicert", "profileId": profile, **fields}}


def policy(**fields: Any) -> dict[str, Any]:
    return {"selfSigned": {}, "policy": fields}


def rule(**fields: Any) -> dict[str, Any]:
    """An issuer whose policy has this one rule."""
    return policy(rules=[fields])


DIGICERT: Mapping[str, Callable[..., dict[str, Any]]] = {"digicert": digicert, "digicertOne": digicert_one}
EMPTY: dict[str, Any] = {}
NO_POLICY: tuple[dict[str, Any], ...] = (EMPTY, {"rules": []})
NO_NAMESPACES: tuple[dict[str, Any], ...] = (
    EMPTY,
    {"names": []},
    {"selector": EMPTY},
    {"selector": {"matchLabels": EMPTY, "matchExpressions": []}},
)
NO_LISTS: tuple[dict[str, Any], ...] = (EMPTY, {"suffixes": [], "exact": []})
RULE = "spec.policy.rules[0]"
BACKENDS = "selfSigned, ca, manual, acme, digicert, digicertOne, sectigo, vault and external"
ONE_BACKEND = f"Forbidden: spec names more than one backend; keep one of {BACKENDS}"


class Refused(NamedTuple):
    """A spec, the field that kubectl names, a part of its answer that holds the remedy, and the kind of object."""

    spec: Mapping[str, Any]
    field: str
    says: str
    kind: str = "CertificateRequest"


NO_NAME = "Required value: no name is requested: set at least one of dnsNames"
NO_DURATION = "write hours, minutes and seconds in this order"
NO_END = "or the certificate would be renewed without end; shorten renewBefore or lengthen duration"
NOT_EMPTY = "is empty; list something in its dnsDomains, ipRanges, emailAddresses or uriDomains, or remove it"
OWN_PREFIX = "which is the operator's own; choose another prefix for csr-operator.dev/"
LINE_BREAK = "contains a line break or another control character; remove it"
OID = "write oid in numbers and dots"
ONE_SIZE = "keys have one size only; remove privateKey.size"
CSR = "-----BEGIN CERTIFICATE REQUEST-----\nMA==\n-----END CERTIFICATE REQUEST-----\n"
OWN_CSR: Mapping[str, Any] = {"dnsNames": None, "request": CSR}
PASSWORD: Mapping[str, Any] = {"create": True, "passwordSecretRef": {"name": "password"}}
OTHER_TYPE = "request and privateKey.secretRef cannot be set or removed later; create another CertificateRequest with"

REFUSED = [
    # No name at all
    Refused(dns(), "spec.dnsNames", NO_NAME),
    Refused(request(dnsNames=None), "spec.dnsNames", NO_NAME),
    Refused(request(dnsNames=None, subject={"organizations": ["Example"]}), "spec.dnsNames", NO_NAME),
    Refused(request(dnsNames=None, literalSubject="O=Example,C=DE"), "spec.dnsNames", NO_NAME),
    Refused(request(dnsNames=None, literalSubject=r"O=Example\,CN=x,C=DE"), "spec.dnsNames", NO_NAME),
    Refused(request(dnsNames=None, ipAddresses=[], uris=[], otherNames=[]), "spec.dnsNames", NO_NAME),
    # More names than a TLS client takes
    *(
        Refused(spec, "spec.dnsNames", "65536 characters together")
        for spec in (
            dns(*(f"n{i:03}.{LONGEST_NAME[5:]}" for i in range(260))),
            request(dnsNames=["a"], uris=[f"urn:{i:02}:{'a' * 2040}" for i in range(33)]),
            request(
                dnsNames=[f"n{i:03}.{LABEL63[:55]}" for i in range(1000)],
                emailAddresses=[f"ann{i:02}@{LABEL63}" for i in range(60)],
                otherNames=[{"oid": "1.2.3.4", "utf8Value": "x" * 1000}] * 2,
            ),
        )
    ),
    # Subject
    Refused(
        request(literalSubject="CN=x", commonName="x"),
        "spec.commonName",
        "Forbidden: literalSubject is the whole subject: remove commonName",
    ),
    Refused(
        request(literalSubject="CN=x", subject={"countries": ["DE"]}),
        "spec.subject",
        "Forbidden: literalSubject is the whole subject: remove subject",
    ),
    *(
        Refused(request(literalSubject=literal), "spec.literalSubject", "separated by commas, such as CN=")
        for literal in ("www.example.com", "/CN=x/O=y", "CN=x;O=y", "CN=x,", "CN=a+b", 'CN="x"', "CN=", "CN=x\\")
    ),
    Refused(request(commonName="a" * 65), "spec.commonName", "list a longer host name in dnsNames and remove"),
    *(
        Refused(request(commonName=name), "spec.commonName", f"commonName {LINE_BREAK}")
        for name in ("www.example.com\n", "a\x00", "a\x7f", "a\u2028b", "a\u200bb")
    ),
    *(
        Refused(subject(**{name: ["Example", "Exa\tmple"]}), f"spec.subject.{name}[1]", f"subject.{name} {LINE_BREAK}")
        for name in (
            "organizations",
            "organizationalUnits",
            "provinces",
            "localities",
            "streetAddresses",
            "postalCodes",
        )
    ),
    *(
        Refused(subject(countries=[country]), "spec.subject.countries[0]", "such as DE; write the code in capitals")
        for country in ("Germany", "de", "D", "DEU", "D1")
    ),
    Refused(
        subject(serialNumber="HRB_12"),
        "spec.subject.serialNumber",
        "use letters, digits, spaces and ' ( ) + , - . / : = ?",
    ),
    Refused(
        subject(emailAddress="Ann <ann@example.com>"),
        "spec.subject.emailAddress",
        "write it without display name, angle brackets or comment",
    ),
    # DNS names
    *(
        Refused(dns("www.example.com", name), "spec.dnsNames[1]", remedy)
        for names, remedy in (
            (("192.0.2.7", "2001:db8::7", "::1", "1.2.3.400", "17"), "list IP addresses in ipAddresses"),
            (
                ("https://example.com", "example.com:443", "example.com/path", "ann@example.com", "//example.com"),
                "remove the scheme, user, port or path",
            ),
            (("my_host.example.com", "_acme.example.com"), "use a hyphen, or another name"),
            (
                ("a b", " a", "a\n", "a,b", "a'b", 'a"b', "a$b", "a%20b", "a;b", "a\\b", "[a]", "{a}", "a\x7f"),
                "use letters, digits, hyphens and dots only",
            ),
            (("*", "*example.com", "www.*.example.com", "*.*.example.com", "**.a"), "as in *.example.com; list other"),
            (("example.com.",), "dnsNames are absolute without a trailing dot; remove it"),
            ((".example.com", "www..example.com"), "remove the leading or doubled dot"),
            (("-a.example.com", "a-.example.com", "www.example-"), "remove the hyphen"),
            ((f"a{LABEL63}.example.com", "ü" * 64), "more than 63 characters (RFC 1035 section 2.3.4); shorten it"),
        )
        for name in names
    ),
    # Other alternative names
    *(
        Refused(request(ipAddresses=["192.0.2.7", address]), "spec.ipAddresses[1]", "list a host name in dnsNames")
        for address in (
            "192.0.2.0/24",
            "www.example.com",
            "fe80::1%eth0",
            "192.0.2.7:443",
            "[2001:db8::7]",
            "192.0.2.07",
            "256.0.0.1",
            "::ffff:192.0.2.7",
        )
    ),
    *(
        Refused(request(uris=[uri]), "spec.uris[0]", "begin it with the scheme")
        for uri in ("/path", "www.example.com", "//example.com", "http://a b", "urn:", "1a:b", "http://<x>")
    ),
    *(
        Refused(request(emailAddresses=[mail]), "spec.emailAddresses[0]", "write it without display name")
        for mail in (
            "example.com",
            "Ann <ann@example.com>",
            "<ann@example.com>",
            "ann@",
            "@example.com",
            "a@b@example.com",
            "ann@example.com, bob@example.com",
            "a..b@example.com",
            ".a@example.com",
            "a.@example.com",
            "ann@.example.com",
            "ann@example.com.",
            "änn@example.com",
            "ann@exa mple.com",
            "ann@-example.com",
            "ann@example-.com",
            "ann@192.0.2.7",
            "ann@my_host.example",
            f"{LABEL63}aa@example.com",
            f"ann@{LABEL63}a.com",
        )
    ),
    *(
        Refused(request(otherNames=[{"oid": oid, "utf8Value": "x"}]), "spec.otherNames[0].oid", OID)
        for oid in ("upn", "1", "1.40", "1.2.", "3.1.1", "1.2.03", ".1.2", "1.2 .3", "2.16.-1", f"1.2.{10**39}")
    ),
    # The Secret
    *(
        Refused(request(secretName=name), "spec.secretName", "use lower-case letters, digits, hyphens and dots")
        for name in ("TLS", "my_tls", "-tls", "tls-", "tls/a", "a..b", ".tls", "tls ")
    ),
    *(
        Refused(request(secretName=name), "spec.secretName", "digits and -order; choose another ending")
        for name in ("www-0123456789ab-order", "a.b-ffffffffffff-order")
    ),
    *(
        Refused(
            template("labels", app=value),
            "spec.secretTemplate.labels[app]",
            "use letters, digits, hyphens, underscores and dots, with a letter or digit at both ends",
        )
        for value in ("my app", "-a", "a/b", "ä")
    ),
    *(
        Refused(
            template(part, **{name: "x", "fine": "x"}),
            f"spec.secretTemplate.{part}",
            f"write it as name or example.com/name, the name in at most 63 letters, digits, hyphens, underscores "
            f"and dots, instead of {name}",
        )
        for part in ("labels", "annotations")
        for name in ("my app", "a/b/c", "/a", "a/", "-a", f"a{LABEL63}", f"{'a' * 254}/b", "A.com/b", "a..b/c")
    ),
    Refused(template("labels", **{"csr-operator.dev/a": "x"}), "spec.secretTemplate.labels", f"{OWN_PREFIX}a"),
    Refused(
        template("annotations", **{"csr-operator.dev/b": "x"}), "spec.secretTemplate.annotations", f"{OWN_PREFIX}b"
    ),
    Refused(
        template("annotations", a="x" * 16384, b="x" * 16384),
        "spec.secretTemplate.annotations",
        "32768 characters together, too many for a Secret; shorten them",
    ),
    # Times
    *(
        Refused(request(**{field: text}), f"spec.{field}", f"{field} is not valid; {NO_DURATION}")
        for field in ("duration", "renewBefore")
        for text in ("", "90d", "2160", "-5h", "1h 30m", "ninety", "30m1h", "1000000h", "5400.5s", "1.h", "1e3h")
    ),
    Refused(request(duration="4m59s", renewBefore="1m"), "spec.duration", "duration must be at least 5m; lengthen it"),
    Refused(request(duration="0s"), "spec.duration", "duration must be at least 5m; lengthen it"),
    Refused(request(renewBefore="59s"), "spec.renewBefore", "renewBefore must be at least 1m; lengthen it"),
    *(
        Refused(
            request(duration=duration, renewBefore=renew_before),
            "spec.renewBefore",
            f"renewBefore ({renew_before}) must be shorter than duration ({shown}), {NO_END}",
        )
        for duration, renew_before, shown in (
            (None, "2160h", "2160h, as it is absent"),
            ("1h", "60m", "1h"),
            ("5m", "300s", "5m"),
            ("48h", "999999h", "48h"),
        )
    ),
    Refused(
        request(renewBefore="1h", renewBeforePercentage=25),
        "spec.renewBeforePercentage",
        "Forbidden: renewBefore and renewBeforePercentage exclude each other; remove one of them",
    ),
    # The key
    *(
        Refused(key(algorithm="RSA", size=size), "spec.privateKey.size", "set privateKey.size to 2048, 3072 or 4096")
        for size in (0, 1024, 2047, 2049, 8193, 16384)
    ),
    *(
        Refused(
            key(**fields),
            "spec.privateKey.size",
            "takes 256, 384 or 521 bits; set privateKey.size to one of them, or privateKey.algorithm to RSA",
        )
        for fields in ({"size": 2048}, {"algorithm": "ECDSA", "size": 512}, {"algorithm": "ECDSA", "size": 0})
    ),
    Refused(key(algorithm="Ed25519", size=256), "spec.privateKey.size", f"Forbidden: Ed25519 {ONE_SIZE}"),
    Refused(key(algorithm="ML-DSA-65", size=65), "spec.privateKey.size", f"Forbidden: ML-DSA-65 {ONE_SIZE}"),
    Refused(
        key(algorithm="Ed25519", encoding="PKCS1"),
        "spec.privateKey.encoding",
        "Ed25519 keys have no PKCS1 form; set privateKey.encoding to PKCS8 or remove it",
    ),
    # A key or a request of the user's own
    *(
        Refused(
            key(secretRef={"name": "key"}, **fields),
            "spec.privateKey.secretRef",
            "remove algorithm, size, encoding and rotationPolicy from privateKey",
        )
        for fields in ({"algorithm": "RSA"}, {"size": 256}, {"encoding": "PKCS8"}, {"rotationPolicy": "Never"})
    ),
    *(
        Refused(
            request(**{**OWN_CSR, **names}),
            "spec.request",
            "Forbidden: request holds the names already: remove commonName, subject, literalSubject and all subject",
        )
        for names in (
            {"dnsNames": ["www.example.com"]},
            {"commonName": "www.example.com"},
            {"subject": {"countries": ["DE"]}},
            {"literalSubject": "CN=www.example.com"},
            {"ipAddresses": ["192.0.2.7"]},
            {"uris": ["urn:x:y"]},
            {"emailAddresses": ["ann@example.com"]},
            {"otherNames": [{"oid": "1.2.3.4", "utf8Value": "x"}]},
        )
    ),
    Refused(
        request(**OWN_CSR, privateKey={}),
        "spec.privateKey",
        "Forbidden: with request the key never enters the cluster: remove privateKey",
    ),
    *(
        Refused(
            request(dnsNames=None, request=text),
            "spec.request",
            "paste what `openssl req -new` writes, from -----BEGIN CERTIFICATE REQUEST----- on",
        )
        for text in (
            "MA==",
            "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n",
            "Certificate Request:\n    Data:\n",
        )
    ),
    *(
        Refused(
            request(dnsNames=None, request=text),
            "spec.request",
            "Forbidden: request holds a private key, which has no place here; remove it, and make a new key",
        )
        for header in ("", "RSA ", "EC ", "ENCRYPTED ")
        for pem in [f"-----BEGIN {header}PRIVATE KEY-----\nMA==\n-----END {header}PRIVATE KEY-----\n"]
        for text in (pem, CSR + pem)
    ),
    *(
        Refused(
            request(**{**spec, **outputs}),
            "spec.keystores",
            "hold a copy of the private key, which stays where it is with request or privateKey.secretRef; remove them",
        )
        for spec in (OWN_CSR, {"privateKey": {"secretRef": {"name": "key"}}})
        for outputs in ({"keystores": {"jks": PASSWORD}}, {"additionalOutputFormats": [{"type": "DER"}]})
    ),
    *(
        Refused(spec, f"spec.{field}.name", f"{field}.name is not a valid Secret name; use lower-case letters, digits")
        for name in ("../../other/secrets/key", "Key", "a_b", "-a", "a/b", "..", "a%2Fb", "a?b", "key ")
        for field, spec in (
            ("privateKey.secretRef", key(secretRef={"name": name})),
            *(
                (
                    f"keystores.{store}.passwordSecretRef",
                    request(keystores={store: {"create": True, "passwordSecretRef": {"name": name}}}),
                )
                for store in ("pkcs12", "jks")
            ),
        )
    ),
    *(
        Refused(spec, f"spec.{field}.key", f"{field}.key is not a valid Secret key; use letters, digits")
        for name in ("tls key", "a/b", "ä")
        for field, spec in (
            ("privateKey.secretRef", key(secretRef={"name": "key", "key": name})),
            *(
                (
                    f"keystores.{store}.passwordSecretRef",
                    request(keystores={store: {"create": True, "passwordSecretRef": {"name": "x", "key": name}}}),
                )
                for store in ("pkcs12", "jks")
            ),
        )
    ),
    Refused(
        key(secretRef={"name": "tls"}),
        "spec.privateKey.secretRef.name",
        "privateKey.secretRef names the Secret that the operator writes; name another in secretName",
    ),
    # Keystores
    *(
        case
        for store in ("pkcs12", "jks")
        for case in (
            Refused(
                request(keystores={store: {"create": True, "passwordSecretRef": {"name": "tls"}}}),
                f"spec.keystores.{store}.passwordSecretRef.name",
                "names the Secret that the operator writes; put the password into another one",
            ),
            *(
                Refused(
                    request(keystores={store: {**PASSWORD, "alias": alias}}),
                    f"spec.keystores.{store}.alias",
                    f"keystores.{store}.alias holds a character that is not printable ASCII",
                )
                for alias in ("schlüssel", "a\n", "a\x00")
            ),
        )
    ),
    *(
        Refused(
            request(privateKey={"algorithm": f"ML-DSA-{n}"}, keystores={"pkcs12": PASSWORD}),
            "spec.keystores.pkcs12",
            "Forbidden: PKCS#12 files cannot hold ML-DSA keys; remove keystores.pkcs12, or set privateKey.algorithm",
        )
        for n in (44, 65, 87)
    ),
    # Who signs
    *(
        Refused(
            request(**refs),
            "spec.issuerRef",
            "name who signs: set issuerRef, or issuerRefs with several issuers in the order they are tried, and not",
        )
        for refs in ({"issuerRef": None}, {"issuerRefs": [{"name": "other"}]})
    ),
    *(
        Refused(request(issuerRef={"name": name}), "spec.issuerRef.name", "issuerRef.name can be the name of no issuer")
        for name in ("My_CA", "ca-", "a..b", "Issuer/ca")
    ),
    Refused(
        request(issuerRef=None, issuerRefs=[{"name": "ca"}, {"name": "My_CA"}]),
        "spec.issuerRefs[1].name",
        "issuerRefs.name can be the name of no issuer",
    ),
    Refused(request(duration="1000000h"), "spec.duration", "such as 2160h (90 days) or 1h30m, and at most 999999h"),
    # Usages, CA and extensions
    *(
        Refused(request(usages=["signing", usage]), "spec.usages[1]", "or the dotted object identifier of an extended")
        for usage in ("serverAuth", "Server Auth", "1", "1.3.6.1.5.5.7.3.01")
    ),
    *(
        Refused(request(usages=["signing", usage]), "spec.usages", 'without "key agreement"; add it to usages')
        for usage in ("encipher only", "decipher only")
    ),
    *(
        Refused(request(usages=["cert sign"], isCA=ca), "spec.usages", "set isCA to true or remove it from usages")
        for ca in (None, False)
    ),
    *(
        Refused(request(isCA=ca, pathLenConstraint=0), "spec.pathLenConstraint", "set isCA to true or remove pathLen")
        for ca in (None, False)
    ),
    *(
        Refused(
            request(isCA=ca, nameConstraints={"permitted": {"dnsDomains": ["example.com"]}}),
            "spec.nameConstraints",
            "Forbidden: nameConstraints are for CA certificates; set isCA to true or remove nameConstraints",
        )
        for ca in (None, False)
    ),
    Refused(
        request(**CA, nameConstraints={"critical": True}),
        "spec.nameConstraints",
        "Required value: nameConstraints constrains nothing; set permitted or excluded, or remove it",
    ),
    *(
        case
        for side in ("permitted", "excluded")
        for where in [f"spec.nameConstraints.{side}"]
        for case in (
            Refused(constraints(side), where, f"{where.removeprefix('spec.')} {NOT_EMPTY}"),
            Refused(constraints(side, dnsDomains=[]), where, f"{where.removeprefix('spec.')} {NOT_EMPTY}"),
            *(
                Refused(
                    constraints(side, dnsDomains=[domain]),
                    f"{where}.dnsDomains[0]",
                    "write it without wildcard, scheme, leading or trailing dot",
                )
                for domain in (
                    "*.a.b",
                    "a.b.",
                    ".a.b",
                    "https://a.b",
                    "192.0.2.7",
                    "a..b",
                    "-a.b",
                    "a-.b",
                    "a_b",
                    LABEL63 + "a",
                )
            ),
            *(
                Refused(constraints(side, ipRanges=[network]), f"{where}.ipRanges[0]", "write an address and a prefix")
                for network in ("192.0.2.7", "example.com", "192.0.2.0/33", "192.0.2.0/255.255.255.0", "192.0.2/24")
            ),
            *(
                Refused(
                    constraints(side, ipRanges=[network]), f"{where}.ipRanges[0]", "write the network's own address"
                )
                for network in ("192.0.2.7/24", "2001:db8::7/32")
            ),
            *(
                Refused(
                    constraints(side, emailAddresses=[mail]),
                    f"{where}.emailAddresses[0]",
                    "write it as user@example.com, example.com or .example.com",
                )
                for mail in (
                    "@a.b",
                    "Ann <ann@a.b>",
                    "*.a.b",
                    "a@.a.b",
                    "..a",
                    "a..b@c",
                    "a@b-.c",
                    "a_b",
                    "192.0.2.7",
                    "-a",
                )
            ),
            *(
                Refused(
                    constraints(side, uriDomains=[domain]),
                    f"{where}.uriDomains[0]",
                    "write it as www.example.com or .example.com, without scheme, port or path",
                )
                for domain in ("https://a.b", "a.b:443", "*.a.b", "192.0.2.7", "..a", "a-.b", "a.", "a_b")
            ),
        )
    ),
    *(
        Refused(request(extensions=[{"oid": oid, "value": "BQA="}]), "spec.extensions[0].oid", OID)
        for oid in ("keyUsage", "2.5.29.", "2..5")
    ),
    *(
        Refused(
            request(extensions=[{"oid": oid, "value": "BQA="}]),
            "spec.extensions[0].oid",
            "remove it and use dnsNames and the other name fields (2.5.29.17), usages (2.5.29.15, 2.5.29.37), isCA",
        )
        for oid in (
            "2.5.29.14",
            "2.5.29.15",
            "2.5.29.17",
            "2.5.29.19",
            "2.5.29.30",
            "2.5.29.35",
            "2.5.29.37",
            "1.3.6.1.5.5.7.1.24",
        )
    ),
    *(
        Refused(
            request(extensions=[{"oid": "1.2.3.4", "value": value}]),
            "spec.extensions[0].value",
            "encode it with padding, without line breaks and in the standard alphabet",
        )
        for value in ("BQA", "BQA=\n", "05 00", "-_8=", "B===")
    ),
    # Revocation
    Refused(
        request(**OWN_CSR, revocation={"onDelete": True}),
        "spec.revocation",
        "only whoever has it may have its certificate revoked: remove revocation, and have the CA revoke",
    ),
    # Issuers
    *(Refused(spec, field, says, "Issuer") for spec, field, says in http01.REFUSED_ISSUERS),
    *(Refused(spec, field, says, "ClusterIssuer") for spec, field, says in http01.REFUSED_CLUSTER_ISSUERS),
    *(
        Refused(spec, field, says, kind)
        for kind in ("Issuer", "ClusterIssuer")
        for spec, field, says in (
            ({}, "spec", 'Required value: spec names no backend; set one: "selfSigned: {}"'),
            *(
                ({"selfSigned": {}, **other}, "spec", f"{ONE_BACKEND}, and create another {kind}")
                for other in (
                    ca(secretName="b"),
                    {"manual": EMPTY},
                    acme(),
                    digicert(),
                    digicert_one(),
                    sectigo.sectigo(),
                    vault.vault(),
                    {"external": {"name": "x"}},
                )
            ),
            ({"ca": {"secretName": "CA"}}, "spec.ca.secretName", "use lower-case letters, digits, hyphens and dots"),
            *(
                ({name: {**least, "backdate": given}}, f"spec.{name}.backdate", words)
                for name, least in (("selfSigned", {}), ("ca", {"secretName": "ca"}))
                for given, words in (
                    ("5 minutes", "write hours, minutes and seconds in this order"),
                    ("", "write hours, minutes and seconds in this order"),
                    ("-5m", "write hours, minutes and seconds in this order"),
                    ("61m", "must be at most 1h; shorten it"),
                )
            ),
            (ca(secretName="a_b"), "spec.ca.crl.secretName", "use lower-case letters, digits, hyphens and dots"),
            (ca(secretName="ca"), "spec.ca.crl.secretName", "the operator never writes; name another"),
            *(
                (
                    ca(secretName="crl", distributionPoints=["http://a.example/crl", url]),
                    "spec.ca.crl.distributionPoints[1]",
                    "such as http://pki.example.com/ca.crl; write the whole URL",
                )
                for url in ("pki.example.com/ca.crl", "ftp://a.example/crl", "http://", "http://a.example/a crl")
            ),
            (
                {"manual": {"caBundle": "MIIB"}},
                "spec.manual.caBundle",
                "paste CA certificates in PEM, from -----BEGIN CERTIFICATE----- on",
            ),
            *(
                (acme(server=server), "spec.acme.server", "or the whole https URL that the CA gave you")
                for server in ("acme.example.com", "http://acme.example.com/dir", "LetsEncrypt", "https://a b")
            ),
            *(
                (
                    acme(server=server, insecureAllowAnyURL=loose),
                    "spec.acme.server",
                    "or the whole https URL that the CA gave you",
                )
                for server, loose in (("http://127.0.0.1/dir", False), ("http://a b", True), ("file:///dir", True))
            ),
            *(
                (acme(issuerDomainNames=["ca.example.com", text]), "spec.acme.issuerDomainNames[1]", "in lower case")
                for text in ("CA.example.com", "*.example.com", "a b", "x; policy=wildcard", 'x"', "ca.example.com.")
            ),
            (acme(caBundle="MIIB"), "spec.acme.caBundle", "paste CA certificates in PEM, from -----BEGIN"),
            *(
                (acme(email=email), "spec.acme.email", "write one, such as admin@example.com")
                for email in ("mailto:a", "a@b@c", "a b@c")
            ),
            (
                acme(disableAccountKeyGeneration=True, privateKeyRotation="2026"),
                "spec.acme.privateKeyRotation",
                "which disableAccountKeyGeneration forbids; remove one of them",
            ),
            (
                acme(privateKeySecretRef={"name": "a_b"}),
                "spec.acme.privateKeySecretRef.name",
                "use lower-case letters, digits, hyphens and dots",
            ),
            (
                acme(externalAccountBinding={"keyID": "k", "keySecretRef": {"name": "a_b"}}),
                "spec.acme.externalAccountBinding.keySecretRef.name",
                "use lower-case letters, digits, hyphens and dots",
            ),
            *(
                (acme(solvers=[solver]), "spec.acme.solvers[0]", "exactly one of http01, dns01 and tlsALPN01")
                for solver in (EMPTY, {"http01": EMPTY, "dns01": EMPTY}, {"selector": {"dnsZones": ["a.example"]}})
            ),
            *sectigo.REFUSED,
            *vault.REFUSED,
            *http01.REFUSED,
            *dns01.REFUSED,
            *(
                ({"external": {"name": name}}, "spec.external.name", "with a letter or digit at both ends")
                for name in ("my ca", "-ca", "ca.", "a/b")
            ),
            *(
                ({"external": {"name": name}}, "spec.external.name", "use the field of that name in spec instead")
                for name in ("selfSigned", "ca", "manual", "acme", "digicert", "digicertOne", "sectigo", "vault")
            ),
            *(
                ({**make(url=url)}, f"spec.{backend}.url", "is not an HTTPS URL; write it whole, such as https://")
                for backend, make in DIGICERT.items()
                for url in ("http://digicert.example", "www.digicert.com", "https://", "https://a b")
            ),
            *(
                case
                for backend, make in DIGICERT.items()
                for case in (
                    (
                        make(caBundle="MIIB"),
                        f"spec.{backend}.caBundle",
                        "paste CA certificates in PEM, from -----BEGIN",
                    ),
                    (
                        make(secretName="Key"),
                        f"spec.{backend}.secretName",
                        "is not a valid Secret name; use lower-case",
                    ),
                )
            ),
            (digicert(product="Basic OV"), "spec.digicert.product", "write one such as ssl_basic"),
            *(
                (digicert(validity=validity), "spec.digicert.validity", "takes days or years; set one of them")
                for validity in (EMPTY, {"days": 90, "years": 1})
            ),
            *(
                (
                    digicert_one(profileId=profile),
                    "spec.digicertOne.profileId",
                    "copy it from DigiCert ONE, in lower case",
                )
                for profile in ("x" * 36, "36F011B7-5FA1-4C6D-83F3-EE59C4D54BB0")
            ),
            *(
                (policy(**empty), "spec.policy", "Required value: policy is empty; set policy.default to Deny, or add")
                for empty in NO_POLICY
            ),
            (
                policy(rules=[{"name": "web"}, {}, {"name": "web"}]),
                "spec.policy.rules",
                "the same name, by which users are told of them; change one",
            ),
            *(
                (
                    rule(namespaces=namespaces),
                    f"{RULE}.namespaces",
                    "list names or a selector, or remove it for a rule about all namespaces",
                )
                for namespaces in NO_NAMESPACES
            ),
            *(
                (
                    rule(namespaces={"selector": {"matchExpressions": [{"key": "a", **requirement}]}}),
                    f"{RULE}.namespaces.selector.matchExpressions[0].values",
                    "takes values with In and NotIn, and none with Exists and DoesNotExist; add or remove values",
                )
                for requirement in (
                    {"operator": "In"},
                    {"operator": "NotIn", "values": []},
                    {"operator": "Exists", "values": ["b"]},
                    {"operator": "DoesNotExist", "values": ["b"]},
                )
            ),
            *(
                (
                    rule(**{names: {"suffixes": ["example.com", suffix]}}),
                    f"{RULE}.{names}.suffixes[1]",
                    f"policy: {names}.suffixes takes domains such as example.com; write it without wildcard, scheme",
                )
                for names in ("commonNames", "dnsNames", "uris", "emailAddresses")
                for suffix in ("*.a.b", ".a.b", "a.b.", "a..b", "https://a.b", "ann@a.b", "a_b", "a b", "-a")
            ),
            *(
                (
                    rule(**{names: {**lists, "wildcards": True}}),
                    f"{RULE}.{names}.wildcards",
                    f"policy: {names}.wildcards allows wildcards for what exact and suffixes allow, and neither lists",
                )
                for names in ("commonNames", "dnsNames")
                for lists in NO_LISTS
            ),
            *(
                (
                    rule(dnsNames={"exact": [name]}),
                    f"{RULE}.dnsNames.exact[0]",
                    "without scheme, port, underscore, leading or trailing dot",
                )
                for name in (".a.b", "a.b.", "a..b", "www.*.a", "**.a", "https://a", "a:443", "a@b", "a_b", "a b")
            ),
            (rule(uris={"exact": ["example.com"]}), f"{RULE}.uris.exact[0]", "begin it with the scheme"),
            *(
                (
                    rule(emailAddresses={"exact": [mail]}),
                    f"{RULE}.emailAddresses.exact[0]",
                    "such as user@example.com; list a domain in suffixes",
                )
                for mail in ("example.com", "@example.com", "a@b@example.com", "ann@")
            ),
            *(
                (
                    rule(ipAddresses={"networks": [network]}),
                    f"{RULE}.ipAddresses.networks[0]",
                    "takes addresses and networks, such as 10.0.0.0/8; write it so",
                )
                for network in ("10.0.0.0/33", "10.0/8", "example.com", "::ffff:10.0.0.1")
            ),
            *(
                (
                    rule(ipAddresses={"networks": [network]}),
                    f"{RULE}.ipAddresses.networks[0]",
                    "write the network's own address, such as 10.0.0.0/8, or the address alone",
                )
                for network in ("10.0.0.1/8", "2001:db8::1/32")
            ),
            *(
                (
                    rule(subject={"others": [{"oid": oid, "values": ["x"]}]}),
                    f"{RULE}.subject.others[0].oid",
                    says,
                )
                for oid, says in (
                    ("DC", "policy: subject.others takes dotted object identifiers"),
                    ("2.5.4.03", "write oid in numbers and dots"),
                    ("2.5.4.10", "Forbidden: policy: subject.others holds an attribute that has a field of its own"),
                    ("2.5.4.3", "a common name in commonNames and an e-mail address in emailAddresses"),
                )
            ),
            (
                rule(keys=[{"algorithm": "RSA", "minSize": 4096, "maxSize": 2048}]),
                f"{RULE}.keys[0].minSize",
                "a minSize above its maxSize, which no key has; exchange them",
            ),
            *(
                (
                    rule(keys=[{"algorithm": algorithm, bound: 256}]),
                    f"{RULE}.keys[0].algorithm",
                    "Forbidden: policy: keys of this algorithm have one size only; remove minSize and maxSize",
                )
                for algorithm in ("Ed25519", "ML-DSA-44")
                for bound in ("minSize", "maxSize")
            ),
            *(
                (rule(maxDuration=text), f"{RULE}.maxDuration", f"policy: maxDuration is not valid; {NO_DURATION}")
                for text in ("", "90d", "1h 30m", "-1h")
            ),
            *(
                (rule(maxDuration=text), f"{RULE}.maxDuration", "is below 5m, the shortest that can be asked for")
                for text in ("0s", "299s")
            ),
            *(
                (rule(usages=["server auth", usage]), f"{RULE}.usages[1]", "such as server auth, or the dotted object")
                for usage in ("serverAuth", "1.3.6.1.5.5.7.3.01")
            ),
            *(
                (rule(extensions=[oid]), f"{RULE}.extensions[0]", "write it in numbers and dots")
                for oid in ("subjectAltName", "1.2.", "3.1")
            ),
        )
    ),
]


class Changed(NamedTuple):
    """A spec that is accepted, what it cannot be changed to, and kubectl's answer."""

    before: Mapping[str, Any]
    after: Mapping[str, Any]
    field: str
    says: str


CHANGED = [
    Changed(
        request(),
        request(secretName="other"),
        "spec.secretName",
        "Forbidden: secretName cannot be changed, or the old Secret would be left behind unrenewed; create another "
        "CertificateRequest with the new secretName",
    ),
    Changed(request(), dns(), "spec.dnsNames", NO_NAME),
    *(
        Changed(before, after, "spec.secretName", f"Forbidden: a Secret with a key (type kubernetes.io/tls) {said}")
        for said in [f"cannot become one without (Opaque), nor the other way round: {OTHER_TYPE}"]
        for kept, away in (
            (request(), request(**OWN_CSR)),
            (key(size=384), key(secretRef={"name": "key"})),
        )
        for before, after in ((kept, away), (away, kept))
    ),
]

USAGES = (
    "signing",
    "digital signature",
    "content commitment",
    "key encipherment",
    "key agreement",
    "data encipherment",
    "crl sign",
    "encipher only",
    "decipher only",
    "any",
    "server auth",
    "client auth",
    "code signing",
    "email protection",
    "s/mime",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "timestamping",
    "ocsp signing",
    "microsoft sgc",
    "netscape sgc",
    "1.3.6.1.4.1.311.20.2.2",
)

FULL = {
    "commonName": "www.example.com",
    "subject": {
        "organizations": ["Example & Söhne", "Example"],
        "organizationalUnits": ["Web"],
        "countries": ["DE", "FR"],
        "provinces": ["Bayern"],
        "localities": ["München"],
        "streetAddresses": ["Hauptstraße 1"],
        "postalCodes": ["80331"],
        "serialNumber": "HRB 12/34",
        "emailAddress": "web@example.com",
    },
    "dnsNames": ["www.example.com", "*.example.com", "bücher.example"],
    "ipAddresses": ["192.0.2.7", "2001:db8::7"],
    "uris": ["spiffe://example.org/web"],
    "emailAddresses": ["ann@example.com"],
    "otherNames": [{"oid": "1.3.6.1.4.1.311.20.2.3", "utf8Value": "ann@EXAMPLE"}],
    "secretName": "www.example.com-tls",
    "secretTemplate": {"labels": {"app": "web", "example.com/tier": ""}, "annotations": {"note": "a b: ö\n"}},
    "issuerRef": {"name": "ca", "kind": "ClusterIssuer", "group": "csr-operator.dev"},
    "duration": "2160h0m0s",
    "renewBefore": "360h",
    "privateKey": {"algorithm": "RSA", "size": 3072, "encoding": "PKCS8", "rotationPolicy": "Never"},
    "usages": ["digital signature", "cert sign", "server auth", "1.3.6.1.5.5.7.3.17"],
    "isCA": True,
    "pathLenConstraint": 0,
    "nameConstraints": {
        "critical": True,
        "permitted": {
            "dnsDomains": ["example.com", "bücher.example"],
            "ipRanges": ["192.0.2.0/24", "2001:db8::/32"],
            "emailAddresses": ["ann-.x@example.com", "example.com", ".bücher.example"],
            "uriDomains": ["www.example.com", ".bücher.example"],
        },
        "excluded": {"ipRanges": ["0.0.0.0/0"]},
    },
    "mustStaple": True,
    "extensions": [{"oid": "1.3.6.1.4.1.311.20.2", "critical": False, "value": "DANXZWI="}],
    "keystores": {
        "pkcs12": {
            "create": True,
            "alias": "web server",
            "profile": "LegacyDES",
            "passwordSecretRef": {"name": "passwords.web", "key": "keystore_p12.txt"},
        },
        "jks": {"create": False, "alias": "web", "passwordSecretRef": {"name": "passwords.web"}},
    },
    "additionalOutputFormats": [{"type": "CombinedPEM"}, {"type": "DER"}],
    "deletionPolicy": "Retain",
    "revocation": {"onDelete": True, "onRotation": True},
}
"""Every field of a request's spec that goes together."""

LARGEST = {
    **FULL,
    "dnsNames": [f"n{i:03}.{LABEL63[:55]}" for i in range(1000)],
    "ipAddresses": [f"2001:db8::{i:x}" for i in range(250)],
    "uris": [f"spiffe://example.org/{i:02}" for i in range(100)],
    "emailAddresses": [f"ann{i:02}@example.com" for i in range(100)],
    "otherNames": [{"oid": f"2.25.{10**38 + i}", "utf8Value": "\N{MUSICAL SYMBOL G CLEF}" * 20} for i in range(64)],
    "usages": ["cert sign", *(f"2.25.{10**38 + i}" for i in range(63))],
    "extensions": [{"oid": f"2.25.{10**38 + i}", "value": LONGEST_DER} for i in range(16)],
    "secretTemplate": {
        "labels": {f"{LONGEST_NAME}/{'b' * 60}{i:03}": LABEL63 for i in range(32)},
        "annotations": {f"a{i:02}": "\N{MUSICAL SYMBOL G CLEF}" * 1021 for i in range(32)},
    },
    "nameConstraints": {
        side: {
            "dnsDomains": [f"n{i:02}.{LONGEST_NAME[4:]}" for i in range(50)],
            "ipRanges": [f"2001:db8:{i:x}::/48" for i in range(50)],
            "emailAddresses": [f"n{i:02}.{LONGEST_NAME[4:]}" for i in range(50)],
            "uriDomains": [f"n{i:02}.{LONGEST_NAME[4:]}" for i in range(50)],
        }
        for side in ("permitted", "excluded")
    },
}
"""A request at all bounds at once, against the API server's budget for CEL and etcd's for an object."""

ACCEPTED: dict[str, Mapping[str, Any]] = {
    "least": request(),
    "full": FULL,
    "largest": LARGEST,
    "longest-names": dns(*(f"n{i:03}.{LONGEST_NAME[5:]}" for i in range(259))),
    # cert-manager's conformance cases ask for these combinations of names.
    "common-name-alone": request(dnsNames=None, commonName="www.example.com"),
    "common-name-of-64-characters": request(commonName="a" * 64),
    "literal-subject": request(dnsNames=None, literalSubject="CN=foo,OU=FooLong,OU=Bar,OU=Baz,DC=corp,DC=example"),
    "literal-subject-cn-last": request(dnsNames=None, literalSubject="C=DE, O=Example , cn = x"),
    "literal-subject-cn-by-oid": request(dnsNames=None, literalSubject="O=Example+2.5.4.3=x"),
    "literal-subject-escapes": request(dnsNames=None, literalSubject=r"CN=a\, b \"c\" \+\C3\A4,O=#0C0141"),
    "literal-subject-without-cn": request(literalSubject="O=Example,C=DE"),
    "ip-alone": request(dnsNames=None, ipAddresses=["192.0.2.7", "::1", "2001:DB8::7"]),
    "uri-alone": request(dnsNames=None, uris=["spiffe://a_b.example/x", "urn:uuid:0b3e", "https://bücher.example/ü"]),
    "email-alone": request(
        dnsNames=None, emailAddresses=["o'brien+x@bücher.example", "root@localhost", "-a-.b-@c-d.e1"]
    ),
    "other-name-alone": request(dnsNames=None, otherNames=[{"oid": "2.999", "utf8Value": "ä"}]),
    "labels": dns("localhost", "*.example.com", "*.local", "example.com", "WWW.Example.COM", f"{LABEL63}.example"),
    "digits": dns("1.example.com", "3com", "a1", "7.a-1"),
    "u-label": dns("bücher.example", "例え.テスト", "ü" * 57 + ".example"),
    "a-label": dns("xn--bcher-kva.example", "*.xn--bcher-kva.example"),
    "longest-name": dns(LONGEST_NAME),
    "empty-lists": request(ipAddresses=[], uris=[], emailAddresses=[], otherNames=[], usages=[], extensions=[]),
    "empty-objects": request(subject={}, privateKey={}, secretTemplate={}),
    "duration-5m": request(duration="5m", renewBefore="1m"),
    "duration-in-seconds": request(duration="300s", renewBefore="299s"),
    "duration-with-fractions": request(duration="1.5h", renewBefore="0.25h1.5m"),
    "duration-longest": request(duration="999999h9999999m999999999s", renewBefore="999999h9999999m999999998s"),
    "renew-before-below-default": request(renewBefore="2159h59m59s"),
    "percentage-1": request(renewBeforePercentage=1),
    "percentage-99": request(renewBeforePercentage=99, duration="5m"),
    "rsa": key(algorithm="RSA"),
    "rsa-2048": key(algorithm="RSA", size=2048, encoding="PKCS1"),
    "rsa-8192": key(algorithm="RSA", size=8192),
    "ecdsa-by-default": key(size=521, encoding="PKCS1"),
    "ecdsa": key(algorithm="ECDSA", size=384, encoding="PKCS8"),
    "ed25519": key(algorithm="Ed25519", encoding="PKCS8"),
    **{f"ml-dsa-{n}": key(algorithm=f"ML-DSA-{n}") for n in (44, 65, 87)},
    "usages": request(usages=list(USAGES)),
    "longest-oids": request(usages=[f"2.25.{2**128 - 1}", "0.0", "1.39.0"]),
    "ca": request(**CA, usages=["cert sign"], pathLenConstraint=255),
    "not-ca": request(isCA=False),
    "excluded-alone": constraints("excluded", dnsDomains=["example.com"]),
    "secret-name": request(secretName="a.b-c.9"),
    **{
        f"secret-name-{name}": request(secretName=name)
        for name in ("www-order", "www-0123456789ag-order", "www-0123456789a-order", "www-0123456789ab-order-tls")
    },
    "longest-secret-name": request(secretName="a" * 253),
    "template-keys": template("labels", **{f"{'a' * 253}/{'B' * 63}": "", "A_.b": "9.a_B", "a-b.c/d": "x" * 63}),
    "template-near-prefix": template("annotations", **{"csr-operator.dev": "x", "x.csr-operator.dev/a": "x"}),
    "own-request": request(**OWN_CSR),
    "own-request-after-text": request(dnsNames=None, request=f"Certificate Request:\n    Data:\n{CSR}"),
    "own-request-of-openssl-1": request(dnsNames=None, request=CSR.replace("BEGIN CERT", "BEGIN NEW CERT")),
    "own-request-extended": request(
        **{**OWN_CSR, **CA}, usages=["cert sign"], pathLenConstraint=0, mustStaple=True, duration="1h"
    ),
    "own-request-longest": request(dnsNames=None, request=CSR + "x" * (65536 - len(CSR))),
    "own-key": key(secretRef={"name": "key.example-1"}),
    "own-key-elsewhere": key(secretRef={"name": "key", "key": "..2024_key-1.pem"}),
    "several-issuers": request(
        issuerRef=None, issuerRefs=[{"name": f"ca-{i}", "kind": "ClusterIssuer"} for i in range(8)]
    ),
    "ml-dsa-in-jks": request(privateKey={"algorithm": "ML-DSA-65"}, keystores={"jks": PASSWORD}),
    "no-keystore": request(keystores={}),
    "deletion-policy": request(deletionPolicy="Delete", revocation={}),
    "extension-empty-sequence": request(extensions=[{"oid": "2.5.29.36", "critical": True, "value": "MAA="}]),
}
LARGEST_RULE: Mapping[str, Any] = {
    "namespaces": {
        "names": [f"{i:03}-{'a' * 59}" for i in range(500)],
        "selector": {
            "matchLabels": {f"{'a' * 253}/{'b' * 60}{i:03}": LABEL63 for i in range(50)},
            "matchExpressions": [{"key": "a" * 317, "operator": "Exists"}] * 50,
        },
    },
    **{
        names: {lists: [f"n{i:02}.{LONGEST_NAME[4:]}" for i in range(100)] for lists in ("exact", "suffixes")}
        for names in ("commonNames", "dnsNames")
    },
    "ipAddresses": {"networks": [f"2001:db8:{i:x}::/48" for i in range(100)]},
    "subject": {
        **{
            field: [f"{i:03}{'a' * 253}" for i in range(100)]
            for field in (
                *("countries", "organizations", "organizationalUnits", "localities", "provinces", "streetAddresses"),
                *("postalCodes", "serialNumbers"),
            )
        },
        "others": [
            {"oid": f"2.25.{10**38 + i}", "values": [f"{j:03}{'a' * 253}" for j in range(100)]} for i in range(16)
        ],
    },
    "uris": {"exact": [f"urn:{i:02}:{'a' * 505}" for i in range(100)]},
    "emailAddresses": {"exact": [f"ann{i:02}@{LABEL63}.example" for i in range(100)]},
    "keys": [{"algorithm": "RSA", "minSize": 2048, "maxSize": 8192}] * 16,
    "maxDuration": "999999h9999999m999999999s",
    "usages": [f"2.25.{10**38 + i}" for i in range(64)],
    "extensions": [f"2.25.{10**38 + i}" for i in range(64)],
}
ACCEPTED_ISSUERS: list[Mapping[str, Any]] = [
    {"selfSigned": {}},
    {"selfSigned": {"backdate": "0s"}},
    {"ca": {"secretName": "ca.example-1"}},
    {"ca": {"secretName": "ca", "backdate": "1h"}},
    ca(secretName="crl", distributionPoints=["http://pki.example.com/ca.crl", "ldap://a/cn=x?c;binary"]),
    {"manual": {}},
    {"manual": {"caBundle": "-----BEGIN CERTIFICATE-----"}},
    acme(),
    acme(server="letsencrypt-staging", email="a+b@example.com", termsOfServiceAgreed=True),
    acme(server="http://127.0.0.1:14000/dir", insecureAllowAnyURL=True, issuerDomainNames=["ca.example.com", "pki"]),
    acme(
        server="https://127.0.0.1:14000/dir",
        disableAccountKeyGeneration=False,
        privateKeyRotation="2026-11",
        externalAccountBinding={"keyID": "k", "keySecretRef": {"name": "hmac", "key": "k"}},
        preferredChain="Some Root",
        profile="shortlived",
        renewalInfo="Ignore",
        solvers=[
            {"selector": {"dnsNames": ["*.example.com", "192.0.2.1"], "dnsZones": ["example.com"]}, "dns01": EMPTY},
            {"http01": EMPTY},
            {"tlsALPN01": EMPTY},
        ],
    ),
    *dns01.ACCEPTED,
    digicert(),
    digicert(
        url="https://certcentral.digicert.eu/services/v2",
        caBundle="-----BEGIN CERTIFICATE-----",
        organizationId=1,
        containerId=2000000000,
        caCertId="10A101A05684",
        validity={"years": 3},
        dcvMethod="dns-cname-token",
        customFields=[{"metadataId": 11, "value": "Invoice #1"}, {"metadataId": 12, "value": "x"}],
        skipApproval=True,
        paymentMethod="profile",
        signatureHash="sha384",
        renewal="Reissue",
        cancelPending=True,
    ),
    digicert(validity={"days": 199}),
    digicert_one(),
    digicert_one(url="https://demo.one.digicert.com", caBundle="-----BEGIN CERTIFICATE-----", seatId="web"),
    *sectigo.ACCEPTED,
    *vault.ACCEPTED,
    *http01.ACCEPTED,
    {"external": {"name": "a"}},
    {"external": {"name": "example.com_Ca-1", "config": {"url": "https://ca.example", "deep": {"er": [1, "a", None]}}}},
    {"selfSigned": {}, "approval": "Manual", "limits": {"concurrent": 1, "perMinute": 100000}},
    {"selfSigned": {}, "approval": "Automatic", "limits": {"concurrent": 1000}},
    policy(default="Deny"),
    policy(default="Allow", rules=[]),
    policy(rules=[{}, {}, {"name": "web"}, {"name": "db"}]),
    rule(dnsNames={}, ipAddresses={}, uris={}, emailAddresses={}, commonNames={}, keys=[], usages=[], extensions=[]),
    rule(subject={}),
    rule(subject={"countries": ["DE"], "others": [{"oid": "0.9.2342.19200300.100.1.25", "values": ["a", "b"]}]}),
    rule(
        namespaces={
            "names": ["shop"],
            "selector": {
                "matchLabels": {"tier": "web"},
                "matchExpressions": [
                    {"key": "a", "operator": "In", "values": ["b", ""]},
                    {"key": "a", "operator": "NotIn", "values": ["c"]},
                    {"key": "example.com/d", "operator": "Exists"},
                    {"key": "e", "operator": "DoesNotExist", "values": []},
                ],
            },
        },
        commonNames={"exact": ["Ann Example, Ltd."], "suffixes": ["example.com"], "wildcards": True},
        dnsNames={"exact": ["*.a.example", "bücher.example", "localhost"], "suffixes": ["internal", "bücher.example"]},
        ipAddresses={"networks": ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7", "::1", "0.0.0.0/0"]},
        uris={"exact": ["spiffe://a_b.example/x", "urn:uuid:0b3e"], "suffixes": ["example.org"]},
        emailAddresses={"exact": ["o'brien+x@bücher.example"], "suffixes": ["example.com"]},
        otherNames=True,
        keys=[
            {"algorithm": "RSA", "minSize": 3072},
            {"algorithm": "ECDSA", "minSize": 256, "maxSize": 256},
            {"algorithm": "ML-DSA-65"},
        ],
        maxDuration="1.5h",
        isCA=True,
        usages=list(USAGES),
        extensions=["1.3.6.1.4.1.311.20.2"],
    ),
    {"selfSigned": {}, "policy": {"rules": [{"dnsNames": {"wildcards": False}, "name": "x"}, dict(LARGEST_RULE)]}},
]
