"""Usages and other extensions: what follows from the profile and the key, and what contradicts itself."""

from collections.abc import Callable

import pytest
from cryptography import x509

from csr_operator.pki.errors import PkiError
from csr_operator.pki.keys import KeyAlgorithm
from csr_operator.pki.profile import CustomExtension, NameConstraints, Profile, Subtrees, requested_extensions
from csr_operator.pki.usages import EXTENDED_KEY_USAGES, KEY_USAGES, extended_name, usage_names

# The enumeration of cert-manager's API.
CERT_MANAGER = """signing, digital signature, content commitment, key encipherment, key agreement, data encipherment,
cert sign, crl sign, encipher only, decipher only, any, server auth, client auth, code signing, email protection,
s/mime, ipsec end system, ipsec tunnel, ipsec user, timestamping, ocsp signing, microsoft sgc, netscape sgc"""
EVERY_NAME = [one.strip() for one in CERT_MANAGER.replace("\n", " ").split(",")]
EVERY_KEY_USAGE = tuple(one for one in KEY_USAGES if one != "cert sign")


def written(profile: Profile, algorithm: KeyAlgorithm = KeyAlgorithm.RSA) -> dict[str, tuple[str, ...]]:
    """The usages that stand in the extensions, by name."""
    result = {}
    for value, critical in requested_extensions(profile, (), algorithm):
        if isinstance(value, x509.KeyUsage):
            assert critical
            result["key usage"] = tuple(one for one in KEY_USAGES if one in usage_names(value))
        elif isinstance(value, x509.ExtendedKeyUsage):
            result["extended"] = tuple(extended_name(oid) for oid in value)
    return result


def test_all_23_names_are_known() -> None:
    assert len(EVERY_NAME) == 23
    assert {"signing", "s/mime", *KEY_USAGES, *EXTENDED_KEY_USAGES} == set(EVERY_NAME)
    Profile(usages=tuple(EVERY_NAME), is_ca=True)


@pytest.mark.parametrize(
    ("usages", "expected"),
    [
        ((), {"key usage": ("digital signature", "key encipherment")}),
        (("signing",), {"key usage": ("digital signature",)}),
        (("digital signature", "signing"), {"key usage": ("digital signature",)}),
        (("server auth", "client auth"), {"extended": ("server auth", "client auth")}),
        (("client auth", "server auth"), {"extended": ("client auth", "server auth")}),
        (("s/mime", "email protection"), {"extended": ("email protection",)}),
        (("1.2.3.4",), {"extended": ("1.2.3.4",)}),
        (("1.3.6.1.5.5.7.3.1", "server auth"), {"extended": ("server auth",)}),
        (("any", "digital signature"), {"key usage": ("digital signature",), "extended": ("any",)}),
    ],
)
def test_usages_stand_in_their_extensions(usages: tuple[str, ...], expected: dict[str, tuple[str, ...]]) -> None:
    assert written(Profile(usages=usages)) == expected


@pytest.mark.parametrize(
    ("algorithm", "possible"),
    [
        (KeyAlgorithm.RSA, "digital signature, content commitment, key encipherment, data encipherment, crl sign"),
        (
            KeyAlgorithm.ECDSA,
            "digital signature, content commitment, key agreement, crl sign, encipher only, decipher only",
        ),
        (KeyAlgorithm.ED25519, "digital signature, content commitment, crl sign"),
        (KeyAlgorithm.ML_DSA_65, "digital signature, content commitment, crl sign"),
    ],
)
def test_what_a_key_cannot_do_is_left_out(algorithm: KeyAlgorithm, possible: str) -> None:
    """RFC 3279, RFC 5480 with RFC 8813, RFC 8410 with RFC 9295, and RFC 9881."""
    assert written(Profile(usages=EVERY_KEY_USAGE), algorithm)["key usage"] == tuple(possible.split(", "))


def test_a_usage_that_is_not_possible_at_all_is_refused() -> None:
    with pytest.raises(PkiError) as refused:
        written(Profile(usages=("key encipherment",)), KeyAlgorithm.ECDSA)
    cannot = "usages: an ECDSA key cannot be used for key encipherment"
    assert str(refused.value) == f"{cannot}: ask for digital signature, or privateKey.algorithm: RSA"


def test_a_ca_signs_certificates_and_crls_whatever_was_asked_for() -> None:
    assert written(Profile(is_ca=True)) == {"key usage": ("digital signature", "cert sign", "crl sign")}
    assert written(Profile(is_ca=True, usages=("server auth",))) == {
        "key usage": ("cert sign", "crl sign"),
        "extended": ("server auth",),
    }


def test_a_time_stamping_authority_has_a_critical_extended_usage() -> None:
    [(_, critical)] = requested_extensions(Profile(usages=("timestamping",)), (), KeyAlgorithm.RSA)
    assert critical
    [(_, critical)] = requested_extensions(Profile(usages=("timestamping", "any")), (), KeyAlgorithm.RSA)
    assert not critical


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Profile(usages=("serverauth",)), 'usages: "serverauth" is unknown: use a dotted object identifier or'),
        (lambda: Profile(usages=("cert sign",)), 'usages: "cert sign" is for CAs only .*: set isCA'),
        (lambda: Profile(usages=("key agreement", "decipher only", "encipher only", "x")), "is unknown"),
        (lambda: Profile(usages=("encipher only",)), 'need "key agreement"'),
        (lambda: Profile(path_length=0), "a path length is for CAs only: set isCA"),
        (lambda: Profile(is_ca=True, path_length=-1), "a path length is 0 to 255, or left out"),
        (lambda: Profile(name_constraints=NameConstraints()), "nameConstraints are for CAs only .*: set isCA"),
        (lambda: CustomExtension("hello", b"\x05\x00"), "extensions: .* is not a dotted object identifier"),
        (lambda: CustomExtension("1.2.3", b""), "extensions: the value of 1.2.3 is not a DER value: it is cut short"),
        (lambda: CustomExtension("1.2.3", b"\x0c\x05hell"), "extensions: the value of 1.2.3 is not exactly one DER"),
        (lambda: CustomExtension("1.2.3", b"\x05\x00\x05\x00"), "not exactly one DER value"),
        (lambda: CustomExtension("1.2.3", b"\x30\x80\x00\x00"), "not exactly one DER value"),
        (lambda: CustomExtension("2.5.29.17", b"\x05\x00"), "2.5.29.17 cannot be set here: give the names in dnsNames"),
        (lambda: CustomExtension("2.5.29.15", b"\x05\x00"), "2.5.29.15 cannot be set here: use usages"),
        (lambda: CustomExtension("2.5.29.19", b"\x05\x00"), "2.5.29.19 cannot be set here: use isCA"),
        (lambda: CustomExtension("2.5.29.35", b"\x05\x00"), "2.5.29.35 cannot be set here: the CA writes it"),
        (
            lambda: Profile(extensions=(CustomExtension("1.2.3", b"\x05\x00"), CustomExtension("1.2.3", b"\x05\x00"))),
            "extensions: the same object identifier is there twice",
        ),
    ],
)
def test_a_profile_that_contradicts_itself_is_refused(make: Callable[[], object], words: str) -> None:
    with pytest.raises(PkiError, match=words):
        make()


@pytest.mark.parametrize(
    ("permitted", "words"),
    [
        (Subtrees(), "nameConstraints: nothing is permitted or excluded"),
        (Subtrees(dns_domains=(".example.com",)), "leave out the first dot"),
        (Subtrees(dns_domains=("*.example.com",)), "leave out the wildcard"),
        (Subtrees(dns_domains=("exam ple.com",)), "nameConstraints: .* has white space"),
        (Subtrees(ip_ranges=("10.0.0.1/8",)), "not an IP range in CIDR notation: write it as 10.0.0.0/8"),
        (Subtrees(ip_ranges=("10.0.0.0-10.0.0.9",)), "not an IP range in CIDR notation"),
        (Subtrees(email_addresses=("a b@example.com",)), "nameConstraints: .* has no valid local part"),
        (Subtrees(uri_domains=("https://example.com",)), "nameConstraints: .* has the label"),
    ],
)
def test_name_constraints_that_mean_nothing_are_refused(permitted: Subtrees, words: str) -> None:
    profile = Profile(is_ca=True, name_constraints=NameConstraints(permitted=permitted))
    with pytest.raises(PkiError, match=words):
        requested_extensions(profile, (), KeyAlgorithm.RSA)


def test_name_constraints_take_u_labels_and_single_addresses() -> None:
    limits = NameConstraints(
        permitted=Subtrees(dns_domains=("bücher.example",), ip_ranges=("192.0.2.1",), uri_domains=(".bücher.example",)),
        critical=False,
    )
    extensions = requested_extensions(Profile(is_ca=True, name_constraints=limits), (), KeyAlgorithm.RSA)
    [(value, critical)] = [(v, c) for v, c in extensions if isinstance(v, x509.NameConstraints)]
    assert not critical
    assert isinstance(value, x509.NameConstraints)
    assert [str(one.value) for one in value.permitted_subtrees or ()] == [
        "xn--bcher-kva.example",
        "192.0.2.1/32",
        ".xn--bcher-kva.example",
    ]
