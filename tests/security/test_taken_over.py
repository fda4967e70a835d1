"""To take a Secret over is in the hands of who may write it, and of nobody else."""

from typing import Any

import pytest

from tests.support.kubectl import Kubectl, wait_until
from tests.support.manifests import request
from tests.support.moving import ADOPT, issued_elsewhere, secret_of_others, submits
from tests.support.revocation import ON_DELETE, checked, crl, make_revoking_ca, wait_gone
from tests.support.site import REQUEST, Site, new_namespace

GROUP = "csr-operator.dev"


def _untouched(site: Site, name: str, secret: dict[str, Any], reason: str = "SecretNotOwned") -> None:
    """The request `name` does not get the Secret, and asks no CA."""
    before, asked = site.kubectl.get("secret", secret["metadata"]["name"]), submits(site)
    site.kubectl.apply(request(name, "ca", secretName=secret["metadata"]["name"], dnsNames=["bank.example.com"]))
    site.wait_condition(name, "Stalled", reason)
    assert site.kubectl.get("secret", secret["metadata"]["name"]) == before
    assert submits(site) == asked


@pytest.fixture(scope="module")
def bank(site: Site) -> dict[str, str]:
    """A certificate for bank.example.com and its key."""
    return issued_elsewhere(site, "bank")


@pytest.mark.parametrize("adopt", ["", "bank", "*", "www-"])
def test_who_makes_requests_gets_no_secret_that_names_another(
    site: Site, unique_name: str, bank: dict[str, str], adopt: str
) -> None:
    secret = secret_of_others(f"{unique_name}-bank", bank, adopt=adopt)
    site.kubectl.apply(secret)
    _untouched(site, unique_name, secret)


def test_a_secret_of_another_kind_is_left_alone(site: Site, unique_name: str, bank: dict[str, str]) -> None:
    secret = secret_of_others(f"{unique_name}-bank", bank, type="Opaque")
    site.kubectl.apply(secret)
    _untouched(site, unique_name, secret)


def test_a_label_alone_makes_it_nobodys(site: Site, unique_name: str, bank: dict[str, str]) -> None:
    secret = secret_of_others(f"{unique_name}-bank", bank, metadata={"labels": {f"{GROUP}/managed": "true"}})
    site.kubectl.apply(secret)
    _untouched(site, unique_name, secret)


def test_what_was_retained_for_another_request_is_left_alone(site: Site, unique_name: str) -> None:
    site.kubectl.apply(request(unique_name, "ca", dnsNames=["bank.example.com"], deletionPolicy="Retain"))
    site.kubectl.wait_ready(unique_name)
    site.kubectl("delete", REQUEST, unique_name)
    _untouched(site, f"{unique_name}-2", {"metadata": {"name": f"{unique_name}-tls"}})


def test_a_secret_is_taken_over_in_its_own_namespace_alone(site: Site, unique_name: str, bank: dict[str, str]) -> None:
    other = Kubectl(site.kubectl.cluster, new_namespace(site.kubectl.cluster))
    other.apply(secret_of_others(f"{unique_name}-tls", bank, adopt=unique_name))
    before = other.get("secret", f"{unique_name}-tls")
    site.kubectl.apply(request(unique_name, "ca"))
    site.kubectl.wait_ready(unique_name)
    assert other.get("secret", f"{unique_name}-tls") == before
    assert site.kubectl.get("secret", f"{unique_name}-tls")["data"]["tls.key"] != bank["tls.key"]


def test_the_secret_of_a_request_is_not_given_to_another(site: Site, unique_name: str) -> None:
    """Who may write it may want that, and has its owner let it go first."""
    site.kubectl.apply(request(unique_name, "ca", dnsNames=["bank.example.com"]))
    site.kubectl.wait_ready(unique_name)
    site.kubectl("annotate", "secret", f"{unique_name}-tls", f"{ADOPT}={unique_name}-2")
    _untouched(site, f"{unique_name}-2", {"metadata": {"name": f"{unique_name}-tls"}}, "AdoptionRefused")


def test_of_several_requests_for_what_was_left_the_oldest_has_it(site: Site, unique_name: str) -> None:
    wanted = {"secretName": f"{unique_name}-tls", "dnsNames": ["bank.example.com"]}
    site.kubectl.apply(request(unique_name, "ca", **wanted))
    site.kubectl.wait_ready(unique_name)
    uid = site.kubectl.get("secret", f"{unique_name}-tls")["metadata"]["uid"]
    with site.operator_away():
        site.kubectl("delete", REQUEST, unique_name, "--cascade=orphan")
        site.kubectl.apply(*(request(f"{unique_name}-{n}", "ca", **wanted) for n in range(3)))
    told = wait_until(
        "each is told",
        lambda: (
            found
            if len(
                found := [
                    r
                    for r in site.kubectl.list(REQUEST)
                    if r["metadata"]["name"].startswith(f"{unique_name}-") and "status" in r
                ]
            )
            == 3
            else None
        ),
    )
    site.settle()
    reasons = sorted(site.status(r["metadata"]["name"])["conditions"][0]["reason"] for r in told)
    assert reasons == ["Issued", "SecretNotOwned", "SecretNotOwned"]
    assert site.kubectl.get("secret", f"{unique_name}-tls")["metadata"]["uid"] == uid


def test_a_wish_needs_no_right_to_the_operators_state(site: Site, unique_name: str, bank: dict[str, str]) -> None:
    site.kubectl("create", "rolebinding", unique_name, "--clusterrole=edit", f"--user={unique_name}")
    site.kubectl.apply(secret_of_others(f"{unique_name}-tls", bank))

    def wished() -> bool:
        try:
            site.kubectl(
                "annotate",
                "secret",
                f"{unique_name}-tls",
                f"{ADOPT}={unique_name}",
                f"--as={unique_name}",
                "--overwrite",
            )
        except AssertionError:
            return False  # the binding is not in force yet
        return True

    wait_until("an editor may say who is to have it", wished)
    site.kubectl.apply(request(unique_name, "ca", dnsNames=["bank.example.com"]))
    site.kubectl.wait_ready(unique_name)


def test_the_mark_of_a_revoked_certificate_counts_whatever_its_code(
    site: Site, unique_name: str, tmp_path: Any
) -> None:
    """It only keeps a Secret from being used; after the key of the state was lost, none verifies."""
    make_revoking_ca(site)
    site.kubectl.apply(request(unique_name, "revoking", revocation=ON_DELETE))
    site.kubectl.wait_ready(unique_name)
    certificate = site.data(f"{unique_name}-tls")["tls.crt"]
    site.kubectl("delete", REQUEST, unique_name, "--cascade=orphan", "--timeout=30s")
    wait_gone(site, unique_name)
    assert checked(tmp_path, certificate, crl(site)) == "certificate revoked"
    mark = f"{GROUP}/revoked-certificate"
    written = site.kubectl.get("secret", f"{unique_name}-tls")["metadata"]["annotations"][mark]
    fingerprint, code = written.split()
    assert code
    site.kubectl("annotate", "secret", f"{unique_name}-tls", f"{mark}={fingerprint} x", "--overwrite")
    site.kubectl.apply(request(unique_name, "revoking"))
    site.wait_condition(unique_name, "Stalled", "AdoptionRefused")
