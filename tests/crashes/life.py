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
from tests.crashes.cas import ISSUER_NAME, Books, Place, serial
from tests.crashes.secret_watch import SecretWatch, Version, watching_secrets
from tests.support.kubectl import Kubectl, condition
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
    """kills: where the operator is to be killed, by stage. folder: for what is kept of this life."""

    cluster: ControlPlane
    credentials: Path
    place: Place
    folder: Path
    kills: Mapping[str, Kill]
    killed: dict[str, Kill] = field(default_factory=dict)
    """Those that came about."""
    killed_again: int = 0
    """How often who took over was killed, too."""

    def live(self) -> None:
        """From beginning to end. Raises AssertionError."""
        kubectl = Kubectl(self.cluster, new_namespace(self.cluster))
        host = f"{kubectl.namespace}.example.com"
        arguments = ("--namespace", kubectl.namespace, "--issuer-check-interval", "600", *self.place.arguments)
        log, installed = self.folder / "operator.log", self.place.installed
        operator = OperatorProcess(self.credentials, log, *arguments, points=self.folder, installed=installed)
        self._plan("start", self.kills.get("start"))
        operator.launch()
        try:
            with watching_secrets(kubectl, self.folder / "secrets") as watch:
                books = self.place.open_books(kubectl, host)
                stages = _Stages(Site(kubectl, operator), host, books, self.place, watch)
                for stage in STAGES:
                    self._pass_through(stage, stages)
                self._plan("end")
                status = operator.stop()
                assert status == 0, f"it ended with {status}: {operator.log.read_text()[-3000:]}"
                stages.check_end()
            assert self.kills or " WARNING " not in log.read_text(), log.read_text()
        finally:
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
        return passed

    def _points(self) -> list[str]:
        with suppress(FileNotFoundError):
            return (self.folder / "points").read_text().splitlines()
        return []

    def _plan(self, stage: str, kill: Kill | None = None, passes: int = 0) -> None:
        point, side = (f"{stage}: {kill.point}", kill.side) if kill is not None else ("", "")
        written = self.folder / "plan.new"
        written.write_text(json.dumps({"stage": stage, "point": point, "side": side, "passes": passes}))
        written.rename(self.folder / "plan")

    def _pass_through(self, stage: str, stages: "_Stages") -> None:
        kill, operator, before = self.kills.get(stage), stages.site.operator, -1
        if stage != "start":
            self._plan(stage, kill)
        stages.begin(stage)
        ends: list[int] = []

        def is_at_rest() -> bool:
            nonlocal before
            if operator.has_ended():
                ends.append(operator.stop())
                self._take_over(stage, kill, ends, operator)
            lines = self._points()
            last, before = before, len(lines)
            return last == before and _is_idle(operator) and not stages.missing(stage)

        while True:
            try:
                stages.site.wait(f"it rests after {stage}", is_at_rest, seconds=60)
            except AssertionError as error:
                raise AssertionError(f"{stages.missing(stage)}: {error}") from None
            self._plan(stage)  # from now on none is killed
            if not operator.has_ended():
                return
            ends.append(operator.stop())  # while it rested, at a point that comes by itself, such as its Lease
            self._take_over(stage, kill, ends, operator)

    def _take_over(self, stage: str, kill: Kill | None, ends: Sequence[int], operator: OperatorProcess) -> None:
        """ends: with what the operators of this stage ended, the last one just now."""
        how = f"status {ends[-1]}, {operator.log.read_text()[-3000:]}"
        assert kill is not None, f"it ended by itself: {how}"
        assert ends[-1] == -signal.SIGKILL, f"it ended otherwise: {how}"
        assert len(ends) <= 1 + bool(kill.again), f"it ended once more: {how}"
        if len(ends) == 1:
            self.killed[stage] = kill
        else:
            self.killed_again += 1
        self._plan(stage, passes=kill.again if len(ends) == 1 else 0)
        operator.launch()


def _is_idle(operator: OperatorProcess) -> bool:
    with suppress(OSError):
        return operator.is_ready() and operator.metric("csr_operator_queue_depth") == 0
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
            "held by what its deletion owes": obj.get("metadata", {}).get("finalizers") == [FINALIZER],
            "no order under way": self._secrets() <= {SECRET, *self.place.secrets},
            "the second revoked": revision < 3 or len(self.books.revoked(self._leaves())) == 1,
        }

    def _gone(self) -> dict[str, bool]:
        return {
            "no request": not self.site.kubectl.get(REQUEST, NAME),
            "no Secret": self._secrets() <= self.place.secrets,
            "two revoked": len(self.books.revoked(self._leaves())) == 2,
        }

    def check_end(self) -> None:
        """What has to hold after a life, when no operator runs any more."""
        versions = self.watch.versions()
        for version in versions:
            check_pair(version)
        own = [version for version in versions if version.name == SECRET]
        assert [version.event for version in own].count("DELETED") == 1, "a Secret in use was gone for a while"
        assert own[-1].event == "DELETED"
        serials = [serial(leaf) for leaf in self._leaves()]
        assert len(serials) == 3, f"{len(serials)} certificates for 3 revisions"
        assert self.books.orders() in (None, 3), f"{self.books.orders()} orders for 3 revisions"
        issued = self.books.issued()
        assert issued is None or issued == {*serials}, f"the CA signed {issued}, and of {serials} there were keys"
        revoked = self.books.revoked(self._leaves())
        assert revoked == {*serials[1:]}, f"{revoked} are revoked of {serials}, where the last two should be"
        assert self.books.left() == []
        assert self._secrets() == self.place.secrets
        assert self.site.kubectl.list("certificaterequests") == []
        group = f"{REPLICAS_LABEL}={Group.of([self.site.kubectl.namespace]).name}"
        leases = self.site.kubectl.list("leases", "-l", group, f"--namespace={OPERATORS}")
        assert len(leases) == 1, "only the assignment may be there, and no Lease of who was killed"
        challenges = self.site.kubectl.list("configmaps", "-l", f"{GROUP}/challenge", f"--namespace={OPERATORS}")
        assert not [each for each in challenges if self.host in str(each)]

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
