"""How the operator logs in to OpenBao, and what becomes of tokens that end."""

from collections.abc import Mapping
from typing import Any

import pytest

from csr_operator.plugin.backend import Issued
from csr_operator.plugin.errors import BackendError, Misconfigured, SecretNotFound
from csr_operator.plugin.testing import order
from tests.backends.vault.conftest import Site
from tests.support.authorities import authority

pytestmark = pytest.mark.slow("starts OpenBao")

APP_ROLE: Mapping[str, Any] = {"appRole": {"secretName": "login"}}


def put_app_role(site: Site, role: str = "operator") -> None:
    role_id = site.bao.read(f"auth/approle/role/{role}/role-id")["role_id"]
    secret_id = site.bao.write(f"auth/approle/role/{role}/secret-id")["secret_id"]
    site.world.secrets["login"] = {"roleID": role_id.encode(), "secretID": secret_id.encode() + b"\n"}


async def test_by_app_role_it_logs_in_once_for_many_certificates(site: Site) -> None:
    put_app_role(site)
    backend, before = site.backend(auth=APP_ROLE), site.bao.tokens()
    for _ in range(5):
        assert isinstance(await backend.submit(order()), Issued)
    assert len(site.bao.tokens() - before) == 1


async def test_a_token_that_ends_early_is_replaced_by_another_login(site: Site) -> None:
    put_app_role(site)
    backend, before = site.backend(auth=APP_ROLE), site.bao.tokens()
    await backend.submit(order())
    for accessor in site.bao.tokens() - before:
        site.bao.write("auth/token/revoke-accessor", accessor=accessor)
    assert isinstance(await backend.submit(order()), Issued)


async def test_a_token_is_replaced_before_it_ends(site: Site) -> None:
    put_app_role(site)
    backend, before = site.backend(auth=APP_ROLE), site.bao.tokens()
    await backend.submit(order())
    site.clock.advance(minutes=50)
    await backend.submit(order())
    assert len(site.bao.tokens() - before) == 2


async def test_credentials_that_are_exchanged_count_at_once(site: Site) -> None:
    put_app_role(site)
    backend = site.backend(auth=APP_ROLE)
    await backend.submit(order())
    site.world.secrets["login"] = {**site.world.secrets["login"], "secretID": b"7" * 36}
    with pytest.raises(Misconfigured) as refused:
        await backend.submit(order())
    assert "Vault refuses the login at auth/approle with Secret login" in str(refused.value)
    assert "7" * 36 not in str(refused.value)


async def test_by_a_client_certificate(site: Site) -> None:
    pair, other = authority("operator", is_ca=False), authority("somebody else", is_ca=False)
    site.bao.write("sys/auth/cert", type="cert")
    site.bao.write("auth/cert/certs/operator", certificate=pair.certificate, token_policies="signer")
    backend = site.backend(auth={"clientCertificate": {"secretName": "pair", "role": "operator"}})
    site.world.secrets["pair"] = {"tls.crt": pair.certificate.encode(), "tls.key": pair.key.encode()}
    assert isinstance(await backend.submit(order()), Issued)
    site.world.secrets["pair"] = {"tls.crt": other.certificate.encode(), "tls.key": other.key.encode()}
    with pytest.raises(Misconfigured, match=r"Vault refuses the login at auth/cert with Secret pair"):
        await backend.submit(order())


async def test_in_a_namespace(site: Site) -> None:
    site.bao.write("sys/namespaces/team")
    with pytest.raises(BackendError, match=r"in this namespace of Vault"):
        await site.backend(namespace="team").check()
    with pytest.raises(Misconfigured, match=r"namespace not found: check spec.vault.namespace"):
        await site.backend(namespace="nobody").check()


@pytest.mark.parametrize("token", ["wrong", "s.000000000000000000000000"])
async def test_a_token_that_is_not_valid_is_told_and_not_shown(site: Site, token: str) -> None:
    site.world.secrets["vault"] = {"token": token.encode()}
    for call in (site.backend().check(), site.backend().submit(order())):
        with pytest.raises(Misconfigured) as refused:
            await call
        assert "permission denied" in str(refused.value)
        assert token not in str(refused.value)


async def test_a_token_that_may_not_sign_is_told_which_policy_it_needs(site: Site) -> None:
    token = site.bao.auth("auth/token/create", policies=["default"])["client_token"]
    site.world.secrets["vault"] = {"token": token.encode()}
    with pytest.raises(Misconfigured) as refused:
        await site.backend().check()
    assert str(refused.value) == (
        'the token may not sign at pki/sign/any: give it a policy with path "pki/sign/any" '
        '{ capabilities = ["update"] }'
    )


async def test_a_secret_that_is_missing_or_empty_is_told(site: Site) -> None:
    del site.world.secrets["vault"]
    with pytest.raises(SecretNotFound, match=r"named in spec.vault.auth.token.secretName, does not exist"):
        await site.backend().check()
    site.world.secrets["vault"] = {"token": b" \n"}
    with pytest.raises(Misconfigured, match=r"token is empty: put the token there"):
        await site.backend().check()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"auth": {"jwt": {"secretName": "x"}}}, "spec.vault.auth.jwt.role: name the role to log in with"),
        ({"auth": {"jwt": {"role": "x"}}}, "spec.vault.auth.jwt.secretName: it is missing"),
        ({"auth": {"token": {"secretName": "x"}, **APP_ROLE}}, "spec.vault.auth: set one of token, appRole"),
        ({"path": "pki/issue/any"}, "spec.vault.path: write where the PKI secrets engine signs"),
        ({"path": "pki/../sign/any"}, "spec.vault.path: write where the PKI secrets engine signs"),
        ({"server": ""}, "spec.vault.server: it is missing"),
        ({"caBundle": "MIIB"}, "spec.vault.caBundle: holds no CA certificates"),
    ],
)
async def test_what_no_definition_checked_is_told_with_its_field(
    site: Site, changed: dict[str, Any], told: str
) -> None:
    with pytest.raises(Misconfigured) as refused:
        site.backend(**changed)
    assert str(refused.value).startswith(told)
