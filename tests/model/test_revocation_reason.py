"""Why a certificate is to be revoked: as the annotation of a request says it, and as its Secret remembers it."""

import pytest
from cryptography import x509

from csr_operator.api.keys import SecretKey
from csr_operator.api.names import REVOKE_ANNOTATION
from csr_operator.api.parse_request import parse_request
from csr_operator.api.revocation_debts import RevocationDebt, read_debts, write_debts
from csr_operator.api.seal import Seal
from tests.support.authorities import authority


@pytest.mark.parametrize(
    ("value", "serial_number", "reason"),
    [
        ("1F", "1F", "superseded"),
        ("01:1f", "011F", "superseded"),
        ("1f keyCompromise", "1F", "keyCompromise"),
        ("  1F   KEYCOMPROMISE ", "1F", "keyCompromise"),
        ("1F unspecified", "1F", "unspecified"),
        ("1F certificateHold", "1F", None),
        ("1F removeFromCRL", "1F", None),
        ("1F keyCompromise please", "1F", None),
        ("1F " + "x" * 1000, "1F", None),
        ("", "", "superseded"),
        ("keyCompromise", "0KEYCOMPROMISE", "superseded"),
    ],
)
def test_the_annotation_that_revokes_has_a_serial_number_and_perhaps_a_reason(
    value: str, serial_number: str, reason: str | None
) -> None:
    metadata = {"namespace": "n", "name": "www", "uid": "u", "resourceVersion": "1"}
    wishes = parse_request({"metadata": metadata | {"annotations": {REVOKE_ANNOTATION: value}}, "spec": {}}).wishes
    assert (wishes.revoke, wishes.revoke_because) == (serial_number, reason)


def test_what_is_owed_keeps_its_reason_and_nobody_else_changes_it() -> None:
    seal, secret = Seal((b"k" * 32,)), SecretKey("n", "www-tls")
    certificate = x509.load_pem_x509_certificate(authority("Old CA").certificate.encode())
    debts = (RevocationDebt("Issuer/ca", certificate), RevocationDebt("Issuer/ca", certificate, "keyCompromise"))
    text = write_debts(secret, debts, seal)
    assert [debt.reason for debt in read_debts(secret, text, seal)] == ["superseded", "keyCompromise"]
    assert read_debts(secret, text.replace("keyCompromise", "cessationOfOperation"), seal) == ()
    assert write_debts(secret, debts[:1], seal).count("reason") == 0  # as an earlier version writes and reads it
