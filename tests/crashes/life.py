"""One request from its first certificate to its deletion, with an operator that dies on the way, and what has to hold.

A life has five stages. In each the operator may be killed at one point; another takes over, and has come to rest when
the next stage begins.
"""

import json
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from csr_operator.api.names import REPLICAS_LABEL
from csr_operator.api.replicas import Group
from devcluster import ControlPlane
from tests.crashes.place import ISSUER_NAME, Books, Place, serial
from tests.crashes.secret_watch import SecretWatch, Version, watching_secrets
from tests.support.kubectl import Kubectl, condition, wait_until
from tests.support.manifests import request
from tests.support.operator import NAMESPACE as OPERATORS
from tests.support.operator import OperatorProcess
from tests.support.revocation import FINALIZER, GROUP, OWED
from tests.support.site import REQUEST, Site, decoded, new_namespace

STAGES = ("start", "issuance", "renewal", "revocation", "deletion")
NAME, SECRET = "web", "web-tls"
BEFORE, AFTER = "before", "after"


@dataclass(frozen=True, slots=True)
class Kill:
    """point: as `mortal_operator` names it, without the stage. side: BEFORE it is sent, or AFTER it was answered."""

    point: str
    side: str
    again: int = field(default=0, compare=False)
    """After how many sends and answers who takes over is killed as well, if it makes so many; 0 for never."""


@dataclass(slots=True)
class Life:
    """kills: where the operator is to be killed, by stage. folder: for what is kept of this life.

    replicas: how many operators there are. Who is killed is away until the others have come to rest without it.
    """

    cluster: ControlPlane
    credentials: Path
    place: Place
    folder: Path
    kills: Mapping[str, Kill]
    replicas: int = 1
    killed: dict[str, Kill] = field(default_factory=dict)
    """Those that came about."""
    killed_again: int = 0
    """How often who took over was killed, too."""
    _operators: list[OperatorProcess] = field(default_factory=list)
    _away: list[OperatorProcess] = field(default_factory=list)
    """Those that were killed, and not started again yet."""
    _plans: int = 0

    def live(self) -> None:
        """From beginning to end. Raises AssertionError."""
        kubectl = Kubectl(self.cluster, new_namespace(self.cluster))
        host = f"{kubectl.namespace}.example.com"
        arguments = ("--namespace", kubectl.namespace, "--issuer-check-interval", "600", *self.place.arguments)
        log, installed = self.folder / "operator.log", self.place.installed
        self._operators = [
            OperatorProcess(self.credentials, log, *arguments, points=self.folder, installed=installed)
            for _ in range(self.replicas)
        ]
        self._plan("start", self.kills.get("start"))
        self._launch(self._operators)
        try:
            with watching_secrets(kubectl, self.folder / "secrets") as watch:
                books = self.place.open_books(kubectl, host)
                stages = _Stages(Site(kubectl, self._operators[0]), host, books, self.place, watch)
                for stage in STAGES:
                    self._pass_through(stage, stages)
                self._plan("end")
                for operator in self._operators:
                    status = operator.stop()
                    assert status == 0, f"it ended with {status}: {log.read_text()[-3000:]}"
                stages.check_end()
            warnings = [line for line in log.read_text().splitlines() if " WARNING " in line]
            told = [] if self.place.revokes else [line for line in warnings if " was not revoked: " in line]
            assert self.kills or warnings == told, log.read_text()
        finally:
            for operator in self._operators:
                operator.kill()

    def points(self) -> dict[str, list[str]]:
        """Those that were passed, by stage, each once.

        Leases are renewed at any time, and belong to the start. The key that seals is made once in a cluster.
        """
        passed: dict[str, list[str]] = {stage: [] for stage in STAGES}
        for line in self._points():
            side, _, rest = line.partition(" ")
            stage, _, point = rest.partition(": ")
            if side == BEFORE and "state-key" not in point and (stage == "start" or " leases" not in point):
                passed[stage].append(point)
        return {stage: [*dict.fromkeys(points)] for stage, points in passed.items()}

    def _points(self) -> list[str]:
        with suppress(FileNotFoundError):
            return (self.folder / "points").read_text().splitlines()
        return []

    def _plan(self, stage: str, kill: Kill | None = None, passes: int = 0) -> None:
        point, side = (f"{stage}: {kill.point}", kill.side) if kill is not None else ("", "")
        written, self._plans = self.folder / "plan.new", self._plans + 1
        plan = {"number": self._plans, "stage": stage, "point": point, "side": side, "passes": passes}
        written.write_text(json.dumps(plan))
        written.rename(self.folder / "plan")

    def _is_called_off(self) -> bool:
        """Nobody is killed as planned from now on. False if somebody was, or is on the way to it."""
        try:
            (self.folder / f"killed-{self._plans}").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def _launch(self, operators: Sequence[OperatorProcess]) -> None:
        for operator in operators:
            operator.launch()
        self._away = [operator for operator in self._away if operator not in operators]

    def _pass_through(self, stage: str, stages: "_Stages") -> None:
        kill, before = self.kills.get(stage), -1
        if stage != "start":
            self._plan(stage, kill)
        stages.begin(stage)
        ends: list[int] = []

        def is_at_rest() -> bool:
            nonlocal before
            self._see_to_ended(stage, kill, ends)
            stages.books.attend()
            last, before = before, len(self._points())
            running = [operator for operator in self._operators if operator not in self._away]
            is_quiet = last == before and all(map(_is_idle, running)) and stages.members() == len(running)
            return is_quiet and not stages.missing(stage)

        while True:
            try:
                stages.site.wait(f"it rests after {stage}", is_at_rest, seconds=60)
            except AssertionError as error:
                raise AssertionError(f"{stages.missing(stage)}: {error}") from None
            if not self._is_called_off():  # while it rested, at a point that comes by itself, such as its Lease
                wait_until("who is killed has ended", lambda: self._see_to_ended(stage, kill, ends))
                continue
            self._plan(stage)
            if not self._away:
                return
            self._launch(self._away)

    def _see_to_ended(self, stage: str, kill: Kill | None, ends: list[int]) -> bool:
        """Whether any ended since the last time. ends: with what the operators of this stage did, one after another."""
        ended = [operator for operator in self._operators if operator not in self._away and operator.has_ended()]
        for operator in ended:
            ends.append(operator.stop())
            self._away.append(operator)
            how = f"status {ends[-1]}, {operator.log.read_text()[-3000:]}"
            assert kill is not None, f"it ended by itself: {how}"
            assert ends[-1] == -signal.SIGKILL, f"it ended otherwise: {how}"
            assert len(ends) <= 1 + bool(kill.again), f"it ended once more: {how}"
            if len(ends) == 1:
                self.killed[stage] = kill
            else:
                self.killed_again += 1
            self._plan(stage, passes=kill.again if len(ends) == 1 else 0)
        if ended and len(self._away) == len(self._operators):
            self._launch(self._away)
        return bool(ended)


def _is_idle(operator: OperatorProcess) -> bool:
    with suppress(OSError):  # as of one that is killed just now
        return operator.get("/readyz") == "ok\n" and operator.metric("csr_operator_queue_depth") == 0
    return False


@dataclass(slots=True)
class _Stages:
    """What a user does, and what has to come of it."""

    site: Site
    host: str
    books: Books
    place: Place
    watch: SecretWatch

    def begin(self, stage: str) -> None:
        kubectl = self.site.kubectl
        match stage:
            case "issuance":
                names = {"commonName": self.host, "dnsNames": [self.host]}
                kubectl.create(request(NAME, ISSUER_NAME, revocation={"onDelete": True}, **names))
            case "renewal":
                kubectl("annotate", REQUEST, NAME, f"{GROUP}/renew=now")
            case "revocation":
                kubectl("annotate", REQUEST, NAME, f"{GROUP}/revoke={self.site.status(NAME)['serialNumber']}")
            case "deletion":
                kubectl("delete", REQUEST, NAME, "--wait=false")

    def missing(self, stage: str) -> str:
        """What has to come about before the next stage; empty if all has."""
        if stage == "start":
            ready = condition(self.site.kubectl.get("issuer", ISSUER_NAME), "Ready").get("status")
            return "" if ready == "True" else "the issuer is not Ready"
        facts: Mapping[str, bool] = self._gone() if stage == "deletion" else self._fresh(STAGES.index(stage))
        return ", ".join(what for what, is_so in facts.items() if not is_so)

    def members(self) -> int:
        """How many replicas there are, as far as their Leases say."""
        group = f"{REPLICAS_LABEL}={Group.of([self.site.kubectl.namespace]).name}"
        return len(self.site.kubectl.list("leases", "-l", group, f"--namespace={OPERATORS}")) - len(["the assignment"])

    def _fresh(self, revision: int) -> dict[str, bool]:
        """Facts that have to hold of a certificate that is there."""
        obj = self.site.kubectl.get(REQUEST, NAME)
        secret = self.site.kubectl.get("secret", SECRET)
        status, marks = obj.get("status", {}), secret.get("metadata", {}).get("annotations", {})
        return {
            f"status of revision {revision}": status.get("revision") == revision,
            "Ready and nothing else": [(c["type"], c["status"]) for c in status.get("conditions", ())]
            == [("Ready", "True")],
            "status and Secret agree": bool(secret)
            and status.get("serialNumber") == marks.get(f"{GROUP}/serial-number"),
            "nothing owed": OWED not in marks,
            "held by what its deletion owes": obj.get("metadata", {}).get("finalizers", [])
            == [FINALIZER] * self.place.revokes,
            "no order under way": self._secrets() <= {SECRET, *self.place.secrets},
            "the second revoked": revision < 3 or self._revoked() == self.place.revokes * 1,
        }

    def _gone(self) -> dict[str, bool]:
        return {
            "no request": not self.site.kubectl.get(REQUEST, NAME),
            "no Secret": self._secrets() <= self.place.secrets,
            "two revoked": self._revoked() == self.place.revokes * 2,
        }

    def _revoked(self) -> int:
        return len(self.books.revoked(self._leaves()))

    def check_end(self) -> None:
        """What has to hold after a life, when no operator runs any more."""
        versions = self.watch.versions()
        for version in versions:
            check_pair(version)
        own = [version for version in versions if version.name == SECRET]
        assert [version.event for version in own].count("DELETED") == 1, "a Secret in use was gone for a while"
        assert own[-1].event == "DELETED", "the Secret is still there"
        serials = [serial(leaf) for leaf in self._leaves()]
        assert len(serials) == 3, f"{len(serials)} certificates for 3 revisions"
        assert self.books.orders() in (None, 3), f"{self.books.orders()} orders for 3 revisions"
        issued = self.books.issued()
        assert issued is None or issued == {*serials}, f"the CA signed {issued}, and of {serials} there were keys"
        revoked = self.books.revoked(self._leaves())
        owed = serials[1:] if self.place.revokes else []
        assert revoked == {*owed}, f"{revoked} are revoked of {serials}, and {owed} should be"
        assert not (left := self.books.left()), f"left at the CA, or in the DNS: {left}"
        assert (there := self._secrets()) == self.place.secrets, f"Secrets that are left: {there}"
        assert not self.site.kubectl.list("certificaterequests"), "the request is still there"
        assert self.members() == 0, "only the assignment may be there, and no Lease of who was killed"
        challenges = self.site.kubectl.list("configmaps", "-l", f"{GROUP}/challenge", f"--namespace={OPERATORS}")
        assert not [each for each in challenges if self.host in str(each)], "a challenge is left"

    def _secrets(self) -> set[str]:
        return {secret["metadata"]["name"] for secret in self.site.kubectl.list("secrets")}

    def _leaves(self) -> Sequence[x509.Certificate]:
        """The certificates that the request's Secret had, in their order."""
        leaves: dict[str, x509.Certificate] = {}
        for version in self.watch.seen():
            if version.name == SECRET:
                (leaf, *_) = x509.load_pem_x509_certificates(decoded(version.secret)["tls.crt"].encode())
                leaves.setdefault(serial(leaf), leaf)
        return list(leaves.values())


def check_pair(version: Version) -> None:
    """The key in a Secret fits the certificate or CSR beside it, whenever somebody reads it."""
    data = decoded(version.secret)
    if "tls.key" not in data:
        return
    key = _spki(load_pem_private_key(data["tls.key"].encode(), password=None).public_key())
    if "tls.crt" in data:
        (leaf, *_) = x509.load_pem_x509_certificates(data["tls.crt"].encode())
        assert _spki(leaf.public_key()) == key, f"{version.name}: the key is another's"
    if "tls.csr" in data:
        csr = x509.load_pem_x509_csr(data["tls.csr"].encode())
        assert _spki(csr.public_key()) == key, f"{version.name}: the CSR is of another key"


def _spki(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
