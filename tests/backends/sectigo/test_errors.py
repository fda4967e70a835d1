"""Each error of the API leads where it has to: to another try, to somebody, to the issuer, or to an end."""

import pytest

from csr_operator.plugin.errors import BackendError, Misconfigured, Rejected, Retryable
from tests.emulators.sectigo_world import World, order
from tests.support.contract import Damage, Reply

SOON, LATER = 60.0, 900.0


@pytest.mark.parametrize(
    ("code", "description", "error", "words"),
    [
        (-107, "Domain Control Validation is either incomplete or expired for x.", Retryable, "validate the domain"),
        (-737, "The domain(s): x are not validated! Please perform", Retryable, "or set spec.sectigo.dcv"),
        (-1137, "The domain(s) x have not been validated under the DCV procedure.", Retryable, "validate the domain"),
        (
            -843,
            "SSL certificate of this type cannot be requested due to 'Pending' validation status of the organization.",
            Retryable,
            "have the organization validated",
        ),
        (-715, "The domain 'x' is inactive.", Retryable, "activate the domain"),
        (-1010, "Domain 'x' is not allowed.", Rejected, "have the domain delegated to the organization"),
        (-9, "The CSR is not valid Base-64 data!", Rejected, "ask for another key"),
        (-11, "The CSR uses an unsupported algorithm!", Rejected, "ask for another key"),
        (-141, "The public key size in the CSR should be 3072 bits minimum.", Rejected, "ask for another key"),
        (-170, "Based on the customer configuration, ECC CSRs are not allowed.", Rejected, "algorithm: RSA"),
        (-62, "Invalid IP address 10.0.0.1", Rejected, "change ipAddresses"),
        (-1601, "Field 'csr' has invalid value.", Rejected, "change it in the request"),
        (-62, "Missing mandatory custom field!", Misconfigured, "check spec.sectigo.customFields"),
        (-36, "The validity period (term) is invalid for this certificate profile.", Misconfigured, "sectigo.term"),
        (-39, "The certificate profile id is invalid!", Misconfigured, "check spec.sectigo.profile"),
        (-111, "No certificate profile found by id 7", Misconfigured, "check spec.sectigo.profile"),
        (-1023, "Organization '7' not found.", Misconfigured, "check spec.sectigo.organization"),
        (-3, "You are not authorized to perform enroll.", Misconfigured, "give the account the role"),
        (-129, "Connection error while applying certificate.", Retryable, "Connection error"),
        (-195, "CA is not available now. Please try again later.", Retryable, "CA is not available"),
        (-2, "Internal error. Please contact Support for details.", Retryable, "Internal error"),
    ],
)
async def test_a_documented_error_says_what_to_do(
    world: World, code: int, description: str, error: type[BackendError], words: str
) -> None:
    world.server.fail(Reply(400, {"code": code, "description": description}), "POST", "/enroll")
    with pytest.raises(error) as told:
        await world.backend().submit(order())
    assert str(told.value).startswith(f"Sectigo says: {description.rstrip('.!')} (code {code})")
    assert words in str(told.value)


@pytest.mark.parametrize(
    ("code", "description"),
    [
        (-9, "Unknown notification type: x"),
        (-39, "Something else"),
        (-159, "Something new"),
        (-4711, "Undocumented"),
        (0, "No code at all"),
    ],
)
async def test_a_code_counts_only_with_its_words(world: World, code: int, description: str) -> None:
    world.server.fail(Reply(400, {"code": code, "description": description}), "POST", "/enroll")
    with pytest.raises(Retryable) as told:
        await world.backend().submit(order())
    assert description in str(told.value)
    assert told.value.after.total_seconds() == LATER


@pytest.mark.parametrize(
    ("answer", "words", "after"),
    [
        (Reply(429, {"description": "slow down"}, {"Retry-After": "120"}), "asks for fewer calls: slow down", 120),
        (Reply(429), "asks for fewer calls: HTTP status 429", SOON),
        (Reply(503, b"<html>", {"Retry-After": "90"}), "is not available: HTTP status 503", 90),
        (Reply(500, {"code": -2, "description": "Internal error."}), "is not available: Internal error.", SOON),
        (Reply(200, {"renewId": "x"}), "not as documented", SOON),
        (Reply(200, []), "not as documented", SOON),
        (Reply(200, b"{"), "is not JSON", SOON),
    ],
)
async def test_what_passes_is_tried_again_when_the_server_says(
    world: World, answer: Reply, words: str, after: float
) -> None:
    world.server.fail(answer, "POST", "/enroll")
    with pytest.raises(Retryable) as told:
        await world.backend().submit(order())
    assert words in str(told.value)
    assert told.value.after.total_seconds() == after


async def test_a_redirect_is_not_followed(world: World) -> None:
    world.server.fail(Reply(302, None, {"Location": "https://127.0.0.1:1/"}), "GET")
    with pytest.raises(Misconfigured, match=r"check spec\.sectigo\.url"):
        await world.backend().check()


async def test_long_and_unprintable_words_are_made_fit_for_a_condition(world: World) -> None:
    text = "a\x00b\r\n\u2028c" + "d" * 2000
    world.server.fail(Reply(400, {"code": -4711, "description": text}), "POST", "/enroll")
    with pytest.raises(Retryable) as told:
        await world.backend().submit(order())
    assert "Sectigo says: a b cddd" in str(told.value)
    assert len(str(told.value)) < 600


async def test_a_vendor_that_is_away_is_waited_for(world: World) -> None:
    backend = world.backend()
    await backend.check()
    world.server.stop()
    with pytest.raises(Retryable):
        await backend.submit(order())
    world.server.start()
    world.server.fail(Damage.LOST, "GET", times=9)  # aiohttp asks once more by itself
    with pytest.raises(Retryable):
        await backend.submit(order(repeated=True))
    world.server.go_on()
    world.clock.advance(minutes=1)
    await backend.submit(order(repeated=True))
    assert len(world.server.orders) == 1
