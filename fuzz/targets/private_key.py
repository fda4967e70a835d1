"""Private keys in Secrets. May raise PkiError, whose text has nothing of the key.

A key that was read is read again from each form in which it is written, and signs.
"""

import re

from csr_operator.pki.csr import CsrTemplate, build_csr
from csr_operator.pki.errors import PkiError
from csr_operator.pki.keys import (
    KeyEncoding,
    PrivateKey,
    load_private_key,
    parameters_of,
    private_key_pem,
    public_key_der,
)
from csr_operator.pki.names import Names
from csr_operator.pki.profile import Profile
from fuzz.checks import outcome
from fuzz.pem_text import wrap

SHAPE = "der"

_TEMPLATE = CsrTemplate(Names(common_name="x"), Profile())


def fuzz(data: bytes) -> None:
    if data[:1] != b"\x30":
        _load(data)
    else:
        for label in ("PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"):
            _load(wrap(data, label))


def _told(text: bytes) -> PrivateKey:
    try:
        return load_private_key(text)
    except PkiError as error:
        if any(line.decode() in str(error) for line in re.findall(rb"[A-Za-z0-9+/=]{16,}", text)):
            raise AssertionError("the message quotes the key") from None
        raise


def _load(text: bytes) -> None:
    key = outcome(lambda: _told(text), PkiError)
    if key is None:
        return
    for encoding in KeyEncoding:
        again = load_private_key(private_key_pem(key, encoding))
        assert public_key_der(again.public_key()) == public_key_der(key.public_key())
    parameters_of(key)
    assert build_csr(_TEMPLATE, key).is_signature_valid
