"""tls-alpn-01 on a real API server: one process of the operator's presents, and another is asked."""

import asyncio
import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from csr_acme import AcmeClient, Identifier
from csr_acme.challenges import key_authorization
from csr_operator.api.issuer import Issuer
from csr_operator.api.keys import Kind
from csr_operator.challenges.alpn import AlpnChallenge
from csr_operator.challenges.alpn_responder import AlpnChallenges
from csr_operator.challenges.responder import Challenges, IssuerResponder
from csr_operator.challenges.routes import CHALLENGE_LABEL
from csr_operator.challenges.server import serve_tls
from csr_operator.fence import Fenced, fenced
from csr_operator.kube.routes import Routes
from csr_operator.kube.transport import Transport
from csr_operator.plugin.errors import Misconfigured, Rejected, Retryable
from csr_operator.plugin.testing import Clock
from devcluster import ControlPlane
from tests.responder.support import ISSUER, TENANT, asked, now, proven, proven_by, shaken
from tests.support.audit import api_calls, writes
from tests.support.kubectl import Kubectl
from tests.support.names import unique
from tests.support.operator import NAMESPACE, OperatorProcess
from tests.support.pebble import Pebble, pebble
from tests.support.ports import free_ports
from tests.support.site import new_namespace

OTHER = Issuer(Kind.CLUSTER_ISSUER, "", "other", "uid-2", "1", 1, "acme", {})
DAY = timedelta(days=1)


@pytest.fixture
def challenge() -> AlpnChallenge:
    """At a name of its own."""
    return AlpnChallenge(f"{unique('www')}.example.com", f"{unique('token')}.thumbprint")


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime.now(UTC))


@pytest.fixture
def replicas(routes: Routes, clock: Clock) -> list[AlpnChallenges]:
    return [AlpnChallenges(routes, NAMESPACE, clock) for _ in range(3)]


@pytest.fixture(autouse=True)
def _leaves_nothing(home: Kubectl) -> Iterator[None]:
    yield
    home("delete", "configmap", "-l", CHALLENGE_LABEL)


@pytest.fixture(scope="module")
def tls_port() -> int:
    return free_ports(1)[0]


@pytest.fixture(scope="module")
def server(tls_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pebble]:
    with pebble(tmp_path_factory.mktemp("pebble"), tls_port=tls_port) as running:
        yield running


def another(challenge: AlpnChallenge) -> AlpnChallenge:
    """At the same name, of another account."""
    return replace(challenge, answer=f"{unique('token')}.another")


def notes(home: Kubectl) -> list[str]:
    return [obj["metadata"]["name"] for obj in home.list("configmap", "-l", f"{CHALLENGE_LABEL}=tls-alpn-01")]


async def shown(replica: AlpnChallenges, name: str, *challenges: AlpnChallenge) -> AlpnChallenge | None:
    """Which of these a CA sees that is led to that replica."""
    [port] = free_ports(1)
    async with serve_tls("127.0.0.1", port, replica.answer, now):
        try:
            der, _, _ = await shaken(port, name, "acme-tls/1")
        except (ConnectionResetError, ssl.SSLError):
            return None
    return proven_by(der, *challenges)


@pytest.mark.parametrize(
    "identifier", [Identifier("dns", "tls.example.com"), Identifier("ip", "127.0.0.1")], ids=lambda i: i.type
)
async def test_a_ca_is_led_to_a_replica_that_did_not_present(
    client: AcmeClient,
    key: ec.EllipticCurvePrivateKey,
    replicas: list[AlpnChallenges],
    routes: Routes,
    tls_port: int,
    identifier: Identifier,
) -> None:
    first, second = (IssuerResponder(Challenges(routes, NAMESPACE, now, alpn), ISSUER) for alpn in replicas[:2])
    order, wanted = await asked(client, identifier, "tls-alpn-01")
    answer = key_authorization(wanted.token, key)
    await first.present_alpn(identifier.value, answer)
    async with serve_tls("127.0.0.1", tls_port, replicas[1].answer, now):
        assert await proven(client, order, wanted) == "ready"
    await second.withdraw_alpn(identifier.value, answer)


async def test_a_process_that_did_not_present_it_answers(
    operator_credentials: Path, replicas: list[AlpnChallenges], challenge: AlpnChallenge, tmp_path: Path
) -> None:
    """Whichever requests it is for."""
    [port] = free_ports(1)
    arguments = ("--namespace", "kube-public", "--acme-tls-address", f"127.0.0.1:{port}")
    with OperatorProcess(operator_credentials, tmp_path / "operator.log", *arguments):
        with pytest.raises((ConnectionResetError, ssl.SSLError)):
            await shaken(port, challenge.host, "acme-tls/1")
        await replicas[0].present(challenge, ISSUER)
        der, _, _ = await shaken(port, challenge.host, "acme-tls/1")
    assert proven_by(der, challenge)
    assert "Traceback" not in (tmp_path / "operator.log").read_text()


async def test_one_write_makes_it_and_one_removes_it(
    replicas: list[AlpnChallenges], cluster: ControlPlane, home: Kubectl, challenge: AlpnChallenge
) -> None:
    """And it says nothing that is not public."""

    def written() -> list[str]:
        names = ("", challenge.object_name)  # none is in the path of a create
        calls = [call for call in writes(cluster, NAMESPACE)[since:] if call.resource == "configmaps"]
        return [call.verb for call in calls if call.name in names]

    since = len(writes(cluster, NAMESPACE))
    for _ in range(2):
        await replicas[0].present(challenge, ISSUER)
    [note] = home.list("configmap", "-l", CHALLENGE_LABEL)
    assert note["metadata"]["labels"][CHALLENGE_LABEL] == "tls-alpn-01"
    assert note["metadata"]["annotations"].keys() == {
        f"csr-operator.dev/challenge-{key}" for key in ("host", "answer", "issuer", "presented-at")
    }
    assert note["metadata"]["annotations"]["csr-operator.dev/challenge-answer"] == challenge.answer
    assert "data" not in note
    await replicas[0].withdraw(challenge)
    assert written() == ["create", "delete"]
    assert notes(home) == []
    assert await replicas[0].answer(challenge.name, look=True) is None


async def test_each_replica_has_a_key_of_its_own(replicas: list[AlpnChallenges], challenge: AlpnChallenge) -> None:
    await replicas[0].present(challenge, ISSUER)
    ports = free_ports(2)
    async with (
        serve_tls("127.0.0.1", ports[0], replicas[0].answer, now),
        serve_tls("127.0.0.1", ports[1], replicas[1].answer, now),
    ):
        certificates = [(await shaken(port, challenge.host, "acme-tls/1"))[0] for port in (*ports, *ports)]
    assert [proven_by(der, challenge) for der in certificates] == [challenge] * 4
    assert certificates[0] != certificates[1]
    assert certificates[:2] == certificates[2:]


async def test_after_a_crash_it_is_presented_and_withdrawn_all_the_same(
    replicas: list[AlpnChallenges], home: Kubectl, challenge: AlpnChallenge
) -> None:
    before, restarted, again = replicas
    await before.present(challenge, ISSUER)
    await restarted.present(challenge, ISSUER)
    assert await restarted.answer(challenge.name, look=False) == challenge
    await again.withdraw(another(challenge))
    assert notes(home) == [challenge.object_name]
    for replica in (again, again, restarted):
        await replica.withdraw(challenge)
    assert notes(home) == []


async def test_what_somebody_else_changed_is_withdrawn_all_the_same(
    replicas: list[AlpnChallenges], clock: Clock, home: Kubectl, challenge: AlpnChallenge
) -> None:
    await replicas[0].present(challenge, ISSUER)
    home("annotate", "configmap", challenge.object_name, "example.com/seen=true")
    await replicas[0].withdraw(challenge)
    assert notes(home) == []
    assert await replicas[0].answer(challenge.name, look=False) is None
    clock.advance(hours=7)
    await replicas[0].refresh()
    assert notes(home) == []


@pytest.mark.parametrize("where", ["in the same replica", "in another"])
async def test_of_two_at_one_name_the_first_is_answered_and_the_other_waits(
    replicas: list[AlpnChallenges], clock: Clock, challenge: AlpnChallenge, where: str
) -> None:
    """Also of one issuer, for two requests: a CA does not say which it looks at."""
    first, second = replicas[0], replicas[0 if where == "in the same replica" else 1]
    waiting = another(challenge)
    await first.present(challenge, ISSUER)
    for issuer in (OTHER, ISSUER):
        with pytest.raises(Retryable, match=r"ClusterIssuer letsencrypt has another challenge at .* answered first"):
            await second.present(waiting, issuer)
    await second.withdraw(waiting)  # it was given up
    for replica in replicas:
        assert await replica.answer(challenge.name, look=True) == challenge

    await first.withdraw(challenge)
    await second.present(waiting, OTHER)
    for replica in replicas:
        assert await shown(replica, challenge.host, challenge, waiting) == waiting


async def test_who_comes_at_once_is_first_or_waits(
    replicas: list[AlpnChallenges], home: Kubectl, challenge: AlpnChallenge
) -> None:
    rivals = [another(challenge) for _ in range(6)]
    presenting = [replicas[number % 3].present(rival, ISSUER) for number, rival in enumerate(rivals)]
    results = await asyncio.gather(*presenting, return_exceptions=True)
    assert sum(result is None for result in results) == 1
    assert sum(isinstance(result, Retryable) for result in results) == 5
    winner = rivals[results.index(None)]
    for replica in replicas:
        assert await replica.answer(challenge.name, look=True) == winner


async def test_who_has_no_ca_look_keeps_nobody_from_a_name_for_ever(
    replicas: list[AlpnChallenges], clock: Clock, challenge: AlpnChallenge
) -> None:
    """Such as a tenant whose CA is one of his own, where Issuers may."""
    squatter, owner, third = replicas
    wanted = another(challenge)
    await squatter.present(challenge, TENANT)
    clock.advance(minutes=9)
    with pytest.raises(Retryable):
        await owner.present(wanted, ISSUER)
    clock.advance(minutes=1)
    await owner.present(wanted, ISSUER)
    for replica in (squatter, owner, third):
        assert await shown(replica, challenge.host, challenge, wanted) == wanted
    with pytest.raises(Retryable):
        await squatter.present(challenge, TENANT)
    await squatter.withdraw(challenge)
    await squatter.refresh()
    assert await third.answer(challenge.name, look=True) == wanted


async def test_an_issuer_of_another_namespace_is_not_named(
    replicas: list[AlpnChallenges], challenge: AlpnChallenge
) -> None:
    mallory = replace(TENANT, namespace="team-b", name="mine", uid="uid-3")
    await replicas[0].present(challenge, TENANT)
    with pytest.raises(Retryable, match="another issuer has another challenge") as refused:
        await replicas[1].present(another(challenge), mallory)
    assert "team-a" not in str(refused.value)


async def test_what_a_tenant_wrote_is_not_believed(
    replicas: list[AlpnChallenges], cluster: ControlPlane, challenge: AlpnChallenge
) -> None:
    """A ConfigMap like the operator's, in mallory's namespace."""
    Kubectl(cluster, new_namespace(cluster)).apply(_note(challenge))
    assert await replicas[0].answer(challenge.name, look=True) is None
    await replicas[0].present(another(challenge), ISSUER)


@pytest.mark.parametrize("spoiled", [{"answer": "<script>"}, {"host": "other.example.com"}, {"host": "\u00fc.de"}, {}])
async def test_what_somebody_spoiled_is_not_answered_and_written_over(
    replicas: list[AlpnChallenges], home: Kubectl, challenge: AlpnChallenge, spoiled: dict[str, str]
) -> None:
    note = _note(challenge)
    if spoiled:
        changed = {f"csr-operator.dev/challenge-{name}": value for name, value in spoiled.items()}
        note["metadata"]["annotations"].update(changed)
    else:
        del note["metadata"]["annotations"]
    home.apply(note)
    for name in (challenge.name, "other.example.com", "\u00fc.de"):
        assert await replicas[0].answer(name, look=True) is None
    await replicas[0].present(challenge, ISSUER)
    assert await replicas[1].answer(challenge.name, look=True) == challenge


def _note(challenge: AlpnChallenge) -> dict[str, Any]:
    group = "csr-operator.dev"
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": challenge.object_name,
            "labels": {CHALLENGE_LABEL: "tls-alpn-01"},
            "annotations": {
                f"{group}/challenge-host": challenge.host,
                f"{group}/challenge-answer": challenge.answer,
            },
        },
    }


@pytest.mark.parametrize(
    "impossible",
    [AlpnChallenge("www.example.com", "<script>"), AlpnChallenge("a b", "token.thumbprint"), AlpnChallenge("", "t.t")],
)
async def test_a_challenge_that_cannot_be(
    replicas: list[AlpnChallenges], home: Kubectl, impossible: AlpnChallenge
) -> None:
    with pytest.raises(Rejected):
        await replicas[0].present(impossible, ISSUER)
    assert notes(home) == []


async def test_unknown_names_cost_at_most_one_look_a_second(
    transport: Transport,
    routes: Routes,
    cluster: ControlPlane,
    challenge: AlpnChallenge,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    agent = unique("scanned")
    monkeypatch.setattr(transport, "agent", agent)
    scanned = AlpnChallenges(routes, NAMESPACE, now)
    time = asyncio.get_running_loop().time
    began = time()
    for _ in range(3):
        names = [f"{unique('host')}.example.com" for _ in range(200)]
        assert set(await asyncio.gather(*(scanned.answer(name, look=True) for name in names))) == {None}
    assert await scanned.answer(challenge.name, look=False) is None
    looks = time() - began + 1
    assert 3 <= len(api_calls(cluster, user_agent=agent, verb="list")) <= looks


async def test_what_was_withdrawn_and_presented_anew_a_moment_ago_is_seen(
    replicas: list[AlpnChallenges], challenge: AlpnChallenge
) -> None:
    """No answer is that of an earlier look."""
    first, second, asked_of = replicas
    before = asyncio.create_task(asked_of.answer(challenge.name, look=True))
    assert await before is None
    await first.present(challenge, ISSUER)
    assert await asked_of.answer(challenge.name, look=True) == challenge
    await first.withdraw(challenge)
    await second.present(another(challenge), OTHER)
    assert await asked_of.answer(challenge.name, look=True) not in (challenge, None)


async def test_without_the_api_server_what_is_in_memory_is_answered(
    transport: Transport,
    replicas: list[AlpnChallenges],
    clock: Clock,
    challenge: AlpnChallenge,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await replicas[0].present(challenge, ISSUER)
    [port] = free_ports(1)
    monkeypatch.setattr(transport, "_host", f"https://127.0.0.1:{port}")
    for _ in range(2):
        assert await replicas[0].answer(challenge.name, look=True) == challenge
        assert await replicas[1].answer(challenge.name, look=True) is None
        clock.advance(hours=1)
    for unknown in (another(challenge), AlpnChallenge(f"other.{challenge.host}", challenge.answer)):
        with pytest.raises(Retryable):
            await replicas[1].present(unknown, ISSUER)
        with pytest.raises(Retryable):
            await replicas[1].withdraw(unknown)


async def test_what_another_replica_has_by_now_is_neither_answered_nor_written(
    replicas: list[AlpnChallenges], clock: Clock, home: Kubectl, challenge: AlpnChallenge
) -> None:
    """The request moved while the CA had not looked yet."""
    before, after, _ = replicas
    ours = True
    with fenced(lambda: ours):
        await before.present(challenge, ISSUER)
    await after.present(challenge, ISSUER)
    ours = False
    await after.withdraw(challenge)
    assert await before.answer(challenge.name, look=True) is None
    assert await before.answer(challenge.name, look=False) == challenge  # for who is no CA
    clock.advance(hours=6)
    await before.refresh()
    assert notes(home) == []
    assert await before.answer(challenge.name, look=False) is None


async def test_who_may_not_act_presents_nothing(
    replicas: list[AlpnChallenges], home: Kubectl, challenge: AlpnChallenge
) -> None:
    with fenced(lambda: False):
        with pytest.raises(Fenced):
            await replicas[0].present(challenge, ISSUER)
        assert notes(home) == []
    await replicas[1].present(challenge, ISSUER)
    with fenced(lambda: False), pytest.raises(Fenced):
        await replicas[0].withdraw(challenge)
    assert notes(home) == [challenge.object_name]


async def test_what_is_still_presented_stays_until_no_order_can_wait_for_it(
    routes: Routes, clock: Clock, home: Kubectl, challenge: AlpnChallenge
) -> None:
    at_work, other = (Challenges(routes, NAMESPACE, clock, AlpnChallenges(routes, NAMESPACE, clock)) for _ in range(2))
    clock.advance(days=-10)
    await IssuerResponder(at_work, ISSUER).present_alpn(challenge.host, challenge.answer)
    for _ in range(5):
        clock.advance(days=1)
        await at_work.sweep()
        await other.sweep()
        assert notes(home) == [challenge.object_name]

    home("delete", "configmap", challenge.object_name)
    clock.advance(days=1)
    await at_work.sweep()
    assert notes(home) == [challenge.object_name]

    clock.advance(days=1)
    await at_work.sweep()
    assert notes(home) == []


async def test_what_a_process_left_behind_is_removed_a_day_later(
    replicas: list[AlpnChallenges], routes: Routes, clock: Clock, home: Kubectl, challenge: AlpnChallenge
) -> None:
    """Also by one that does not listen."""
    clock.advance(days=-2)
    await replicas[0].present(challenge, ISSUER)
    for listens in (replicas[1], None):
        clock.advance(hours=11)
        await Challenges(routes, NAMESPACE, clock, listens).sweep()
        assert notes(home) == [challenge.object_name]
    clock.advance(hours=2)
    await Challenges(routes, NAMESPACE, clock, None).sweep()
    assert notes(home) == []


async def test_what_is_there_for_an_issuer_goes_with_it(
    replicas: list[AlpnChallenges], routes: Routes, clock: Clock, home: Kubectl, challenge: AlpnChallenge
) -> None:
    challenges = Challenges(routes, NAMESPACE, clock, replicas[0])
    kept = AlpnChallenge(f"kept.{challenge.host}", challenge.answer)
    await IssuerResponder(challenges, ISSUER).present_alpn(challenge.host, challenge.answer)
    await IssuerResponder(challenges, OTHER).present_alpn(kept.host, kept.answer)
    await challenges.forget(ISSUER)
    assert notes(home) == [kept.object_name]


async def test_rights_that_are_missing(routes: Routes, challenge: AlpnChallenge) -> None:
    elsewhere = AlpnChallenges(routes, "kube-public", now)
    with pytest.raises(Misconfigured, match=r"tlsALPN01: .*forbidden.*kube-public.*apply deploy/"):
        await elsewhere.present(challenge, ISSUER)
    with pytest.raises(Misconfigured, match="apply deploy/"):
        await elsewhere.withdraw(challenge)
    assert await elsewhere.answer(challenge.name, look=True) is None
