"""Which of the replicas works on what: a shard is the part of all objects that one of them has at a time."""

import hashlib

SHARDS = 64
"""How many there are, for good: every replica, of whatever version, has to count alike."""


def shard_of(namespace: str, name: str) -> int:
    """The shard, from 0 to SHARDS - 1, of the Secret of this name, or of the issuer.

    A request is where the Secret is that it names, which it cannot change: two that want the same one are in one
    replica, and a large namespace is divided. namespace: empty for a ClusterIssuer.
    """
    digest = hashlib.sha256(f"{namespace}/{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % SHARDS
