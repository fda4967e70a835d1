"""Names that nobody else uses: the control plane is shared by all tests of a run."""

import uuid


def unique(prefix: str) -> str:
    """Of an object, and of a host as well."""
    return f"{prefix}-{uuid.uuid4().hex[:8]}"
