"""What others wrote, as it is shown to users. May raise nothing.

It is one printable line of a bounded length, without the secret, in whatever of the usual forms it was echoed.
"""

import base64
import json
from urllib.parse import quote_plus

from csr_operator.plugin.text import MOST_SHOWN, mask, redact

SHAPE = "octets"

_SECRET = "s3cr3t+pa/ss w\u00f6rd=="
_FORMS = (
    _SECRET,
    json.dumps(_SECRET)[1:-1],
    quote_plus(_SECRET),
    base64.b64encode(_SECRET.encode()).decode(),
    base64.urlsafe_b64encode(f"user:{_SECRET}".encode()).decode(),
)


def fuzz(data: bytes) -> None:
    """Where there is a NUL, one of the forms is put."""
    first, *rest = data.decode(errors="replace").split("\0")
    text = first + "".join(_FORMS[number % len(_FORMS)] + part for number, part in enumerate(rest))
    for shown in (redact(text, [_SECRET]), redact(text, [_SECRET.encode()], cut=True)):
        assert shown.isprintable()
        assert len(shown) <= MOST_SHOWN
        for form in _FORMS:
            assert form not in shown, f"{form} is shown"
    assert _SECRET not in mask(text, [_SECRET])
