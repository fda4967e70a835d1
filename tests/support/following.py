"""What an order says of the certificate that it follows."""

from typing import Any

from csr_operator.pki.fingerprint import sha256_fingerprint
from csr_operator.plugin.backend import Issued


def follows(issued: Issued) -> dict[str, Any]:
    """As the operator has it from the record of that certificate."""
    return {"replaces": issued.reference, "replaces_fingerprint": sha256_fingerprint(issued.certificates[0])}
