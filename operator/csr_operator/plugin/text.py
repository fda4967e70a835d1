"""Text that others wrote (a CA, a DNS server, a vendor), as a user may read it.

A server that refuses a credential may say which, in whatever form it got hold of it: as it is, as in JSON or in a URL,
in the Base64 of an `Authorization: Basic`, as a programming language prints it, or escaped for HTML. So a text is read
in all of these ways, and what is a secret in any of them is taken out, before anything else is done to it. (A server
that means to give a secret away can write it backwards: it has it already.)
"""

import bisect
import html
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import quote, quote_plus

MOST_SHOWN = 500
"""Characters of somebody else's text in a message."""

_MOST_READ = 8 * 1024
_SHORT = 4  # a shorter secret is looked for as a word of its own: in the middle of words it would be found anywhere
_LINE = 16  # a shorter line of a key says too little to be looked for by itself
_HIDDEN = b"***"


def redact(text: object, secrets: Iterable[str | bytes] = (), *, cut: bool = False) -> str:
    """What may be told of a text that somebody else wrote: without the secrets, in one line, of at most 500 characters.

    text: what is neither text nor a number, such as a list where the API has a text, is not shown. cut: see `mask`.
    """
    if not isinstance(text, str | int | float):
        return ""
    known = [secret for secret in secrets if secret]
    line = _in_one_line(hide_keys(mask(str(text), known, cut=cut)))
    # Once more, as a character that is a blank now may have stood where one has a blank.
    for form in sorted({_in_one_line(form) for secret in known for form in _as_text(secret)}, key=len, reverse=True):
        line = line.replace(form, "***") if len(form) >= _SHORT else line
    return line if len(line) <= MOST_SHOWN else f"{line[: MOST_SHOWN - 3]}..."


def mask(text: str, secrets: Iterable[str | bytes], *, cut: bool = False) -> str:
    """The first 8 KiB of `text`, with *** wherever one of the secrets is, in any form in which servers echo them.

    cut: there was more of it. Of a text that is cut the last part is left out, as long as a secret may be.
    """
    cut, data = cut or len(text) > _MOST_READ, _octets(text[:_MOST_READ])
    forms = {form for secret in secrets for form in (secret, *_as_text(secret)) if form}
    known = {form if isinstance(form, bytes) else _octets(form) for form in forms}
    if not known:
        return text[:_MOST_READ]
    kept, end = b"", 0
    for start, stop in sorted(_spans(data, known)):
        if start >= end:
            kept += data[end:start] + _HIDDEN
        end = max(end, stop)
    kept += data[end:]
    if cut:  # where there may be the first part of one, encoded
        kept = kept[: -(2 * max(map(len, known)) + 512)]
    return kept.decode(errors="replace")


_KEY = re.compile(
    r"-----BEGIN[^-]{0,60}PRIVATE[^-]{1,9}KEY-----.*?(?:-----END[^-]{0,60}PRIVATE[^-]{1,9}KEY-----|\Z)", re.S
)
"""A private key in PEM (RFC 7468), also in a URL or with line ends escaped; of one that was cut, up to the end."""


_KEY_IN_JSON = re.compile(
    r"""(\\*["'](?:d|p|q|dp|dq|qi|k)\\*["']\s{0,9}:\s{0,9}\\*["'])[A-Za-z0-9_+/-]{16,}={0,2}""",
)
"""What is private in a JSON Web Key (RFC 7518, section 6), also where Python printed it, or JSON has JSON as a text."""

_BASE64 = re.compile(r"(?:LS0t|M[A-P])[A-Za-z0-9+/_-]{36,}={0,2}(?:(?:\s|\\[rn]){1,9}[A-Za-z0-9+/_-]{16,}={0,2})*")
"""Of PEM, as a Secret has it, or of DER, in however many lines: a SEQUENCE."""

_PRIVATE_DER = re.compile(rb"0(?:[\0-\x7f]|\x81.|\x82..)\x02\x01[\0\x01]", re.S)
"""How PKCS #8 (RFC 5958), PKCS #1 (RFC 8017) and SEC 1 (RFC 5915) begin: a SEQUENCE with a version."""


def hide_keys(text: str) -> str:
    """With *** in the place of each private key in PEM, in Base64, or in a JSON Web Key, whosever it is."""
    if "PRIVATE" in text:
        text = _KEY.sub("***", text)
    text = _KEY_IN_JSON.sub(r"\1***", text)
    return _BASE64.sub(lambda match: "***" if _holds_key(match[0]) else match[0], text)


def _holds_key(base64: str) -> bool:
    digits = re.sub(r"\\[rn]|[^A-Za-z0-9+/_-]", "", base64).translate({ord("-"): "+", ord("_"): "/"})
    data = b64decode(digits[: len(digits) // 4 * 4])
    return b"PRIVATE" in data or _PRIVATE_DER.match(data) is not None


def _in_one_line(text: str) -> str:
    """Without line ends, control characters, and what changes the direction of writing or cannot be seen."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _as_text(secret: str | bytes) -> set[str]:
    """As those have it who read it as text; of a key in PEM each line as well, as a message may quote one."""
    if isinstance(secret, str):
        forms = {secret, _octets(secret).decode(errors="replace")}
    else:
        forms = {secret.decode(errors="replace")}
        if "\N{REPLACEMENT CHARACTER}" in min(forms):
            forms.add(secret.decode("latin-1"))
    forms |= {form.strip() for form in forms}
    return forms | {line for form in forms if "\n" in form for line in form.split() if len(line) >= _LINE}


def _octets(text: str) -> bytes:
    try:
        return text.encode(errors="surrogateescape")  # of `os.fsdecode`
    except UnicodeEncodeError:
        return text.encode(errors="replace")


@dataclass(frozen=True, slots=True)
class _View:
    """Octets as they are read in one of the encodings. tokens: begin and end here, and there in `of`, of what was read
    as something else.
    """

    data: bytes
    of: "_View | None" = None
    tokens: list[tuple[int, int, int, int]] = field(default_factory=list)

    def read(self, token: re.Pattern[bytes], meaning: Callable[[bytes], bytes]) -> Self | None:
        """None if there is nothing to be read so."""
        parts: list[bytes] = []
        tokens, end, length = [], 0, 0
        for match in token.finditer(self.data):
            start, stop = match.span()
            plain = meaning(match.group())
            parts += [self.data[end:start], plain]
            length += start - end + len(plain)
            tokens.append((length - len(plain), length, start, stop))
            end = stop
        return type(self)(b"".join([*parts, self.data[end:]]), self, tokens) if tokens else None

    def source(self, start: int, stop: int) -> tuple[int, int]:
        """Where in the text as it came are the octets from `start` to before `stop`."""
        if self.of is None:
            return start, stop
        return self.of.source(self._before(start)[0], self._before(stop - 1)[1])

    def _before(self, at: int) -> tuple[int, int]:
        """Begin and end, in `of`, of what one octet was read from."""
        index = bisect.bisect_right(self.tokens, at, key=lambda token: token[0]) - 1
        if index < 0:
            return at, at + 1
        _, here, there, stop = self.tokens[index]
        return (there, stop) if at < here else (stop + at - here, stop + at - here + 1)


_ESCAPE = re.compile(
    rb"""\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}"""
    rb"""|x[0-9a-fA-F]{2}(?:\\x[89abAB][0-9a-fA-F])*|[^\w\s]|[bfnrt])"""
)
_LETTERS = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}


def _unescaped(token: bytes) -> bytes:
    """In JSON, and as Python and others print text and octets."""
    match token[1:2]:
        case b"u":
            text = token.decode().replace("\\u", "")
            return bytes.fromhex(text).decode("utf-16-be", errors="replace").encode()
        case b"U":
            code = int(token[2:], 16)
            return chr(code).encode(errors="replace") if code < 0x110000 else token
        case b"x":
            octets = bytes.fromhex(token.decode().replace("\\x", ""))
            try:
                return octets.decode().encode()
            except UnicodeDecodeError:
                return octets.decode("latin-1").encode()  # characters, and no octets of UTF-8
        case letter:
            return _LETTERS.get(letter, letter)


_READINGS: tuple[tuple[re.Pattern[bytes], Callable[[bytes], bytes]], ...] = (
    (_ESCAPE, _unescaped),
    (re.compile(rb"%[0-9a-fA-F]{2}"), lambda token: bytes.fromhex(token[1:].decode())),
    (re.compile(rb"\+|%[0-9a-fA-F]{2}"), lambda token: bytes.fromhex(token[1:].decode()) or b" "),
    (
        re.compile(rb"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});"),
        lambda token: _octets(html.unescape(token.decode())),
    ),
)
_AS_BASE64 = (
    re.compile(rb"[-_]|(?<=[A-Za-z0-9+/_-])\r?\n(?=[A-Za-z0-9+/=_-])"),
    lambda token: {b"-": b"+", b"_": b"/"}.get(token, b""),
)
_RUN = re.compile(rb"[A-Za-z0-9+/=]*")


def _views(text: bytes) -> list[_View]:
    """As it is, and read once or twice: a message in JSON may quote JSON."""
    views, last = {text: _View(text)}, [_View(text)]
    for _ in range(2):
        read = [view.read(*reading) for view in last for reading in _READINGS]
        last = [view for view in read if view is not None and view.data not in views]
        views |= {view.data: view for view in last}
    return list(views.values())


def _spans(text: bytes, secrets: Iterable[bytes]) -> Iterator[tuple[int, int]]:
    """Where they are; these may overlap."""
    short = {value for value in secrets if len(value) < _SHORT}
    cores = {core for value in secrets if value not in short for form in _forms(value) for core in _cores(form)}
    for view in _views(text):
        for secret in secrets:
            for at in _finds(view.data, secret):
                before, after = view.data[at - 1 : at] if at else b"", view.data[at + len(secret) :][:1]
                if secret not in short or not (before.isalnum() or after.isalnum()):
                    yield view.source(at, at + len(secret))
        base64 = view.read(*_AS_BASE64) or view
        for core in cores:
            end = 0
            for at in _finds(base64.data, core):
                if at < end:
                    continue
                # With all around it: its first and last octet share characters with its neighbours.
                run = _RUN.match(base64.data, at)
                end = run.end() if run is not None else at + len(core)
                start = at - len(_RUN.match(base64.data[:at][::-1]).group())  # type: ignore[union-attr] # matches always
                yield base64.source(start, end)


def _finds(data: bytes, part: bytes) -> Iterator[int]:
    at = data.find(part)
    while at >= 0:
        yield at
        at = data.find(part, at + len(part))


def _forms(secret: bytes) -> set[bytes]:
    """What Base64 is made of: a secret, or what holds one (RFC 6749, section 2.3.1; a token's JSON)."""
    text = secret.decode(errors="replace")
    in_json = {_octets(json.dumps(text, ensure_ascii=escaped)[1:-1]) for escaped in (True, False)}
    return {secret, quote(secret, safe="").encode(), quote_plus(secret).encode(), *in_json}


def _cores(secret: bytes) -> set[bytes]:
    """The characters of Base64 that are the secret's alone, by how many octets before it are left over from threes."""
    cores = set()
    for before in range(3):
        first, last = -(-8 * before // 6), 8 * (before + len(secret)) // 6
        cores.add(b64encode(b"\0" * before + secret)[first:last])
    return cores
