"""As docs/backends.md has it: how the author of a backend tries it without an operator."""

import pytest
from example_ca import ExampleCa

from csr_operator.plugin import Issued, Misconfigured, SecretNotFound, testing
from tests.support.third_party import HttpCa


async def test_a_token_that_is_missing_is_told() -> None:
    async with testing.world() as world:
        ca = world.make(ExampleCa, {"url": "https://ca.example.com", "tokenSecretName": "example-token"})
        with pytest.raises(SecretNotFound, match=r"Secret example-token, .* create it with the CA's token as token"):
            await ca.submit(testing.order("www.example.com"))
        world.secrets["example-token"] = {"token": b""}
        with pytest.raises(Misconfigured, match="token is empty: put the CA's token there"):
            await ca.submit(testing.order("www.example.com"))


async def test_it_has_signed_what_is_asked_for() -> None:
    wanted = testing.order("a.example.com", "b.example.com")
    with HttpCa() as server:
        async with testing.world(**{"example-token": {"token": b"t0ken"}}) as world:
            ca = world.make(ExampleCa, {"url": server.branch("here").url, "tokenSecretName": "example-token"})
            answer = await ca.submit(wanted)
    assert isinstance(answer, Issued)
    assert answer.certificates[0].public_key() == wanted.csr.public_key()
