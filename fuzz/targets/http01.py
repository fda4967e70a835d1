"""Hosts and tokens that whoever connects for http-01 asks for, and notes of challenges that others may have spoiled.

May raise nothing. What a note says, and is believed, can be answered by a certificate.
"""

from typing import Any

from csr_acme.challenges import alpn_certificate
from csr_operator.challenges.alpn import AlpnChallenge, object_name, parse_note, server_name
from csr_operator.challenges.routes import ANSWER, HOST, host_name, is_answer, is_token, parse_challenge, read_route
from fuzz.parties import NOW
from fuzz.targets.request import read_object

SHAPE = "json"


def fuzz(data: bytes) -> None:
    text = data.decode(errors="replace")
    host, token = host_name(text), is_token(text)
    assert len(host) <= len(text) + 40
    assert not token or (text.isascii() and len(text) <= 256)
    server_name(text)
    metadata = read_object(data, "ConfigMap")["metadata"]
    annotations = metadata.get("annotations")
    texts = {str(k): v for k, v in annotations.items() if isinstance(v, str)} if isinstance(annotations, dict) else {}
    note: dict[str, Any] = {"metadata": {**metadata, "annotations": texts, "creationTimestamp": "2026-01-01T00:00:00Z"}}
    read_route(note)
    challenge = parse_challenge(note)
    if challenge is not None:
        assert is_answer(challenge.answer)
        assert len(challenge.object_name) <= 63
    claimed = AlpnChallenge(host_name(texts.get(HOST, "")), texts.get(ANSWER, ""))
    note["metadata"]["name"] = object_name(claimed.name)
    told = parse_note(note)
    if told.challenge is not None:
        alpn_certificate(told.challenge.identifier, told.challenge.answer, NOW)
