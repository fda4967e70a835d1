"""What OpenBao signs, refuses and revokes for an issuer of `spec.vault`."""

import ipaddress
from datetime import timedelta

import pytest
from cryptography import x509

from csr_operator.pki.csr import CsrTemplate, build_csr
from csr_operator.pki.keys import KeyAlgorithm, KeyParameters, generate
from csr_operator.pki.names import Names
from csr_operator.pki.profile import Profile
from csr_operator.plugin.backend import Issued, Order
from csr_operator.plugin.errors import Misconfigured, Rejected
from csr_operator.plugin.testing import order
from tests.backends.vault.conftest import Site

pytestmark = pytest.mark.slow("starts OpenBao")


async def issued(site: Site, asked: Order, path: str = "pki/sign/any") -> Issued:
    answer = await site.backend(path).submit(asked)
    assert isinstance(answer, Issued)
    return answer


@pytest.mark.parametrize("path", ["pki/sign/any", "pki/issuer/default/sign/any", "pki/sign-verbatim", "/pki/sign/any/"])
async def test_it_signs_at_each_of_its_paths(site: Site, path: str) -> None:
    asked = order("www.example.com", "*.example.org")
    answer = await issued(site, asked, path)
    leaf = answer.certificates[0]
    assert leaf.public_key() == asked.csr.public_key()
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["www.example.com", "*.example.org"]
    assert [root.subject.rfc4514_string() for root in answer.roots] == ["CN=OpenBao Root"]
    lasts = leaf.not_valid_after_utc - site.clock()
    assert timedelta(days=90) - timedelta(minutes=5) < lasts < timedelta(days=90) + timedelta(minutes=5)


async def test_a_role_that_does_not_look_at_names_in_a_csr_is_told_of_them(site: Site) -> None:
    wanted = Names(
        dns_names=("www.example.com", "a.example.com"),
        ip_addresses=("192.0.2.7", "2001:db8::7"),
        uris=("https://example.com/x",),
    )
    csr = build_csr(CsrTemplate(wanted, Profile()), generate(KeyParameters(KeyAlgorithm.ECDSA)))
    site.bao.write(
        "pki/roles/told",
        allow_any_name=True,
        key_type="any",
        require_cn=False,
        use_csr_sans=False,
        allowed_uri_sans=["*"],
    )
    answer = await issued(site, order(csr=csr), "pki/sign/told")
    names = answer.certificates[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) == {"www.example.com", "a.example.com"}
    assert {str(address) for address in names.get_values_for_type(x509.IPAddress)} == {"192.0.2.7", "2001:db8::7"}
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["https://example.com/x"]
    assert ipaddress.ip_address("192.0.2.7") in names.get_values_for_type(x509.IPAddress)


@pytest.mark.parametrize(
    ("role", "asked", "told"),
    [
        ({"require_cn": True}, order(), "set spec.commonName, or require_cn=false in Vault's role"),
        ({"key_type": "rsa"}, order(), "choose that algorithm in privateKey, or key_type=any in Vault's role"),
        (
            {"allow_any_name": False, "allowed_domains": "example.com", "allow_subdomains": True},
            order("www.example.net"),
            "ask for names that Vault's role allows, or allow them there",
        ),
        (
            {},
            order(duration=timedelta(days=365 * 40)),
            "ask for a shorter duration, or renew the CA in Vault",
        ),
    ],
    ids=["common name", "key", "name", "duration"],
)
async def test_what_a_role_refuses_is_told_with_a_remedy(
    site: Site, role: dict[str, object], asked: Order, told: str
) -> None:
    least = {"allow_any_name": True, "key_type": "any", "require_cn": False}
    site.bao.write("sys/mounts/pki/tune", max_lease_ttl="876000h")
    site.bao.write("pki/roles/strict", **{**least, **role})
    with pytest.raises(Rejected) as refused:
        await site.backend("pki/sign/strict").submit(asked)
    assert str(refused.value).startswith("Vault says: ")
    assert str(refused.value).endswith(told)


async def test_no_ca_certificate_is_asked_for(site: Site) -> None:
    with pytest.raises(Rejected, match=r"remove isCA, or name another issuer"):
        await site.backend().submit(order(profile=Profile(is_ca=True)))


async def test_a_certificate_is_revoked_by_what_it_is_and_once_more_does_no_harm(site: Site) -> None:
    leaf = (await issued(site, order())).certificates[0]
    for _ in range(2):
        await site.backend().revoke(leaf, x509.ReasonFlags.superseded)
    assert leaf.serial_number in site.bao.revoked()


async def test_a_certificate_of_another_ca_is_not_revoked(site: Site) -> None:
    """Not even if it has the serial number of one of this one's."""
    site.bao.write("sys/mounts/other", type="pki")
    site.bao.write("other/root/generate/internal", common_name="Other Root", key_type="ec", ttl="8760h")
    site.bao.write("other/roles/any", allow_any_name=True, key_type="ec", require_cn=False)
    text = str(site.bao.write("other/issue/any", common_name="www.example.com", ttl="1h")["certificate"])
    stranger = x509.load_pem_x509_certificate(text.encode())
    with pytest.raises(Rejected):
        await site.backend().revoke(stranger, x509.ReasonFlags.superseded)
    assert stranger.serial_number not in site.bao.revoked()


async def test_what_is_missing_is_told_before_anything_is_ordered(site: Site) -> None:
    health = await site.backend().check()
    assert health.message == "issues by the role any, with CN=OpenBao Root"
    assert len(health.fingerprint.replace(":", "")) == 64
    for path, told in (
        ("pki/sign/nobody", "Vault has no role nobody at pki: check the role in spec.vault.path"),
        ("elsewhere/sign/any", 'give it a policy with path "elsewhere/sign/any" { capabilities = ["update"] }'),
    ):
        with pytest.raises(Misconfigured) as problem:
            await site.backend(path).check()
        assert str(problem.value).endswith(told)
