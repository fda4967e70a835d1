"""DER as a tree, for whoever changes it: lengths are those of what is there."""

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from csr_operator.pki import asn1
from csr_operator.pki.errors import PkiError

_MOST_DEPTH = 30
_TAGS = (
    0x01,
    0x02,
    0x03,
    0x04,
    0x05,
    0x06,
    0x0C,
    0x13,
    0x14,
    0x16,
    0x17,
    0x18,
    0x1E,
    0x30,
    0x31,
    0x80,
    0x82,
    0x86,
    0xA0,
)
_ODD = tuple(map(bytes.fromhex, ("", "00", "01", "ff", "7f", "80", "3000", "0500", "0c00", "30800000", "020100")))


@dataclass
class Node:
    """One value. below: what its content consists of, where that can be told."""

    tag: int
    content: bytes = b""
    below: "list[Node]" = field(default_factory=list)

    @property
    def der(self) -> bytes:
        """The whole value."""
        return asn1.encode(self.tag, b"".join(child.der for child in self.below) or self.content)

    def walk(self) -> "Iterator[Node]":
        """It and all below."""
        yield self
        for child in self.below:
            yield from child.walk()


def read(der: bytes, depth: int = 0) -> list[Node]:
    """The values one after the other. PkiError for what is no DER."""
    nodes = []
    while der:
        tag, content, der = asn1.split(der)
        below: list[Node] = []
        if depth < _MOST_DEPTH and (tag & 0x20 or tag == asn1.OCTET_STRING):
            with suppress(PkiError):  # else it is octets, which may be anything
                below = read(content, depth + 1)
        nodes.append(Node(tag, content, below))
    return nodes


def mutate(der: bytes, rng: random.Random, change_octets: Callable[[bytes], bytes]) -> bytes:
    """With one to three values of it gone, doubled, swapped, of another tag or content. PkiError for what is no DER."""
    nodes = read(der)
    for _ in range(rng.choice((1, 1, 2, 3))):
        everything = [node for top in nodes for node in top.walk()]
        holders = [node.below for node in everything if node.below] + [nodes]
        siblings = rng.choice(holders)
        if not siblings:
            break
        at = rng.randrange(len(siblings))
        node = siblings[at]
        match rng.randrange(8):
            case 0:
                del siblings[at]
            case 1:
                siblings.insert(at, read(node.der)[0])
            case 2:
                siblings[at] = read(rng.choice(everything).der)[0]
            case 3:
                node.tag = rng.choice(_TAGS)
            case 4:
                siblings[at] = Node(node.tag, rng.choice(_ODD))
            case 5:
                rng.shuffle(siblings)
            case _:
                siblings[at] = Node(node.tag, change_octets(node.content or b"\0"))
    return b"".join(node.der for node in nodes)
