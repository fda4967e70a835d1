"""The account of an ACME issuer, as its user sees and changes it."""

import base64
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from csr_operator.api.names import CREDENTIAL_TYPE
from csr_operator.backends.acme import AcmeBackend
from csr_operator.plugin.errors import Misconfigured, Retryable
from csr_operator.plugin.http import http_session
from csr_operator.plugin.testing import World
from devcluster import ControlPlane
from tests.support.acme_scene import HTTP, Scene, running_scene
from tests.support.kubectl import condition, wait_until
from tests.support.manifests import request
from tests.support.pebble import EXTERNAL_KEY, EXTERNAL_KEY_ID
from tests.support.site import base64_text


def account_url(scene: Scene, issuer: str) -> str:
    return str(condition(scene.kubectl.get("issuer", issuer), "Ready")["message"]).removeprefix("has the account ")


def key_of(scene: Scene, secret: str) -> bytes:
    return base64.b64decode(scene.kubectl.get("secret", secret)["data"]["tls.key"])


def secret(name: str, **data: str) -> dict[str, Any]:
    encoded = {key.replace("_", "."): base64_text(value) for key, value in data.items()}
    metadata = {"name": name}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": CREDENTIAL_TYPE, "data": encoded}


def own_key() -> str:
    key = ec.generate_private_key(ec.SECP384R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def test_issuers_that_name_the_same_secret_share_the_account(scene: Scene) -> None:
    scene.issuer("first", HTTP)
    # It was written for the first alone.
    scene.kubectl("label", "secret", "first-account", "csr-operator.dev/allow-credential=true")
    scene.issuer("second", HTTP, privateKeySecretRef={"name": "first-account"})

    assert account_url(scene, "first") == account_url(scene, "second")
    scene.kubectl.apply(request("shared", "second"))
    scene.ready("shared")


class SharedWorld(World):
    """Another issuer makes the Secret while this one is about to."""

    async def write_secret(self, name: str, change: Callable[[Mapping[str, bytes]], Mapping[str, bytes]]) -> None:
        self.secrets[name] = {"tls.key": own_key().encode()}
        raise Misconfigured(f"Secret {name} is not the issuer's to write")


async def test_of_issuers_that_make_a_shared_account_at_once_one_takes_the_key_of_the_other() -> None:
    async with http_session() as session:
        shared = SharedWorld(session)
        config = {"server": "https://127.0.0.1:1/directory", "privateKeySecretRef": {"name": "account"}}
        backend = shared.make(AcmeBackend, config)
        with pytest.raises(Retryable, match=r"127\.0\.0\.1"):  # it gets as far as asking the CA
            await backend.check()


def test_without_agreement_the_terms_are_named(scene: Scene) -> None:
    scene.apply_issuer("undecided", HTTP, termsOfServiceAgreed=False)

    message = scene.site.wait_condition("undecided", "Ready", "Misconfigured", "issuer")["message"]
    assert message == (
        "127.0.0.1 has terms of service: read data:text/plain,Do%20what%20thou%20wilt and, if you agree, set "
        "spec.acme.termsOfServiceAgreed to true"
    )

    scene.issuer("undecided", HTTP)


def test_a_key_of_ones_own_is_taken_as_it_is(scene: Scene) -> None:
    scene.kubectl.apply(secret("brought", tls_key=own_key()))
    scene.issuer("brought", HTTP, privateKeySecretRef={"name": "brought"})
    url = account_url(scene, "brought")

    scene.issuer("again", HTTP, privateKeySecretRef={"name": "brought"}, disableAccountKeyGeneration=True)
    assert account_url(scene, "again") == url


def test_no_key_is_made_and_no_account_where_that_is_forbidden(scene: Scene) -> None:
    scene.apply_issuer("strict", HTTP, disableAccountKeyGeneration=True)

    message = scene.site.wait_condition("strict", "Ready", "SecretNotFound", "issuer")["message"]
    where = f"Secret {scene.kubectl.namespace}/strict-account"
    assert message.startswith(f"{where}, named in spec.acme.privateKeySecretRef, has no tls.key: put the")

    scene.kubectl.apply(secret("strict-account", tls_key=own_key()))

    def told() -> bool:
        ready = condition(scene.kubectl.get("issuer", "strict"), "Ready")
        return "accountDoesNotExist" in ready["message"]

    wait_until("the missing account is told of", told)


def test_a_key_that_is_none_is_told_without_being_shown(scene: Scene) -> None:
    scene.kubectl.apply(secret("garbage-account", tls_key="c2VjcmV0LWdhcmJhZ2U"))
    scene.apply_issuer("garbage", HTTP)

    message = scene.site.wait_condition("garbage", "Ready", "Misconfigured", "issuer")["message"]
    assert message.startswith(f"Secret {scene.kubectl.namespace}/garbage-account: tls.key: ")
    assert "c2VjcmV0" not in message


def test_the_key_is_replaced_on_demand_and_the_account_stays(scene: Scene) -> None:
    scene.issuer("rolling", HTTP)
    url, before = account_url(scene, "rolling"), key_of(scene, "rolling-account")

    scene.apply_issuer("rolling", HTTP, privateKeyRotation="2026-11")

    wait_until("the key is another", lambda: key_of(scene, "rolling-account") != before)
    after = key_of(scene, "rolling-account")
    scene.kubectl.apply(request("rolled", "rolling"))
    scene.ready("rolled")
    assert account_url(scene, "rolling") == url
    assert key_of(scene, "rolling-account") == after
    assert "next.key" not in scene.kubectl.get("secret", "rolling-account")["data"]


def test_a_rollover_that_a_crash_interrupted_is_finished(scene: Scene) -> None:
    scene.issuer("crashing", HTTP, directory=scene.proxy.directory)
    url = account_url(scene, "crashing")
    before = key_of(scene, "crashing-account")
    # The CA has the new key, and the operator never hears of it.
    scene.proxy.when("key change", scene.site.operator.kill)
    scene.apply_issuer("crashing", HTTP, directory=scene.proxy.directory, privateKeyRotation="now")
    wait_until("the operator was killed", lambda: scene.proxy.seen["key change"])

    scene.site.operator.start()

    wait_until("the key is another", lambda: key_of(scene, "crashing-account") != before)
    scene.kubectl.apply(request("survivor", "crashing"))
    scene.ready("survivor")
    assert account_url(scene, "crashing") == url


def test_a_deactivated_account_is_told_and_another_one_is_made_by_another_secret(scene: Scene) -> None:
    scene.issuer("leaving", HTTP, email="admin@example.com")
    scene.apply_issuer("leaving", HTTP, email="admin@example.com", deactivateAccount=True)

    scene.site.wait_condition("leaving", "Ready", "Misconfigured", "issuer")
    scene.apply_issuer("leaving", HTTP)

    def told() -> bool:
        return "deactivated" in condition(scene.kubectl.get("issuer", "leaving"), "Ready")["message"]

    wait_until("the deactivation is told of", told)
    scene.issuer("leaving", HTTP, privateKeySecretRef={"name": "other-account"})


@pytest.fixture(scope="module")
def external(
    cluster: ControlPlane, operator_credentials: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("external")
    with running_scene(cluster, operator_credentials, folder, external=True) as running:
        yield running


def test_an_account_is_bound_to_the_customers(external: Scene) -> None:
    external.apply_issuer("bound", HTTP)
    message = external.site.wait_condition("bound", "Ready", "Misconfigured", "issuer")["message"]
    assert "set spec.acme.externalAccountBinding to the key identifier and HMAC key" in message

    binding = {"keyID": EXTERNAL_KEY_ID, "keySecretRef": {"name": "hmac"}}
    external.apply_issuer("bound", HTTP, externalAccountBinding=binding)

    def said(text: str) -> None:
        def told() -> bool:
            return text in condition(external.kubectl.get("issuer", "bound"), "Ready")["message"]

        wait_until(f"the issuer says {text}", told)

    said("does not exist: create it with the HMAC key as secret")
    external.kubectl.apply(secret("hmac", secret="not base64url!"))
    said("secret is not in base64url: put the HMAC key there as the CA gave it")
    external.kubectl.apply(secret("hmac", secret=EXTERNAL_KEY))
    external.kubectl.wait_ready("bound", kind="issuer")
    external.kubectl.apply(request("bound", "bound"))
    external.ready("bound")
