"""JSON of any depth, for readers that go down by recursion and would end at what a user nested by the thousand."""

import re

DEEPEST = 100
"""Levels that are read; what is nested deeper is null. No schema of ours has as many."""

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]]')


def cut_nesting(text: bytes) -> bytes:
    """The same JSON with null for what is nested deeper than DEEPEST."""
    parts, level, start = [], 0, 0
    for token in _TOKEN.finditer(text):
        match text[token.start()]:
            case 0x7B | 0x5B:  # { [
                level += 1
                if level == DEEPEST + 1:
                    parts.append(text[start : token.start()])
            case 0x7D | 0x5D:  # } ]
                if level == DEEPEST + 1:
                    parts.append(b"null")
                    start = token.end()
                level -= 1
    return b"".join((*parts, text[start:]))
