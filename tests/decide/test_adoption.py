"""Which Secrets of others are taken over, and with what in them: pure."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from csr_operator.api.names import REVOKED_ANNOTATION
from csr_operator.api.reasons import Reason
from csr_operator.decisions import adoption
from csr_operator.decisions.actions import Adopt, Hold, Issue, Keep, Restore
from csr_operator.decisions.ownership import owns
from csr_operator.decisions.world import IssuerState
from csr_operator.issuance.backend_calls import TAKEN_OVER
from csr_operator.pki.csr import build_csr
from csr_operator.pki.errors import Mismatch
from csr_operator.pki.keys import KeyParameters
from csr_operator.pki.verify import CA_DECIDES, Rules
from tests.decide.test_decide import CA, NOW, READY, ask, make_request, make_secret

FOREIGN: dict[str, Any] = {
    "owner_uid": "",
    "owner": "",
    "record": None,
    "intact_data": frozenset(),
    "template_digest": "",
}
LEFT: dict[str, Any] = {"owner_uid": "", "owner": "a request that is gone", "left_for": ""}


@pytest.mark.parametrize(
    "secret",
    [
        {**FOREIGN, "adopt": "www"},
        {**FOREIGN, "left_for": ""},
        {**FOREIGN, "left_for": "www"},
        {**FOREIGN, "adopt": "www", "left_for": "other"},
        LEFT,
    ],
)
def test_it_is_looked_into(secret: dict[str, Any]) -> None:
    request = make_request()
    assert ask(request, make_secret(request, **secret)) == Adopt()


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        (FOREIGN, "SecretNotOwned"),
        ({**FOREIGN, "adopt": "other"}, "SecretNotOwned"),
        ({**FOREIGN, "adopt": ""}, "SecretNotOwned"),
        ({**FOREIGN, "left_for": "other"}, "SecretNotOwned"),
        ({"owner_uid": "u", "owner": "Certificate www"}, "SecretNotOwned"),
        ({"owner_uid": "u", "owner": "Certificate www", "adopt": "www"}, "AdoptionRefused"),
        ({"owner_uid": "u", "owner": "CertificateRequest other", "adopt": "www"}, "AdoptionRefused"),
        ({"owner_uid": "u", "owner": "CertificateRequest www"}, "SecretNotCollected"),
    ],
)
def test_it_is_left_untouched_and_looked_at_again(secret: dict[str, Any], reason: str) -> None:
    request = make_request()
    action = ask(request, make_secret(request, **secret))
    assert isinstance(action, Hold)
    assert action.reason == reason
    if reason != "SecretNotCollected":
        assert action.until == NOW + timedelta(seconds=30)


@pytest.mark.parametrize(
    ("owner", "command"),
    [
        ("CertificateRequest other", "`kubectl delete csreq other -n n --cascade=orphan`"),
        ("Certificate www", "`kubectl delete certificate www --cascade=orphan`"),
    ],
)
def test_the_command_that_releases_a_secret_is_about_no_object_of_cert_manager_unless_it_is_the_owner(
    owner: str, command: str
) -> None:
    """Where both are installed, kubectl may take `certificaterequest` for cert-manager's."""
    request = make_request()
    action = ask(request, make_secret(request, owner_uid="u", owner=owner, adopt="www"))
    assert isinstance(action, Hold)
    assert command in action.message


def test_neither_a_policy_nor_an_approval_is_asked_for_what_is_there() -> None:
    request = make_request()
    careful = replace(READY, needs_approval=True)
    assert ask(request, make_secret(request, **FOREIGN, adopt="www"), careful) == Adopt()


@pytest.mark.parametrize("issuer", [None, replace(READY, ready=False)])
def test_whose_it_could_be_is_waited_for_unless_it_is_on_record(issuer: IssuerState | None) -> None:
    request = make_request()
    action = ask(request, make_secret(request, **FOREIGN, adopt="www"), issuer)
    assert isinstance(action, Hold)
    assert not action.needs_user
    assert ask(request, make_secret(request, **LEFT), issuer) == Adopt()


def test_another_request_that_comes_first_has_what_was_left() -> None:
    request = make_request()
    action = ask(request, make_secret(request, **LEFT), rival="older")
    assert isinstance(action, Hold)
    assert "belongs to CertificateRequest older" in action.message
    assert ask(request, make_secret(request, **FOREIGN, adopt="www"), rival="older") == Adopt()


def test_what_kubernetes_took_from_a_request_that_goes_is_still_its_own() -> None:
    request = make_request()
    left = make_secret(request, **LEFT)
    going = replace(request, being_deleted=True)
    assert not owns(request, left)
    assert owns(going, left)
    assert not owns(going, replace(left, left_for="other"))
    assert not owns(going, replace(left, record=None))
    assert not owns(replace(going, issuance_hash="other"), left)


def test_what_was_revoked_and_retained_is_replaced_if_the_operator_says_so() -> None:
    request = make_request(deletionPolicy="Retain")
    retained = make_secret(request, owner_uid="", retained_for="www")
    assert isinstance(ask(request, retained), Keep)
    assert ask(request, replace(retained, revoked="F")) == Issue(Reason.SECRET_DAMAGED, 2, CA)
    assert isinstance(ask(request, replace(retained, revoked="of another")), Keep)
    assert isinstance(ask(request, replace(retained, revoked="F", forged=(REVOKED_ANNOTATION,))), Keep)


def test_a_retained_one_from_a_backup_is_restored() -> None:
    request = make_request(deletionPolicy="Retain")
    dumped = make_secret(request, owner_uid="", retained_for="www", intact_data=frozenset())
    assert isinstance(ask(request, dumped), Restore)


def signed(key: Any, *, dns: str = "www.example.com", days: int = 30, **usage: bool) -> x509.Certificate:
    """By itself, as cert-manager would have it signed: for digital signature and key encipherment, whatever the key."""
    now = datetime.now(UTC).replace(microsecond=0)
    flags = dict.fromkeys(
        (
            *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
            *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
        ),
        False,
    )
    name = x509.Name([])
    return (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=60))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(dns)]), critical=True)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(**flags | {"digital_signature": True, "key_encipherment": True} | usage), critical=True
        )
        .sign(key, SHA256())
    )


KEY = ec.generate_private_key(ec.SECP256R1())


def looked_into(leaf: x509.Certificate, *, rules: Rules, **spec: Any) -> list[str]:
    """The differences."""
    request = make_request(**spec)
    csr = build_csr(request.spec.template, KEY)
    try:
        adoption.check((leaf,), request, csr, datetime.now(UTC), (leaf,), rules)
    except Mismatch as error:
        return list(error.differences)
    return []


def test_an_ecdsa_key_that_was_said_to_encipher_keys_is_taken() -> None:
    usages = ["digital signature"]
    assert looked_into(signed(KEY), rules=TAKEN_OVER, usages=usages) == []
    assert looked_into(signed(KEY, data_encipherment=True), rules=TAKEN_OVER, usages=usages) != []


@pytest.mark.parametrize(
    ("leaf", "words"),
    [
        ({"dns": "other.example.com"}, 'DNS name: "www.example.com" is missing'),
        ({"days": -1}, "validity: it ended at"),
        ({"key_cert_sign": True}, "cert sign"),
    ],
)
def test_each_difference_is_told(leaf: dict[str, Any], words: str) -> None:
    assert words in "; ".join(looked_into(signed(KEY, **leaf), rules=CA_DECIDES))


def test_what_expired_is_what_was_asked_for_while_it_lasted() -> None:
    leaf = signed(KEY, days=-1)
    assert adoption.last_moment(leaf, datetime.now(UTC)) < leaf.not_valid_after_utc
    assert adoption.last_moment(signed(KEY), NOW) == NOW


def test_a_key_of_another_kind_is_named() -> None:
    other = rsa.generate_private_key(65537, 2048)
    (words,) = adoption.key_differences(KeyParameters(), other)
    assert words == "private key: it is RSA 2048, where spec.privateKey asks for ECDSA 256"
    assert adoption.key_differences(KeyParameters(), KEY) == []
