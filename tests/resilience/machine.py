"""Users' edits and faults of the API server in any order, and what has to hold when the faults are over."""

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from cryptography import x509
from hypothesis import reject
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from csr_operator.pki.fingerprint import serial_octets, whole_octets
from devcluster import ControlPlane
from tests.crashes.life import check_pair
from tests.crashes.secret_watch import Version
from tests.support.api_proxy import WATCHED, WRITES, ApiProxy, Fault
from tests.support.certificates import certificate_of
from tests.support.kubectl import Kubectl, condition, reader, wait_until
from tests.support.manifests import issuer, request
from tests.support.operator import OperatorProcess
from tests.support.revocation import CA, GROUP, ISSUER, OWED, crl_text
from tests.support.secret_sampler import SecretSampler
from tests.support.site import REQUEST, decoded, new_namespace
from tests.support.third_party import HttpCa, external

NAMES = ("a", "b", "c")
ISSUERS = ("ca", "orders", "absent")
OFTEN = 12
"""Steps after which all may come to rest, which takes half a minute."""
DAMAGE = "ZGFtYWdl"
"""What a user writes into a Secret where the operator's data was."""

EDITS = ("delete", "rename", "move", "name another Secret", "renew", "revoke", "touch", "spoil")
FAULTS = (
    *("calls fail", "calls fail", "calls fail", "others write", "watch breaks", "watches fall silent"),
    *("events are repeated", "events are held back", "events come late", "API server restarts"),
)
STEPS = (
    *("make", "take issuer away", "bring issuers back", "rest", *EDITS, *FAULTS),
    *("time passes", "time passes", "time passes"),
)
SPOILT = {
    "it is deleted": (),
    "tls.crt": ("tls.crt",),
    "tls.key": ("tls.key",),
    "all": ("tls.crt", "tls.key", "ca.crt"),
}
CALLS: dict[str, dict[str, Any]] = {
    "too busy": {"status": 429, "headers": {"Retry-After": "1"}},
    "an internal error": {"status": 500, "text": "<html>"},
    "unavailable": {"status": 503},
    "unauthorized": {"status": 401},
    "a page of somebody else": {"status": 200, "text": "<html>log in</html>"},
    "cut": {"cut": True},
    "cut after a write": {"cut": True, "verbs": WRITES},
    "lost after a write": {"lost": True, "verbs": WRITES},
}
SAID = {
    "an end": b"",
    "an error": b'{"type":"ERROR","object":{"kind":"Status","code":500,"message":"etcdserver: leader changed"}}\n',
    "a version that is too old": b'{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old"}}\n',
    "half a line": b'{"type":"MODIFIED","object":{"metadata":{"name":"a',
}


@dataclass(slots=True)
class Wanted:
    """A request as its user wants it. spoilt: its Secret was, since its user last asked for another certificate, which
    is how often that may be without the operator waiting longer each time."""

    issuer: str
    version: int
    keeps_key: bool
    spoilt: bool = False
    renewals: int = 0
    may_change_key: bool = False
    """Something was done after which the key is another one, even if it is to be kept."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where all machines of a run are: a control plane, the operator's credentials, and a CA that counts."""

    cluster: ControlPlane
    credentials: Path
    installed: Path
    folder: Path
    ca: HttpCa
    replicas: int = 1


@dataclass(slots=True)
class Run:
    """One life of a machine: what runs, and what was done."""

    kubectl: Kubectl
    proxy: ApiProxy
    operators: list[OperatorProcess]
    sampler: SecretSampler
    ca: HttpCa
    changes: Counter[str] = field(default_factory=Counter)
    """How often something was done to a request that makes an order under way useless."""

    def settle(self, wanted: dict[str, Wanted]) -> None:
        """The faults are over: wait until all is as it should be, and look at all there is to be seen."""
        self.proxy.faults.clear()
        self.proxy.muted, self.proxy.echoes = False, 0
        self.proxy.show()
        self.proxy.cut()
        try:
            wait_until("all is as it should be", lambda: not self.missing(wanted), seconds=60)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.missing(wanted)}") from None
        self.rest()
        before = len(self.proxy.writes())
        self.proxy.cut()
        self.rest()
        assert self.missing(wanted) == []
        written = [(call.verb, call.path, call.status) for call in self.proxy.writes()[before:]]
        assert written == [], "it writes although nothing is to be done"
        for operator in self.operators:
            assert operator.is_ready()
            assert operator.get("/healthz") == "ok\n"
            assert "Traceback" not in operator.log.read_text()
        self._check_secrets(wanted)

    def rest(self) -> None:
        """Wait until for a while nothing was written but Leases, which each renews every few seconds."""

        def seen() -> tuple[int, int]:
            passed = list(self.proxy.passed)
            return len(self.proxy.writes()), sum(call.resource == "leases" and call.verb == "PUT" for call in passed)

        start = seen()

        def rests() -> bool:
            nonlocal start
            writes, leases = seen()
            if writes != start[0]:
                start = writes, leases
            return leases >= start[1] + 2 * len(self.operators)

        wait_until("it rests", rests, seconds=60)

    def missing(self, wanted: dict[str, Wanted]) -> list[str]:
        """What is not as the specs ask for."""
        there = {each["metadata"]["name"]: each for each in self.kubectl.list("certificaterequests")}
        secrets = {each["metadata"]["name"]: each for each in self.kubectl.list("secrets")}
        found = [f"request {name} is still there" for name in there.keys() - wanted.keys()]
        served = {f"{name}-tls" for name in wanted}
        found += [f"Secret {name} is left" for name in secrets.keys() - served - {"revoking-ca", "crl"}]
        for name, wish in wanted.items():
            found += [f"{name}: {what}" for what in _unfulfilled(wish, name, there[name], secrets.get(f"{name}-tls"))]
        return found

    def _check_secrets(self, wanted: dict[str, Wanted]) -> None:
        versions, written = self.sampler.versions(), []
        for version in versions:
            if DAMAGE not in version.secret.get("data", {}).values():
                check_pair(version)
                written.append(version)
        chains = [chain for _, chain in self.ca.branch(self.kubectl.namespace).orders.values()]
        leaves = [x509.load_pem_x509_certificate(chain.encode()) for chain in chains]
        ordered = Counter(_name_of(leaf) for leaf in leaves)
        known = {serial_octets(leaf) for leaf in leaves}
        shown: dict[str, str] = {}
        for version in written:
            if "tls.crt" in version.secret.get("data", {}) and version.name.endswith("-tls"):
                leaf = certificate_of(version.secret)
                if serial_octets(leaf) in known:
                    shown[serial_octets(leaf)] = _name_of(leaf)
        for name, count in Counter(shown.values()).items():
            spare = ordered[name] - count
            assert spare <= self.changes[name], f"{name}: {ordered[name]} orders for {count} certificates"
        for name in ordered.keys() - set(shown.values()):
            assert ordered[name] <= self.changes[name], f"{name}: {ordered[name]} orders, and nothing came of them"
        for name, wish in wanted.items():
            if wish.keeps_key and not wish.may_change_key:
                uid = self.kubectl.get(REQUEST, name)["metadata"]["uid"]
                keys = {version.secret["data"]["tls.key"] for version in written if _is_of(version, name, uid)}
                assert len(keys) <= 1, f"{name}: its key was to be kept, and there were {len(keys)}"
        self._check_revoked(wanted)

    def _check_revoked(self, wanted: dict[str, Wanted]) -> None:
        """What serves was not revoked."""
        revoked = {whole_octets(serial) for serial in self.ca.branch(self.kubectl.namespace).revoked}
        if listed := decoded(self.kubectl.get("secret", "crl")).get("ca.crl", ""):
            text = crl_text(listed).partition("Revoked Certificates")[2]
        else:
            text = ""
        for name in wanted:
            secret = self.kubectl.get("secret", f"{name}-tls")
            if secret and DAMAGE not in secret["data"].values():
                serial = serial_octets(certificate_of(secret))
                assert serial not in revoked, f"{name}: what serves is revoked"
                assert serial.replace(":", "").lstrip("0") not in text, f"{name}: what serves is on the list"


def _unfulfilled(wish: Wanted, name: str, obj: dict[str, Any], secret: dict[str, Any] | None) -> Iterator[str]:
    kinds = {(c["type"], c["status"], c["reason"]) for c in obj.get("status", {}).get("conditions", ())}
    if wish.issuer == "absent":
        if "IssuerNotFound" not in {reason for _, _, reason in kinds}:
            yield f"is not told that there is no issuer: {kinds}"
        return
    if {(kind, status) for kind, status, _ in kinds} != {("Ready", "True")}:
        yield f"is not Ready: {obj.get('status', {}).get('conditions')}"
    if condition(obj, "Ready").get("observedGeneration") != obj["metadata"]["generation"]:
        yield "was not looked at since it was changed"
    if secret is None:
        yield "has no Secret"
        return
    marks = secret["metadata"]["annotations"]
    if DAMAGE in secret["data"].values():
        yield "its Secret is damaged"
        return
    if OWED in marks:
        yield f"owes a revocation: {marks[OWED]}"
    if marks.get(f"{GROUP}/serial-number") != obj["status"].get("serialNumber"):
        yield "status and Secret do not agree"
    names = certificate_of(secret).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    if names.get_values_for_type(x509.DNSName) != [_host(name, wish.version)]:
        yield f"is for {names}"
    if [owner["uid"] for owner in secret["metadata"]["ownerReferences"]] != [obj["metadata"]["uid"]]:
        yield "its Secret is another's"


def _is_of(version: Version, name: str, uid: str) -> bool:
    """It is the Secret of this request."""
    owners = version.secret["metadata"].get("ownerReferences", ())
    return version.name == f"{name}-tls" and uid in [owner["uid"] for owner in owners]


def _host(name: str, version: int) -> str:
    return f"{name}-{version}.example.com"


def _name_of(leaf: x509.Certificate) -> str:
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.DNSName)[0].split("-")[0]


@contextmanager
def _running(stage: Stage) -> Iterator[Run]:
    kubectl = Kubectl(stage.cluster, new_namespace(stage.cluster))
    folder = stage.folder / kubectl.namespace
    folder.mkdir()
    with ExitStack() as stack:
        proxy = stack.enter_context(ApiProxy(stage.cluster.kubeconfig))
        sampler = stack.enter_context(SecretSampler(kubectl))
        kubeconfig = proxy.kubeconfig(stage.credentials, folder)
        operators = [
            OperatorProcess(
                kubeconfig,
                folder / f"operator-{number}.log",
                "--namespace",
                kubectl.namespace,
                installed=stage.installed,
                patience=10,
            )
            for number in range(stage.replicas)
        ]
        for operator in operators:
            stack.callback(operator.kill)
            operator.start()
        run = Run(kubectl, proxy, operators, sampler, stage.ca)
        yield run


class FaultMachine(RuleBasedStateMachine):
    """stage: to be set before it runs."""

    stage: ClassVar[Stage]

    def __init__(self) -> None:
        super().__init__()
        self.wanted: dict[str, Wanted] = {}
        self.issuers = {"ca", "orders"}
        self.version = 0
        self.restarted, self.rested = False, 0
        self.steps: list[str] = []
        self._stack = ExitStack()

    @initialize(number=st.integers(0, 2**32))
    def begin(self, number: int) -> None:
        """number: by which the events that come late are mixed."""
        if not number:
            reject()  # Hypothesis begins with what is simplest: the first of all steps, again and again
        self.run = self._stack.enter_context(_running(self.stage))
        self.kubectl, self.proxy = self.run.kubectl, self.run.proxy
        self.proxy.chance.seed(number)
        self.kubectl.create(CA.secret("revoking-ca"), *map(self._issuer, sorted(self.issuers)))
        self._make("a", "orders", keeps_key=True, revokes=True)
        self._make("b", "ca", keeps_key=False, revokes=False)

    def teardown(self) -> None:
        """After the last step: all has to come to rest, and the operator to end as it should."""
        try:
            if sys.exc_info()[0] is None and self.steps:
                self._settle()
                for operator in self.run.operators:
                    assert operator.stop() == 0
        finally:
            self._stack.close()

    def _settle(self) -> None:
        self._bring_issuers_back()
        try:
            self.run.settle(self.wanted)
        except AssertionError as error:
            logs = "\n".join(operator.log.read_text()[-6000:] for operator in self.run.operators)
            raise AssertionError(f"{error}\nafter: {'; '.join(self.steps)}\n{logs}") from None

    def _bring_issuers_back(self) -> None:
        for name in {"ca", "orders"} - self.issuers:
            self.kubectl.create(self._issuer(name))
        self.issuers = {"ca", "orders"}

    def _issuer(self, name: str) -> dict[str, Any]:
        if name == "ca":
            return issuer("ca", ca=ISSUER)
        return external(self.run.ca.branch(self.kubectl.namespace), "orders", "example-orders")

    def _patch(self, kind: str, name: str, change: dict[str, Any]) -> int:
        """The status of HTTP."""
        return reader(self.kubectl.cluster).merge(kind, name, self.kubectl.namespace, change, "user")

    def _annotate(self, name: str, **marks: str) -> None:
        annotations = {f"{GROUP}/{mark}": value for mark, value in marks.items()}
        assert self._patch(REQUEST, name, {"metadata": {"annotations": annotations}}) == 200

    def _did(self, what: str) -> None:
        print(what)
        self.steps.append(what)

    def _changes(self, name: str) -> None:
        self.run.changes[name] += 1

    @rule(
        what=st.sampled_from(STEPS),
        name=st.sampled_from(NAMES),
        where=st.sampled_from(ISSUERS),
        spoilt=st.sampled_from(sorted(SPOILT)),
        call=st.sampled_from(sorted(CALLS)),
        said=st.sampled_from(sorted(SAID)),
        resource=st.sampled_from(WATCHED),
        times=st.integers(1, 12),
        is_so=st.booleans(),
        is_also_so=st.booleans(),
    )
    def step(
        self,
        what: str,
        name: str,
        where: str,
        spoilt: str,
        call: str,
        said: str,
        resource: str,
        times: int,
        *,
        is_so: bool,
        is_also_so: bool,
    ) -> None:
        """One of STEPS, with what it needs of the rest. All are one rule, as Hypothesis leaves most of many rules
        out of a life."""
        match what:
            case "make":
                self._make(name, where, keeps_key=is_so, revokes=is_also_so)
            case "take issuer away":
                self._take_issuer_away("ca" if is_so else "orders")
            case "bring issuers back":
                self._did(what)
                self._bring_issuers_back()
            case "calls fail":
                self._did(f"{times} calls: {call}")
                self.proxy.faults.append(Fault(times, **CALLS[call]))
            case "others write":
                self._others_write(resource, times)
            case "watch breaks":
                self._did(f"on the watch of {resource}: {said}")
                self.proxy.say(resource, SAID[said])
            case "watches fall silent":
                self._did("watches fall silent" if is_so else "watches are heard again")
                self.proxy.muted = is_so
            case "events are repeated":
                self._did(f"each event comes {times % 4} times more")
                self.proxy.echoes = times % 4
            case "events are held back":
                self._did(what)
                self.proxy.held = True
            case "events come late":
                self._did(f"{what}, in another order")
                self.proxy.show()
            case "API server restarts":
                self._restart()
            case "time passes":
                self._did(f"{(times + 1) // 2} calls later")
                until = len(self.proxy.passed) + (times + 1) // 2
                wait_until("the operator goes on", lambda: len(self.proxy.passed) >= until)
            case "rest":
                self._rest()
            case _ if name in self.wanted:
                self._edit(what, name, where, spoilt)

    def _make(self, name: str, where: str, *, keeps_key: bool, revokes: bool) -> None:
        """If it is there, it is deleted and made anew."""
        self._did(f"make {name} by {where}, keeps_key={keeps_key}, revokes={revokes}")
        if name in self.wanted:
            self._bring_issuers_back()  # else what it owes keeps it
            reader(self.kubectl.cluster).delete(REQUEST, name, self.kubectl.namespace)
            wait_until(f"{name} is gone", lambda: not self.kubectl.get(REQUEST, name))
            self._changes(name)
        self.version += 1
        self.wanted[name] = Wanted(where, self.version, keeps_key)
        spec: dict[str, Any] = {"revocation": {"onRotation": True}} if revokes else {}
        if keeps_key:
            spec["privateKey"] = {"rotationPolicy": "Never"}
        self.kubectl.create(request(name, where, dnsNames=[_host(name, self.version)], **spec))

    def _edit(self, what: str, name: str, where: str, spoilt: str) -> None:
        """What users do with a request that is there."""
        wish = self.wanted[name]
        match what:
            case "delete":
                self._did(f"delete {name}")
                del self.wanted[name]
                self._changes(name)
                reader(self.kubectl.cluster).delete(REQUEST, name, self.kubectl.namespace)
            case "rename":
                self.version += 1
                self._did(f"rename {name} to {self.version}")
                wish.version = self.version
                self._changes(name)
                assert self._patch(REQUEST, name, {"spec": {"dnsNames": [_host(name, self.version)]}}) == 200
            case "move":
                self._did(f"move {name} to {where}")
                wish.issuer = where
                self._changes(name)
                assert self._patch(REQUEST, name, {"spec": {"issuerRef": {"name": where}}}) == 200
            case "name another Secret":
                self._did(f"name another Secret for {name}, which is refused")
                assert self._patch(REQUEST, name, {"spec": {"secretName": "other"}}) == 422
            case "renew":
                wish.renewals += 1
                self._did(f"renew {name} {wish.renewals}")
                wish.spoilt = False
                self._changes(name)
                self._annotate(name, renew=str(wish.renewals))
            case "revoke":
                self._revoke(name)
            case "touch":
                self._did(f"touch {name}, which is nothing to the operator")
                self.version += 1
                mark = {"metadata": {"annotations": {"example.com/touched": str(self.version)}}}
                assert self._patch(REQUEST, name, mark) == 200
                assert self._patch("secret", f"{name}-tls", mark) in (200, 404)
            case "spoil" if not wish.spoilt:
                self._spoil(name, spoilt)

    def _revoke(self, name: str) -> None:
        """What its status says is in use."""
        if serial := self.kubectl.get(REQUEST, name).get("status", {}).get("serialNumber"):
            self._did(f"revoke {name} {serial}")
            self._changes(name)
            self.wanted[name].may_change_key = True
            self._annotate(name, revoke=serial)

    def _spoil(self, name: str, how: str) -> None:
        self._did(f"spoil the Secret of {name}: {how}")
        if damaged := SPOILT[how]:
            status = self._patch("secret", f"{name}-tls", {"data": dict.fromkeys(damaged, DAMAGE)})
        else:
            status = reader(self.kubectl.cluster).delete("secret", f"{name}-tls", self.kubectl.namespace)
        if status in (200, 202):
            self.wanted[name].spoilt = self.wanted[name].may_change_key = True
            self._changes(name)

    def _take_issuer_away(self, name: str) -> None:
        if name in self.issuers:
            self._did(f"delete issuer {name}")
            self.issuers.discard(name)
            for each in self.wanted:
                self._changes(each)
            self.kubectl("delete", "issuer", name)

    def _others_write(self, resource: str, times: int) -> None:
        """Somebody else writes an object in the very moment before the operator does: the API server says 409."""
        self._did(f"{times} writes of {resource}: somebody else is faster")

        async def meddle(path: str) -> None:
            name = path.removesuffix("/status").rpartition("/")[2]
            mark = {"metadata": {"labels": {"meddled": str(self.proxy.chance.getrandbits(32))}}}
            await asyncio.to_thread(self._patch, resource, name, mark)

        self.proxy.faults.append(Fault(times, resource, ("PATCH", "PUT"), before=meddle))

    def _restart(self) -> None:
        """Once in a life, as it takes seconds."""
        if not self.restarted:
            self._did("the API server restarts")
            self.restarted = True
            self.stage.cluster.stop_apiserver()
            self.stage.cluster.start_apiserver()

    def _rest(self) -> None:
        """Not too often, as it takes half a minute."""
        if len(self.steps) - self.rested >= OFTEN:
            self._did("all comes to rest")
            self._settle()
            self.rested = len(self.steps)
