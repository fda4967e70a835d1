"""What takes long to read is read beside the rest, and nothing that comes of the same object overtakes it."""

from typing import Any

from csr_operator.api.keys import Kind, ObjectKey
from csr_operator.control.controller import Controller
from csr_operator.manager.watch import sources
from csr_operator.plugin.offload import LARGE, weight_of
from tests.support.manifests import request

KIND = Kind.CERTIFICATE_REQUEST
WWW = ObjectKey(KIND, "web", "www")


def _shown(version: int, uid: str = "1", *, large: bool = False) -> dict[str, Any]:
    names = [f"{n:03}.{'a' * 60}.example.com" for n in range(900 if large else 1)]
    obj = request("www", "ca", dnsNames=names)
    obj["metadata"] |= {
        "namespace": "web",
        "uid": uid,
        "resourceVersion": str(version),
        "generation": version,
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    assert (weight_of(obj["spec"]) > LARGE) == large
    return obj


async def test_what_is_small_is_filed_at_once(controller: Controller) -> None:
    controller.reconcilers[KIND].observe(_shown(2))
    assert controller.reconcilers[KIND].known("") == {WWW: "1"}

    controller.reconcilers[KIND].forget(WWW, "1", "9")
    assert controller.reconcilers[KIND].known("") == {}


async def test_what_is_gone_before_it_was_read_stays_away(controller: Controller) -> None:
    controller.reconcilers[KIND].observe(_shown(2, large=True))
    controller.reconcilers[KIND].forget(WWW, "1", "9")

    await controller.all_filed()

    assert controller.reconcilers[KIND].known("") == {}


async def test_what_is_made_anew_meanwhile_is_there(controller: Controller) -> None:
    controller.reconcilers[KIND].observe(_shown(2, large=True))
    controller.reconcilers[KIND].forget(WWW, "1", "9")
    controller.reconcilers[KIND].observe(_shown(4, uid="2"))

    await controller.all_filed()

    assert controller.reconcilers[KIND].known("") == {WWW: "2"}


async def test_the_newest_is_the_one_that_counts(controller: Controller) -> None:
    controller.reconcilers[KIND].observe(_shown(2, large=True))
    controller.reconcilers[KIND].observe(_shown(3))
    controller.reconcilers[KIND].observe(_shown(2, large=True))  # a list that began before

    await controller.all_filed()

    (sample,) = controller.samples()
    assert sample.name == "www"
    assert [r.resource_version for r in controller._store.requests()] == ["3"]


async def test_each_kind_that_is_watched_has_a_reconciler(controller: Controller) -> None:
    assert {source.kind for source in sources(())} == controller.reconcilers.keys()
    assert controller.reconcilers.keys() == set(Kind)
