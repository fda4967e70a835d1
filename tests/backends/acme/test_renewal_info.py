"""The CA has a say in when its certificates are renewed (ARI, RFC 9773)."""

import base64
from datetime import timedelta

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from csr_acme import AcmeClient
from csr_acme.client import renewal_id
from tests.support.acme_scene import HTTP, Scene, names
from tests.support.kubectl import wait_until
from tests.support.manifests import request
from tests.support.site import REQUEST, moment


async def revoke(scene: Scene, session: aiohttp.ClientSession, issuer: str, certificate: x509.Certificate) -> None:
    """As somebody who has the account's key may, past the operator."""
    pem = base64.b64decode(scene.kubectl.get("secret", f"{issuer}-account")["data"]["tls.key"])
    key = load_pem_private_key(pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    client = AcmeClient(session, scene.pebble.directory, key)
    await client.new_account(only_existing=True)
    await client.revoke(certificate, reason=4)


async def test_what_is_revoked_at_the_ca_is_replaced(scene: Scene, scene_session: aiohttp.ClientSession) -> None:
    scene.proxy.overrides["renewal information"] = {"Retry-After": "1"}  # a minute is waited at least
    scene.issuer("ari", HTTP, directory=scene.proxy.directory)
    scene.kubectl.apply(request("ari", "ari"))
    leaf = scene.ready("ari")
    status = scene.site.status("ari")
    # Pebble suggests a few days around two thirds of a certificate's life.
    life = leaf.not_valid_after_utc - leaf.not_valid_before_utc
    renewal = moment(status["renewalTime"])
    assert abs(renewal - (leaf.not_valid_before_utc + life * 2 / 3)) < timedelta(days=4)

    await revoke(scene, scene_session, "ari", leaf)

    wait_until("another revision is there", lambda: scene.site.status("ari").get("revision") == 2, seconds=150)
    scene.ready("ari")
    assert scene.proxy.replaced == [renewal_id(leaf)]


async def test_a_certificate_that_was_replaced_already_is_renewed_all_the_same(scene: Scene) -> None:
    scene.issuer("twice", HTTP, directory=scene.proxy.directory)
    scene.kubectl.apply(request("twice", "twice"))
    leaf = scene.ready("twice")
    scene.proxy.refuse("new order", 409, "alreadyReplaced")

    scene.kubectl("annotate", REQUEST, "twice", "csr-operator.dev/renew=now")

    wait_until("another revision is there", lambda: scene.site.status("twice").get("revision") == 2)
    assert scene.leaf("twice") != leaf


async def test_all_names_of_a_request_may_be_changed(scene: Scene) -> None:
    """The new order has no name of the certificate that it is to replace, which Pebble refuses by a 500."""
    scene.issuer("moved", HTTP, directory=scene.proxy.directory)
    scene.kubectl.apply(request("moved", "moved", dnsNames=["moved-from.example.com"]))
    leaf = scene.ready("moved")

    scene.kubectl.apply(request("moved", "moved", dnsNames=["moved-to.example.com"]))

    wait_until("another revision is there", lambda: scene.site.status("moved").get("revision") == 2)
    assert names(scene.leaf("moved")) == {"moved-to.example.com"}
    assert renewal_id(leaf) not in scene.proxy.replaced


async def test_a_ca_that_is_overloaded_is_asked_once_and_then_told_what_is_replaced(scene: Scene) -> None:
    scene.issuer("full", HTTP, directory=scene.proxy.directory)
    scene.kubectl.apply(request("full", "full"))
    leaf = scene.ready("full")
    scene.proxy.refuse("new order", 503, "serverInternal", Retry_After="1")

    scene.kubectl("annotate", REQUEST, "full", "csr-operator.dev/renew=now")

    wait_until("another revision is there", lambda: scene.site.status("full").get("revision") == 2)
    assert renewal_id(leaf) in scene.proxy.replaced


async def test_a_window_that_was_stored_is_kept_over_a_restart(scene: Scene) -> None:
    scene.issuer("kept", HTTP)
    scene.kubectl.apply(request("kept", "kept"))
    scene.ready("kept")
    before = scene.kubectl.get(REQUEST, "kept")

    scene.site.operator.stop()
    scene.site.operator.start()
    scene.site.settle()

    assert scene.kubectl.get(REQUEST, "kept") == before


async def test_where_the_user_wants_it_earlier_it_is(scene: Scene) -> None:
    scene.issuer("early", HTTP)
    scene.kubectl.apply(request("early", "early", renewBeforePercentage=90))
    leaf = scene.ready("early")

    renewal = moment(scene.site.status("early")["renewalTime"])
    # A life begins when the certificate is stored, which is a moment after the CA says.
    stored = moment(scene.kubectl.get("secret", "early-tls")["metadata"]["annotations"]["csr-operator.dev/stored-at"])
    start = max(leaf.not_valid_before_utc, stored)
    assert renewal <= start + (leaf.not_valid_after_utc - start) / 10


async def test_an_issuer_may_ignore_it(scene: Scene) -> None:
    scene.issuer("deaf-issuer", HTTP, renewalInfo="Ignore")
    scene.kubectl.apply(request("deaf-issuer", "deaf-issuer"))
    scene.ready("deaf-issuer")

    annotations = scene.kubectl.get("secret", "deaf-issuer-tls")["metadata"]["annotations"]
    assert "csr-operator.dev/renewal-window" not in annotations
