"""A Secret that outlives its request, and who may have it then."""

import json
from typing import Any

import pytest

from tests.support.authorities import opaque
from tests.support.kubectl import condition, wait_until
from tests.support.manifests import issuer, request
from tests.support.openssl import own_csr
from tests.support.site import REQUEST, Site


@pytest.fixture
def left(site: Site, unique_name: str) -> dict[str, Any]:
    """The Secret that the request `unique_name` left behind."""
    site.kubectl.apply(request(unique_name, "ca", deletionPolicy="Retain"))
    site.kubectl.wait_ready(unique_name)
    secret = site.kubectl.get("secret", f"{unique_name}-tls")
    site.kubectl("delete", REQUEST, unique_name)
    # A request that is not to leave anything is deleted later, and its Secret collected: so would be this one.
    other = f"{unique_name}-other"
    site.kubectl.apply(request(other, "ca"))
    site.kubectl.wait_ready(other)
    site.kubectl("delete", REQUEST, other)
    wait_until("the other Secret is collected", lambda: not site.kubectl.get("secret", f"{other}-tls"))
    return secret


def test_a_secret_is_left_and_taken_over_by_a_request_of_the_same_name(
    site: Site, unique_name: str, left: dict[str, Any]
) -> None:
    assert site.kubectl.get("secret", f"{unique_name}-tls") == left

    site.kubectl.apply(request(unique_name, "ca", deletionPolicy="Retain"))

    site.kubectl.wait_ready(unique_name)
    assert site.kubectl.get("secret", f"{unique_name}-tls") == left
    status = site.status(unique_name)
    assert status["serialNumber"] == left["metadata"]["annotations"]["csr-operator.dev/serial-number"]
    assert status["revision"] == 1


def test_a_request_that_retains_nothing_takes_it_over_and_takes_it_along(
    site: Site, unique_name: str, left: dict[str, Any]
) -> None:
    site.kubectl.apply(request(unique_name, "ca"))
    site.kubectl.wait_ready(unique_name)

    def owned() -> bool:
        return bool(site.kubectl.get("secret", f"{unique_name}-tls")["metadata"].get("ownerReferences"))

    wait_until("the Secret is the request's", owned)
    assert site.kubectl.get("secret", f"{unique_name}-tls")["data"] == left["data"]
    site.kubectl("delete", REQUEST, unique_name)
    wait_until("the Secret is collected", lambda: not site.kubectl.get("secret", f"{unique_name}-tls"))


def test_another_spec_under_the_same_name_is_issued_in_place(
    site: Site, unique_name: str, left: dict[str, Any]
) -> None:
    site.kubectl.apply(request(unique_name, "ca", dnsNames=["other.example.com"], deletionPolicy="Retain"))
    site.wait_status(unique_name, revision=2)
    secret = site.kubectl.get("secret", f"{unique_name}-tls")
    assert secret["metadata"]["uid"] == left["metadata"]["uid"]
    assert secret["data"]["tls.crt"] != left["data"]["tls.crt"]


def test_a_request_of_another_name_does_not_get_it(site: Site, unique_name: str, left: dict[str, Any]) -> None:
    site.kubectl.apply(request(f"{unique_name}-2", "ca", secretName=f"{unique_name}-tls", deletionPolicy="Retain"))
    stalled = site.wait_condition(f"{unique_name}-2", "Stalled", "SecretNotOwned")
    assert (
        f"Secret {unique_name}-tls belongs to CertificateRequest {unique_name}, by its deletionPolicy Retain,"
        in stalled["message"]
    )
    assert site.kubectl.get("secret", f"{unique_name}-tls") == left


def test_a_request_without_the_key_cannot_take_over_a_secret_with_one(
    site: Site, unique_name: str, left: dict[str, Any], tmp_path: Any
) -> None:
    """The type of a Secret cannot be changed."""
    site.kubectl.apply(request(unique_name, "ca", request=own_csr(tmp_path, unique_name)))
    stalled = site.wait_condition(unique_name, "Stalled", "SecretConflict")
    assert f"Secret {unique_name}-tls is of type kubernetes.io/tls, where Opaque is needed now" in stalled["message"]
    assert stalled["message"].endswith("delete the Secret")
    assert site.kubectl.get("secret", f"{unique_name}-tls") == left
    site.kubectl("delete", "secret", f"{unique_name}-tls")
    site.kubectl.wait_ready(unique_name, seconds=90)


def _set_policy(site: Site, name: str, policy: str | None, owned: bool) -> dict[str, Any]:
    patch = json.dumps({"spec": {"deletionPolicy": policy}})
    site.kubectl("patch", REQUEST, name, "--type=merge", "-p", patch)

    def probe() -> dict[str, Any] | None:
        secret = site.kubectl.get("secret", f"{name}-tls")
        return secret if bool(secret["metadata"].get("ownerReferences")) == owned else None

    return wait_until("the Secret follows", probe)


def test_the_policy_can_be_changed_while_the_request_lives(site: Site, unique_name: str) -> None:
    site.kubectl.apply(request(unique_name, "ca"))
    site.kubectl.wait_ready(unique_name)
    first = site.kubectl.get("secret", f"{unique_name}-tls")

    retained = _set_policy(site, unique_name, "Retain", owned=False)
    owned = _set_policy(site, unique_name, None, owned=True)
    again = _set_policy(site, unique_name, "Retain", owned=False)

    assert first["data"] == retained["data"] == owned["data"] == again["data"]
    kept_for = [one["metadata"]["annotations"]["csr-operator.dev/retained-for"] for one in (retained, owned, again)]
    assert kept_for == [unique_name, "", unique_name]  # never absent: what a Secret lacked, somebody else could add
    assert owned["metadata"]["ownerReferences"] == first["metadata"]["ownerReferences"]
    assert site.status(unique_name)["revision"] == 1
    site.kubectl("delete", REQUEST, unique_name)
    other = f"{unique_name}-other"
    site.kubectl.apply(request(other, "ca"))
    site.kubectl.wait_ready(other)
    site.kubectl("delete", REQUEST, other)
    wait_until("the other Secret is collected", lambda: not site.kubectl.get("secret", f"{other}-tls"))
    assert site.kubectl.get("secret", f"{unique_name}-tls") == again


def test_a_retained_secret_is_renewed_and_heals_like_any_other(site: Site, unique_name: str) -> None:
    site.kubectl.apply(request(unique_name, "ca", deletionPolicy="Retain"))
    site.kubectl.wait_ready(unique_name)
    site.kubectl("annotate", REQUEST, unique_name, "csr-operator.dev/renew=now")
    site.wait_status(unique_name, revision=2)
    site.kubectl("delete", "secret", f"{unique_name}-tls")
    site.wait_status(unique_name, revision=3)
    assert not site.kubectl.get("secret", f"{unique_name}-tls")["metadata"].get("ownerReferences")


def test_what_waits_for_a_person_leaves_nothing_without_a_secret(site: Site, unique_name: str) -> None:
    site.kubectl.apply(issuer("person", manual={}), request(unique_name, "person", deletionPolicy="Retain"))
    site.wait_condition(unique_name, "Reconciling", "ActionRequired")
    (staged,) = site.kubectl.list("secrets", "-l", "csr-operator.dev/staging=true")
    site.kubectl("delete", REQUEST, unique_name)
    wait_until("the order is collected", lambda: not site.kubectl.get("secret", staged["metadata"]["name"]))


def test_a_forged_annotation_gives_no_secret_away(site: Site, unique_name: str) -> None:
    theirs = opaque(f"{unique_name}-tls", password="theirs")
    theirs["metadata"]["annotations"] = {"csr-operator.dev/retained-for": unique_name}
    theirs["metadata"]["labels"] = {"csr-operator.dev/managed": "true"}
    site.kubectl.apply(theirs)
    before = site.kubectl.get("secret", f"{unique_name}-tls")
    site.kubectl.apply(request(unique_name, "ca"))
    site.wait_condition(unique_name, "Stalled", "SecretNotOwned")
    assert condition(site.kubectl.get(REQUEST, unique_name), "Ready")["status"] == "False"
    assert site.kubectl.get("secret", f"{unique_name}-tls") == before
