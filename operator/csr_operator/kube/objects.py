"""Objects of Kubernetes as they travel: plain JSON."""

import base64
from typing import Any

Object = dict[str, Any]


def secret_data(secret: Object) -> dict[str, bytes]:
    """`data` of a Secret, decoded."""
    return {name: base64.b64decode(value) for name, value in (secret.get("data") or {}).items()}
