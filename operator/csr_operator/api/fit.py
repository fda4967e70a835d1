"""Texts made fit for a field of the Kubernetes API."""


def fit(text: str, most: int) -> str:
    """At most `most` bytes of UTF-8, cut between two characters; what UTF-8 has no form for is replaced."""
    data = text.encode(errors="replace")
    return data.decode() if len(data) <= most else data[: most - 3].decode(errors="ignore") + "..."
