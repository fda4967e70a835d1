"""A CA's answer against the request: what is accepted, and what is refused in which words."""

import dataclasses
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from csr_operator.pki.authority import Authority
from csr_operator.pki.chain import Chain, build_chain, load_bundle
from csr_operator.pki.errors import Mismatch, PkiError
from csr_operator.pki.keys import private_key_pem, signature_hash
from csr_operator.pki.names import Names, Subject
from csr_operator.pki.profile import CustomExtension, NameConstraints, Profile, Subtrees
from csr_operator.pki.verify import TLS_USAGES, Rules, SubjectRule, verify
from tests.pki.support import (
    DAY,
    LEAF,
    NOW,
    P256,
    RSA,
    Request,
    authority,
    issue,
    key_of,
    openssl,
    pem,
    request,
)

ROOT = authority()
CA = authority("Test Intermediate", parent=ROOT, profile=Profile(is_ca=True, path_length=0))
NAMES = Names(
    common_name="www.example.com",
    subject=Subject(countries=("DE",), organizations=("Example Ltd",)),
    dns_names=("www.example.com", "example.com"),
    ip_addresses=("192.0.2.1",),
)
ASKED = request(NAMES, LEAF, RSA)
SIGNING = {
    "digital_signature": True,
    "content_commitment": False,
    "key_encipherment": True,
    "data_encipherment": False,
    "key_agreement": False,
    "key_cert_sign": False,
    "crl_sign": False,
    "encipher_only": False,
    "decipher_only": False,
}


def extension(value: x509.ExtensionType, critical: bool = False) -> x509.Extension[x509.ExtensionType]:
    return x509.Extension(value.oid, critical, value)


@dataclass(frozen=True)
class Answer:
    """A certificate as a good CA answers ASKED; `changed` makes another one of it."""

    subject: x509.Name = ASKED.csr.subject
    public_key: Any = field(default_factory=ASKED.csr.public_key)
    names: tuple[x509.GeneralName, ...] = (
        *(x509.DNSName(one) for one in NAMES.dns_names),
        x509.IPAddress(IPv4Address("192.0.2.1")),
    )
    usage: dict[str, bool] | None = field(default_factory=lambda: dict(SIGNING))
    extended: tuple[x509.ObjectIdentifier, ...] = (ExtendedKeyUsageOID.SERVER_AUTH,)
    basic: x509.BasicConstraints | None = field(default_factory=lambda: x509.BasicConstraints(False, None))
    start: datetime = NOW
    end: datetime = NOW + 90 * DAY
    serial: int = 4711
    more: tuple[x509.Extension[x509.ExtensionType], ...] = ()
    signer: Authority = CA

    def changed(self, **fields: Any) -> "Answer":
        return dataclasses.replace(self, **fields)

    def sign(self) -> x509.Certificate:
        extensions = [
            *([extension(x509.SubjectAlternativeName(self.names))] if self.names else []),
            *([extension(x509.KeyUsage(**self.usage), True)] if self.usage else []),
            *([extension(x509.ExtendedKeyUsage(self.extended))] if self.extended else []),
            *([extension(self.basic, True)] if self.basic else []),
            *self.more,
        ]
        # Given to the constructor, the extensions may be as wrong as they like.
        builder = x509.CertificateBuilder(
            self.signer.certificate.subject, self.subject, self.public_key, self.serial, None, None, extensions
        )
        return (
            builder.not_valid_before(self.start)
            .not_valid_after(self.end)
            .sign(self.signer.key, signature_hash(self.signer.key))
        )


GOOD = Answer()


def check(answer: Answer | x509.Certificate, asked: Request = ASKED, **options: Any) -> None:
    leaf = answer.sign() if isinstance(answer, Answer) else answer
    above = CA.certificates if not isinstance(answer, Answer) else answer.signer.certificates
    options.setdefault("roots", (ROOT.certificate,))
    verify(Chain(leaf, above[:-1], above[-1]), asked.csr, asked.profile, now=NOW, **options)


def differences(answer: Answer | x509.Certificate, asked: Request = ASKED, **options: Any) -> tuple[str, ...]:
    with pytest.raises(Mismatch) as caught:
        check(answer, asked, **options)
    assert str(caught.value) == "the certificate is not what was asked for: " + "; ".join(caught.value.differences)
    return caught.value.differences


def test_the_answer_of_a_ca_that_does_as_it_is_told_is_accepted() -> None:
    check(GOOD)


EXPIRED = '"CN=Expired,O=Example Ltd,C=DE"'
UNKNOWN = x509.ObjectIdentifier("1.2.3.4")
WEAK_RSA = rsa.generate_private_key(65537, 1024)
MUTATIONS: dict[str, tuple[Answer, tuple[str, ...]]] = {
    "another key": (
        GOOD.changed(public_key=key_of(RSA, 1).public_key()),
        ("public key: the certificate is for another key than the request's",),
    ),
    "a key of another algorithm": (
        GOOD.changed(public_key=key_of(P256).public_key()),
        ("public key: the certificate is for another key than the request's",),
    ),
    "a DNS name missing": (GOOD.changed(names=GOOD.names[1:]), ('DNS name: "www.example.com" is missing',)),
    "a DNS name added": (
        GOOD.changed(names=(*GOOD.names, x509.DNSName("evil.example"))),
        ('DNS name: "evil.example" was not asked for',),
    ),
    "a wildcard instead of the name": (
        GOOD.changed(names=(x509.DNSName("*.example.com"), *GOOD.names[1:])),
        ('DNS name: "www.example.com" is missing', 'DNS name: "*.example.com" was not asked for'),
    ),
    "an address missing": (GOOD.changed(names=GOOD.names[:-1]), ('IP address: "192.0.2.1" is missing',)),
    "an email address added": (
        GOOD.changed(names=(*GOOD.names, x509.RFC822Name("root@example.com"))),
        ('email address: "root@example.com" was not asked for',),
    ),
    "no alternative names": (
        GOOD.changed(names=()),
        (
            'DNS name: "www.example.com" is missing',
            'DNS name: "example.com" is missing',
            'IP address: "192.0.2.1" is missing',
        ),
    ),
    "a subject attribute missing": (
        GOOD.changed(subject=x509.Name([*GOOD.subject][1:])),
        ('subject: "C=DE" is missing',),
    ),
    "a subject attribute added": (
        GOOD.changed(subject=x509.Name([*GOOD.subject, x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Ads")])),
        ('subject: "OU=Ads" was not asked for',),
    ),
    "another common name": (
        GOOD.changed(
            subject=x509.Name([*list(GOOD.subject)[:-1], x509.NameAttribute(NameOID.COMMON_NAME, "example.com")])
        ),
        ('subject: "CN=www.example.com" is missing', 'subject: "CN=example.com" was not asked for'),
    ),
    "a usage missing": (
        GOOD.changed(usage=SIGNING | {"digital_signature": False}),
        ('usages: "digital signature" is missing',),
    ),
    "no key usage": (
        GOOD.changed(usage=None),
        ('usages: "digital signature" is missing', 'usages: "key encipherment" is missing'),
    ),
    "a usage added": (
        GOOD.changed(usage=SIGNING | {"crl_sign": True, "content_commitment": True}),
        ('usages: "content commitment" was not asked for', 'usages: "crl sign" was not asked for'),
    ),
    "an extended usage missing": (GOOD.changed(extended=()), ('usages: "server auth" is missing',)),
    "an extended usage added": (
        GOOD.changed(extended=(ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CODE_SIGNING)),
        ('usages: "code signing" was not asked for',),
    ),
    "an unnamed extended usage added": (
        GOOD.changed(extended=(ExtendedKeyUsageOID.SERVER_AUTH, x509.ObjectIdentifier("1.2.3.4"))),
        ('usages: "1.2.3.4" was not asked for',),
    ),
    "a CA": (
        GOOD.changed(basic=x509.BasicConstraints(True, None)),
        ("CA bit: it is a CA certificate, which was not asked for",),
    ),
    "a CA that may sign": (
        GOOD.changed(basic=x509.BasicConstraints(True, None), usage=SIGNING | {"key_cert_sign": True}),
        ('usages: "cert sign" was not asked for', "CA bit: it is a CA certificate, which was not asked for"),
    ),
    "must-staple added": (
        GOOD.changed(more=(extension(x509.TLSFeature([x509.TLSFeatureType.status_request])),)),
        ("must-staple: it was not asked for",),
    ),
    "name constraints added": (
        GOOD.changed(more=(extension(x509.NameConstraints([x509.DNSName("example.com")], None), True),)),
        ("name constraints: it was not asked for",),
    ),
    "expired": (
        GOOD.changed(start=NOW - 2 * DAY, end=NOW - DAY),
        ("validity: it ended at 2041-05-03T12:00:00Z",),
    ),
    "not yet valid": (GOOD.changed(start=NOW + DAY), ("validity: it begins only at 2041-05-05T12:00:00Z",)),
    "a critical extension that is unknown": (
        GOOD.changed(
            more=(extension(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True),)
        ),
        ("critical extension: the certificate has 1.2.3.4, which is unknown here",),
    ),
    "an extension twice": (
        GOOD.changed(more=(extension(x509.BasicConstraints(False, None), True),)),
        ("extensions of the certificate: the extension 2.5.29.19 is there twice",),
    ),
    "a malformed extension": (
        GOOD.changed(basic=None, more=(extension(x509.UnrecognizedExtension(x509.BasicConstraints.oid, b"\x05\x00")),)),
        ("extensions of the certificate: an extension (basic constraints) has a value that cannot be read",),
    ),
    "of an expired CA": (
        GOOD.changed(signer=authority("Expired", parent=ROOT, days=(-9, -1))),
        (f"chain: the CA {EXPIRED} is valid from 2041-04-25T12:00:00Z to 2041-05-03T12:00:00Z, not now",),
    ),
    "outside the CA's name constraints": (
        GOOD.changed(
            signer=authority(
                "Narrow",
                parent=ROOT,
                profile=Profile(
                    is_ca=True, name_constraints=NameConstraints(excluded=Subtrees(dns_domains=("www.example.com",)))
                ),
            )
        ),
        ('name constraints: "CN=Narrow,O=Example Ltd,C=DE" does not allow "www.example.com"',),
    ),
    "everything wrong at once": (
        GOOD.changed(names=GOOD.names[1:], extended=(), end=NOW - DAY, start=NOW - 2 * DAY),
        (
            "validity: it ended at 2041-05-03T12:00:00Z",
            'DNS name: "www.example.com" is missing',
            'usages: "server auth" is missing',
        ),
    ),
}


@pytest.mark.parametrize("what", MUTATIONS)
def test_an_answer_that_differs_is_refused_in_these_words(what: str) -> None:
    answer, words = MUTATIONS[what]
    found = differences(answer)
    if what == "a malformed extension":
        assert found[0].startswith(words[0])
    else:
        assert found == words


def test_a_damaged_signature_is_refused() -> None:
    der = bytearray(GOOD.sign().public_bytes(Encoding.DER))
    der[-1] ^= 1
    damaged = x509.load_der_x509_certificate(bytes(der))
    assert differences(damaged) == (
        'chain: the certificate is not signed by "CN=Test Intermediate,O=Example Ltd,C=DE"',
    )


def test_a_certificate_of_another_ca_is_refused() -> None:
    [difference] = differences(GOOD.changed(signer=authority("Other Root")))
    assert difference.startswith('chain: it ends at "CN=Other Root,O=Example Ltd,C=DE", which is not among the issuer')
    assert difference.endswith('roots ("CN=Test Root,O=Example Ltd,C=DE")')


def test_a_certificate_of_an_impostor_of_the_root_is_refused() -> None:
    assert differences(GOOD.changed(signer=authority("Test Root"))) == (
        'chain: "CN=Test Root,O=Example Ltd,C=DE" is not signed by "CN=Test Root,O=Example Ltd,C=DE", a root it names',
    )


def test_a_self_signed_certificate_is_refused_where_a_root_is_known() -> None:
    own = Authority((GOOD.sign(),), ASKED.key)
    assert differences(GOOD.changed(signer=own, names=GOOD.names))[0].startswith("chain: it ends at ")


def test_the_chain_may_come_without_the_root_or_with_the_root_renewed() -> None:
    leaf = GOOD.sign()
    verify(Chain(leaf, CA.chain), ASKED.csr, LEAF, now=NOW, roots=[ROOT.certificate])
    renewed = (
        x509.CertificateBuilder(
            ROOT.certificate.subject, ROOT.certificate.subject, ROOT.key.public_key(), 5, None, None, []
        )
        .not_valid_before(NOW)
        .not_valid_after(NOW + DAY)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(ROOT.key, hashes.SHA256())
    )
    verify(Chain(leaf, CA.chain, renewed), ASKED.csr, LEAF, now=NOW, roots=[ROOT.certificate])


def test_with_no_root_known_the_chain_must_still_hold_together() -> None:
    check(GOOD.changed(signer=authority("Other Root")), roots=None)
    leaf = GOOD.sign()
    with pytest.raises(Mismatch, match="the certificate is not signed by"):
        verify(Chain(leaf, (), ROOT.certificate), ASKED.csr, LEAF, now=NOW)


def test_a_leaf_that_signs_is_refused() -> None:
    """The classic of path validation: a certificate that is no CA signs another."""
    below = Authority((GOOD.sign(), *CA.chain), ASKED.key, ROOT.certificate)
    leaf = 'chain: the CA "CN=www.example.com,O=Example Ltd,C=DE"'
    assert differences(GOOD.changed(signer=below)) == (
        f"{leaf} is not a CA certificate (its basic constraints lack CA:TRUE)",
        f"{leaf} may not sign certificates (its key usage lacks keyCertSign)",
        'chain: the CA "CN=Test Intermediate,O=Example Ltd,C=DE" has the path length 0, but 1 more CAs stand below it',
    )


def test_a_ca_with_a_weak_key_is_refused() -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Weak")])
    own = (
        x509.CertificateBuilder(ROOT.certificate.subject, name, WEAK_RSA.public_key(), 7)
        .not_valid_before(NOW)
        .not_valid_after(NOW + 90 * DAY)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(ROOT.key, hashes.SHA256())
    )
    weak = Authority((own,), WEAK_RSA, ROOT.certificate)
    assert differences(GOOD.changed(signer=weak)) == (
        'chain: the key of the CA "CN=Weak" is too weak: RSA keys of 1024 bits are not accepted: use 2048 to 8192',
    )


def test_a_sha1_signature_is_refused(tmp_path: Path) -> None:
    ca = authority("RSA CA", parent=ROOT, parameters=RSA)
    (tmp_path / "ca.pem").write_bytes(pem(ca.certificate))
    (tmp_path / "ca.key").write_bytes(private_key_pem(ca.key))
    made = openssl(
        *("x509", "-req", "-sha1", "-days", "30000", "-copy_extensions", "copyall"),
        *("-CA", tmp_path / "ca.pem", "-CAkey", tmp_path / "ca.key"),
        stdin=pem(ASKED.csr),
    )
    [leaf] = load_bundle(made[made.index("-----BEGIN") :].encode())
    with pytest.raises(Mismatch) as caught:
        verify(build_chain(ASKED.csr, [leaf, *ca.certificates]), ASKED.csr, LEAF, now=NOW, roots=[ROOT.certificate])
    assert caught.value.differences == ("signature: the certificate is signed with SHA1, which is broken",)


@pytest.mark.parametrize("key", [WEAK_RSA, ec.generate_private_key(ec.SECP192R1())], ids=["RSA of 1024 bits", "P-192"])
def test_a_request_with_a_weak_key_is_never_satisfied(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> None:
    csr = x509.CertificateSigningRequestBuilder(ASKED.csr.subject).sign(key, hashes.SHA256())
    with pytest.raises(PkiError, match="are not accepted"):
        check(GOOD.changed(public_key=key.public_key(), names=()), Request(ASKED.key, csr, Profile()))


def test_a_limit_on_the_end_is_kept() -> None:
    check(GOOD, not_after_limit=NOW + 90 * DAY)
    assert differences(GOOD, not_after_limit=NOW + 89 * DAY) == (
        "validity: it ends at 2041-08-02T12:00:00Z, later than the latest allowed, 2041-08-01T12:00:00Z",
    )


def test_a_certificate_that_ends_too_soon_is_refused() -> None:
    soon = GOOD.changed(end=NOW + timedelta(seconds=30))
    check(soon)
    assert differences(soon, minimum_lifetime=timedelta(minutes=1)) == (
        "validity: it ends at 2041-05-04T12:00:30Z, less than 0:01:00 from now",
    )


def test_a_clock_that_runs_ahead_a_little_is_forgiven() -> None:
    ahead = GOOD.changed(start=NOW + timedelta(minutes=4))
    check(ahead)
    assert differences(ahead, rules=Rules(clock_skew=timedelta(minutes=1))) == (
        "validity: it begins only at 2041-05-04T12:04:00Z",
    )


def test_host_names_may_come_back_in_another_case_and_order() -> None:
    check(GOOD.changed(names=(*reversed(GOOD.names[1:]), x509.DNSName("WWW.Example.COM"))))


def test_a_common_name_may_come_back_as_an_alternative_name() -> None:
    asked = request(Names(common_name="www.example.com", dns_names=("example.com",)), LEAF, RSA)
    answer = GOOD.changed(
        subject=asked.csr.subject, names=(x509.DNSName("example.com"), x509.DNSName("www.example.com"))
    )
    check(answer, asked)


def test_many_differences_are_counted_not_listed() -> None:
    added = tuple(x509.DNSName(f"{index}.example.org") for index in range(500))
    found = differences(GOOD.changed(names=(*GOOD.names, *added)))
    assert len(found) == 11
    assert found[-1] == "and 490 more such names"


def test_what_a_ca_writes_reaches_the_user_on_one_line() -> None:
    evil = "x\nReady: True\u202e" + "y" * 1000
    name = x509.Name([*GOOD.subject, x509.NameAttribute(NameOID.ORGANIZATION_NAME, evil)])
    [difference] = differences(GOOD.changed(subject=name))
    assert difference.isprintable()
    assert len(difference) < 200


def test_a_domain_validating_ca_may_strip_the_subject_and_no_more() -> None:
    rules = Rules(subject=SubjectRule.SUBSET)
    check(GOOD.changed(subject=x509.Name([])), rules=rules)
    san_as_cn = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "example.com")])
    check(GOOD.changed(subject=san_as_cn), rules=rules)
    for oid, value, words in (
        (NameOID.COMMON_NAME, "other.example", 'subject: "CN=other.example" was not asked for'),
        (NameOID.ORGANIZATION_NAME, "Other Ltd", 'subject: "O=Other Ltd" was not asked for'),
    ):
        changed = GOOD.changed(subject=x509.Name([x509.NameAttribute(oid, value)]))
        assert differences(changed, rules=rules) == (words,)


def test_an_organization_validating_ca_writes_what_it_validated_but_no_other_name() -> None:
    rules = Rules(subject=SubjectRule.CA_DECIDES)
    validated = x509.Name(
        [
            x509.NameAttribute(NameOID.JURISDICTION_COUNTRY_NAME, "DE"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example Limited"),
            x509.NameAttribute(NameOID.COMMON_NAME, "www.example.com"),
        ]
    )
    check(GOOD.changed(subject=validated), rules=rules)
    other = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "other.example")])
    assert differences(GOOD.changed(subject=other), rules=rules) == ('subject: "CN=other.example" was not asked for',)


def test_a_ca_may_add_the_usages_of_its_template_where_the_rules_say_so() -> None:
    answer = GOOD.changed(
        usage=SIGNING | {"key_agreement": True},
        extended=(ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH),
    )
    check(answer, rules=Rules(added_usages=TLS_USAGES))
    assert differences(answer) == (
        'usages: "client auth" was not asked for',
        'usages: "key agreement" was not asked for',
    )


def test_with_no_usages_asked_for_the_ca_chooses_but_makes_no_ca_and_nothing_useless() -> None:
    asked = request(NAMES, Profile(), RSA)
    check(GOOD.changed(extended=(ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)), asked)
    check(GOOD.changed(usage=None, extended=()), asked)
    assert differences(GOOD.changed(usage=SIGNING | {"digital_signature": False}), asked) == (
        'usages: "digital signature" is missing',
    )
    assert differences(GOOD.changed(usage=SIGNING | {"key_cert_sign": True}), asked) == (
        'usages: "cert sign" was not asked for',
    )


def test_what_the_key_cannot_do_is_not_missed() -> None:
    asked = request(NAMES, LEAF)  # "key encipherment", for an ECDSA key
    check(GOOD.changed(public_key=asked.csr.public_key(), usage=SIGNING | {"key_encipherment": False}), asked)


SUB_CA = Profile(
    is_ca=True,
    path_length=0,
    name_constraints=NameConstraints(permitted=Subtrees(dns_domains=("example.com", "example.org"))),
    extensions=(CustomExtension("1.2.3.4", b"\x05\x00", critical=True),),
)


def sub_ca(**changes: Any) -> x509.Certificate:
    """The answer to a request for SUB_CA, with other values of its profile."""
    profile = dataclasses.replace(SUB_CA, **changes)
    asked = request(Names(common_name="Sub CA"), profile)
    return issue(ROOT, asked).leaf


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"path_length": 1}, ("path length: it is 1, 0 was asked for",)),
        ({"path_length": None}, ("path length: it is no limit, 0 was asked for",)),
        ({"name_constraints": None}, ("name constraints: it is missing",)),
        (
            {"name_constraints": NameConstraints(permitted=Subtrees(dns_domains=("example.com",)))},
            ("name constraints: its value is not the one that was asked for",),
        ),
        ({"extensions": ()}, ("extension 1.2.3.4: it is missing",)),
        (
            {"extensions": (CustomExtension("1.2.3.4", b"\x0c\x00", critical=True),)},
            ("extension 1.2.3.4: its value is not the one that was asked for",),
        ),
        (
            {"extensions": (CustomExtension("1.2.3.4", b"\x05\x00"),)},
            ("extension 1.2.3.4: it is not critical, against the request",),
        ),
        (
            {"is_ca": False, "path_length": None, "name_constraints": None},
            (
                'usages: "cert sign" is missing',
                "CA bit: it is not a CA certificate",
                "name constraints: it is missing",
            ),
        ),
    ],
    ids=str,
)
def test_a_ca_certificate_that_differs_is_refused(changes: dict[str, Any], words: tuple[str, ...]) -> None:
    asked = request(Names(common_name="Sub CA"), SUB_CA)
    with pytest.raises(Mismatch) as caught:
        verify(Chain(sub_ca(**changes), (), ROOT.certificate), asked.csr, SUB_CA, now=NOW, roots=[ROOT.certificate])
    assert caught.value.differences == words


def test_a_ca_certificate_as_asked_for_is_accepted() -> None:
    reordered = NameConstraints(permitted=Subtrees(dns_domains=("example.org", "example.com")))
    for changes in ({}, {"name_constraints": reordered}):
        asked = request(Names(common_name="Sub CA"), SUB_CA)
        verify(Chain(sub_ca(**changes), (), ROOT.certificate), asked.csr, SUB_CA, now=NOW, roots=[ROOT.certificate])


@pytest.mark.parametrize("signs_crls", [True, False])
def test_a_sub_ca_as_other_cas_make_them_is_accepted(signs_crls: bool) -> None:
    """For lack of usages in the request, and with a path length of the CA's own."""
    profile = Profile(is_ca=True)
    asked = request(Names(common_name="Sub CA"), profile)
    usage = dict.fromkeys(SIGNING, False) | {"key_cert_sign": True, "crl_sign": signs_crls}
    answer = Answer(
        subject=asked.csr.subject,
        public_key=asked.csr.public_key(),
        names=(),
        usage=usage,
        extended=(),
        basic=x509.BasicConstraints(True, 0),
        signer=ROOT,
    )
    check(answer, asked)
    named = Request(asked.key, asked.csr, Profile(is_ca=True, usages=("cert sign",)))
    check(answer, named)
    assert differences(answer.changed(usage=usage | {"key_cert_sign": False, "digital_signature": True}), named) == (
        'usages: "cert sign" is missing',
        'usages: "digital signature" was not asked for',
    )


def test_must_staple_that_was_left_out_is_missed() -> None:
    profile = dataclasses.replace(LEAF, must_staple=True)
    asked = request(NAMES, profile, RSA)
    check(GOOD.changed(more=(extension(x509.TLSFeature([x509.TLSFeatureType.status_request])),)), asked)
    assert differences(GOOD, asked) == ("must-staple: it is missing",)
