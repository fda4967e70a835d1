"""`python -m benchmarks.acme`: certificates by dns-01 (RFC 2136) from Pebble, beside what a bare ACME client needs.

The bare client takes the same steps with the operator's own ACME client and DNS provider, for all names at once, and
waits as the CA says (Retry-After). One of its turns comes before the operator's and one after.
"""

import argparse
import asyncio
import ssl
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any, NoReturn

import aiohttp
from cryptography.hazmat.primitives.asymmetric import ec

from csr_acme import AcmeClient, AcmeError, Identifier, challenges
from csr_operator.dns.base import Provider
from csr_operator.dns.providers import make_provider
from csr_operator.dns.resolve import Resolver, make_resolver
from csr_operator.pki.csr import CsrTemplate, build_csr
from csr_operator.pki.keys import KeyParameters, generate
from csr_operator.pki.names import Names
from csr_operator.pki.profile import Profile
from csr_operator.plugin.context import Context
from devcluster import ControlPlane, control_plane
from tests.support.acme import acme_issuer, rfc2136, rfc2136_secret
from tests.support.bind import Bind, bind
from tests.support.kubectl import Kubectl
from tests.support.manifests import request
from tests.support.operator import OperatorProcess, operator_kubeconfig
from tests.support.pebble import Pebble, pebble

from . import audit
from .rounds import NotReady, with_operator

_NAMESPACE = "acme"
_LOOK_AGAIN = 1.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.acme", description=__doc__)
    parser.add_argument("-n", type=int, default=100, metavar="N", help="certificates per round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, metavar="R", help="rounds (%(default)s)")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-")))
        cluster = stack.enter_context(control_plane(audit_log=folder / "audit.log"))
        dns = stack.enter_context(bind(folder, ["example.com"]))
        server = stack.enter_context(pebble(folder, dns_port=dns.port))
        try:
            _run(cluster, folder, dns, server, arguments.n, arguments.rounds)
        except (NotReady, AcmeError) as error:
            print(f"benchmarks: {error}", file=sys.stderr)
            return 1
    return 0


def _run(cluster: ControlPlane, folder: Path, dns: Bind, server: Pebble, count: int, rounds: int) -> None:
    Kubectl(cluster, "default")("create", "namespace", _NAMESPACE)
    kubectl = Kubectl(cluster, _NAMESPACE)
    credentials, log = operator_kubeconfig(cluster, folder), folder / "operator.log"
    shares = []
    print(f"{f'seconds for {count} certificates':28}bare client  operator   bare client   ratio   writes each")
    arguments = ("--namespace", _NAMESPACE, "--issuer-check-interval", "30")
    with OperatorProcess(credentials, log, *arguments, measured=True) as operator:
        kubectl.apply(rfc2136_secret(dns), acme_issuer("ca", server, rfc2136(dns)))
        kubectl.wait_ready("ca", kind="issuer")
        for number in range(rounds):
            before = asyncio.run(_bare(server, dns, f"before-{number}", count))
            bodies = [request(f"r{number}-{n:04}", "ca") for n in range(count)]
            since = audit.timestamp()
            seconds = with_operator(cluster, _NAMESPACE, bodies, operator).cost.seconds
            written = audit.writes(cluster.audit_events(), since, audit.timestamp())
            after = asyncio.run(_bare(server, dns, f"after-{number}", count))
            shares.append(seconds / ((before + after) / 2))
            mean = sum(written.values()) / count
            print(
                f"  round {number + 1:<20}{before:>11.1f}{seconds:>10.1f}{after:>14.1f}{shares[-1]:>8.2f}{mean:>14.2f}"
            )
    print(f"median of the ratios {median(shares):>50.2f}")
    print(f"writes of the last round: {', '.join(f'{n} {what}' for what, n in sorted(written.items()))}")


async def _bare(server: Pebble, dns: Bind, prefix: str, count: int) -> float:
    """Seconds for so many certificates without an operator."""
    trusted = ssl.create_default_context(cafile=server.ca_file)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        key = ec.generate_private_key(ec.SECP256R1())
        client = AcmeClient(session, server.directory, key, trusted=trusted)
        await client.new_account(terms_agreed=True)
        config = rfc2136(dns)["dns01"]
        records = make_provider(config, _context(session, dns), "dns01")
        seen = make_resolver(config, "dns01")
        hosts = (f"{prefix}-{number:04}.example.com" for number in range(count))
        start = time.perf_counter()
        await asyncio.gather(*(_certificate(client, records, seen, host) for host in hosts))
        return time.perf_counter() - start


async def _certificate(client: AcmeClient, records: Provider, seen: Resolver, host: str) -> None:
    """Again if the CA could not validate the name, as happens when it is asked for very many at once."""
    while not await _attempt(client, records, seen, host):
        pass


async def _attempt(client: AcmeClient, records: Provider, seen: Resolver, host: str) -> bool:
    order = await client.new_order([Identifier("dns", host)])
    authorization = await client.authorization(order.authorizations[0])
    challenge = next(offered for offered in authorization.challenges if offered.type == "dns-01")
    name, value = challenges.dns_name(host), challenges.dns_value(challenge.token, client.key)
    await records.present(name, value)
    while await seen.propagated([(name, value)]):  # noqa: ASYNC110 - nobody tells when
        await asyncio.sleep(_LOOK_AGAIN)
    await client.respond(challenge)
    while authorization.status == "pending":
        authorization = await client.authorization(authorization.url)
        if authorization.status == "pending":
            await asyncio.sleep(authorization.retry_after or _LOOK_AGAIN)
    await records.withdraw(name, value)
    if authorization.status != "valid":
        return False
    csr = build_csr(CsrTemplate(Names(dns_names=(host,)), Profile()), generate(KeyParameters()))
    order = await client.finalize(order, csr)
    while order.status == "processing":
        await asyncio.sleep(order.retry_after or _LOOK_AGAIN)
        order = await client.order(order.url)
    await client.certificate(order)
    return True


def _context(session: aiohttp.ClientSession, dns: Bind) -> Context:
    async def secret(_: str) -> Mapping[str, bytes]:
        return {"secret": dns.secret.encode()}

    def never(*_: Any) -> NoReturn:
        raise AssertionError("the provider needs no such thing")

    return Context(secret, never, never, lambda: session, never, never)  # type: ignore[arg-type]


if __name__ == "__main__":
    sys.exit(main())
