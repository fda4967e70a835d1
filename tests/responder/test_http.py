"""http-01 on a real API server: what is made there, and who answers."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from csr_operator.challenges.responder import Challenges, IssuerResponder
from csr_operator.challenges.routes import CHALLENGE_LABEL
from csr_operator.kube.resources import RouteKind
from csr_operator.kube.routes import Routes
from csr_operator.plugin.errors import Misconfigured
from devcluster import ControlPlane
from tests.responder.support import DEADLINE, ISSUER, PATH, TENANT, ask, challenge
from tests.support.audit import writes
from tests.support.kubectl import Kubectl
from tests.support.operator import NAMESPACE, ROOT, OperatorProcess

INGRESS: dict[str, Any] = {"ingress": {"ingressClassName": "nginx"}}


@pytest.mark.parametrize("route", [INGRESS, {}], ids=["Ingress", "routed by the user"])
async def test_a_process_that_did_not_present_a_challenge_answers_it(
    challenges: Challenges, operator: OperatorProcess, route: dict[str, Any]
) -> None:
    presented = challenge()
    assert (await asyncio.to_thread(ask, operator.acme_port, presented.host, PATH + presented.token))[0] == 404

    await challenges.present(presented, route, ISSUER)

    answer = await asyncio.to_thread(ask, operator.acme_port, presented.host, PATH + presented.token)
    assert answer == (200, presented.answer)
    await challenges.withdraw(presented.host, presented.token, ISSUER)


async def test_one_write_makes_it_and_one_removes_it(
    challenges: Challenges, home: Kubectl, cluster: ControlPlane
) -> None:
    presented = challenge()

    def written() -> list[str]:
        return [call.verb for call in writes(cluster, NAMESPACE) if call.name == presented.object_name]

    for _ in range(2):
        await challenges.present(presented, INGRESS, ISSUER)
    spec = home.get("ingress", presented.object_name)["spec"]
    assert await challenges.answer(presented.host, presented.token) == presented.answer
    assert written() == ["patch"]
    assert spec["ingressClassName"] == "nginx"
    [rule] = spec["rules"]
    [path] = rule["http"]["paths"]
    assert (rule["host"], path["path"], path["pathType"]) == (presented.host, PATH + presented.token, "Exact")
    assert home.get("service", path["backend"]["service"]["name"])["spec"]["ports"][0]["port"] == 80

    await challenges.withdraw(presented.host, presented.token, ISSUER)
    assert written() == ["patch", "delete"]
    assert home.get("ingress", presented.object_name) == {}
    assert await challenges.answer(presented.host, presented.token) is None


async def test_after_a_crash_it_is_presented_and_withdrawn_all_the_same(
    routes: Routes, challenges: Challenges, home: Kubectl
) -> None:
    presented = challenge()
    await challenges.present(presented, INGRESS, ISSUER)
    restarted, again = (Challenges(routes, NAMESPACE, challenges._clock, None) for _ in range(2))

    await restarted.present(presented, INGRESS, ISSUER)
    assert await restarted.answer(presented.host, presented.token) == presented.answer
    for process in (again, again, restarted):
        await process.withdraw(presented.host, presented.token, ISSUER)
    assert home.get("ingress", presented.object_name) == {}
    assert home.list("ingress", "-l", CHALLENGE_LABEL) == []


async def test_of_an_issuer_in_whose_namespace_the_operator_has_no_rights_it_is_withdrawn_again_and_after_a_crash(
    routes: Routes, challenges: Challenges, home: Kubectl, namespace: str
) -> None:
    tenant, presented = replace(TENANT, namespace=namespace), challenge()
    first, restarted = (Challenges(routes, NAMESPACE, challenges._clock, None, for_issuers=True) for _ in range(2))
    for process in (restarted, first):
        await first.present(presented, {}, tenant)
        for _ in range(2):
            await process.withdraw(presented.host, presented.token, tenant)
        assert home.get("configmap", presented.object_name) == {}


@pytest.mark.parametrize(
    ("presented_for", "asked"),
    [
        ("www.example.com", "www.example.com:80"),
        ("www.example.com", "WWW.Example.COM"),
        ("WWW.example.com", "www.example.com."),
        ("192.0.2.1", "192.0.2.1:8080"),
        ("2001:db8::1", "[2001:DB8:0::1]"),
        ("2001:0db8::1", "[2001:db8::1]:80"),
    ],
)
async def test_the_host_is_compared_as_a_name_or_an_address(
    challenges: Challenges, operator: OperatorProcess, presented_for: str, asked: str
) -> None:
    presented = challenge(presented_for)
    responder = IssuerResponder(challenges, ISSUER)
    await responder.present_http(presented_for, presented.token, presented.answer, {})
    answer = await asyncio.to_thread(ask, operator.acme_port, asked, PATH + presented.token)
    assert answer == (200, presented.answer)
    await responder.withdraw_http(presented_for, presented.token)


async def test_nothing_else_is_answered(challenges: Challenges, operator: OperatorProcess) -> None:
    presented = challenge()
    await challenges.present(presented, {}, ISSUER)
    asked = {
        ("other.example.com", PATH + presented.token, "GET"): 404,
        ("www.example.com", PATH, "GET"): 404,
        ("www.example.com", PATH + presented.token + "/", "GET"): 404,
        ("www.example.com", PATH + presented.token + "%00", "GET"): 404,
        ("www.example.com", "/metrics", "GET"): 404,
        ("www.example.com", "/", "GET"): 404,
        ("www.example.com", PATH + presented.token, "POST"): 405,
        ("www.example.com", PATH + presented.token, "HEAD"): 200,
        ("www.example.com", PATH + presented.token, "GET"): 200,
    }
    answered = {question: (await asyncio.to_thread(ask, operator.acme_port, *question))[0] for question in asked}
    assert answered == asked
    await challenges.withdraw(presented.host, presented.token, ISSUER)


async def test_while_nothing_can_be_looked_up_what_was_seen_is_answered_and_the_log_is_not_filled(
    routes: Routes, challenges: Challenges, home: Kubectl, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever connects has it looked up what they make up."""
    presented, other = challenge(), Challenges(routes, NAMESPACE, challenges._clock, None)
    await challenges.present(presented, {}, ISSUER)
    assert await other.answer(presented.host, presented.token) == presented.answer

    async def refused() -> int:
        assert await other.answer(presented.host, challenge().token) is None
        return caplog.text.count("cannot look up a challenge")

    home("delete", "rolebinding", "csr-operator-acme")
    try:
        async with asyncio.timeout(DEADLINE):
            while await refused() < len(RouteKind):
                pass
        for _ in range(2):
            assert await refused() == len(RouteKind)
        assert await other.answer(presented.host, presented.token) == presented.answer
    finally:
        home("apply", "--server-side", "-f", str(ROOT / "deploy" / "rbac.yaml"), "--namespace", NAMESPACE)
    async with asyncio.timeout(DEADLINE):
        while home.get("configmap", presented.object_name):
            with suppress(Misconfigured):
                await challenges.withdraw(presented.host, presented.token, ISSUER)
