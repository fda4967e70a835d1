"""JSON as a tree, for whoever changes it."""

import copy
import json
import random
from collections.abc import Callable
from typing import Any

_ODD: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        2**31,
        2**63,
        10**30,
        0.5,
        1e308,
        float("nan"),
        float("inf"),
        "",
        "x",
        "*",
        ".",
        "-",
    ),
    *("\0", "\x1b[31m", "\u202e", "\ud800", "\N{SOFT HYPHEN}", "a" * 600, "ü" * 70, "xn--", "xn--a", "1.2.3", "::1"),
    *("10.0.0.0/8", "fe80::1%eth0", "99999999999h", "-1h", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"),
    *("2026-11-28T00:00:00+23:59", "https://[", "a@b", "CN=\\", "QQ==", "%%%", "٣h", "٣", [], {}, [[]], [{}], [None]),
    *({"a": None}, {"": ""}, ["x"] * 300),
)


def mutate(text: bytes, rng: random.Random, change_octets: Callable[[bytes], bytes]) -> bytes:
    """With one to four nodes gone, doubled, odd or of their neighbours. ValueError for what is no JSON."""
    root = [json.loads(text)]
    for _ in range(rng.choice((1, 1, 2, 4))):
        nodes: list[tuple[Any, Any]] = []
        rest: list[Any] = [root]
        while rest:
            holder = rest.pop()
            for key in list(holder) if isinstance(holder, dict) else range(len(holder)):
                nodes.append((holder, key))
                if isinstance(holder[key], dict | list):
                    rest.append(holder[key])
        holder, key = rng.choice(nodes)
        match rng.randrange(8):
            case 0 if len(nodes) > 1 and holder is not root:
                del holder[key]
            case 1:
                holder[key] = [copy.deepcopy(holder[key])] * 2
            case 2:
                other, where = rng.choice(nodes)
                holder[key] = copy.deepcopy(other[where])
            case 3 | 4:
                holder[key] = copy.deepcopy(rng.choice(_ODD))
            case _ if isinstance(holder[key], str):
                holder[key] = change_octets(holder[key].encode(errors="replace")).decode(errors="replace")
            case _:
                holder[key] = copy.deepcopy(rng.choice(_ODD))
    return json.dumps(root[0]).encode()
