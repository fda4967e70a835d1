"""A CA whose clock differs from the operator's: one order, whatever begins late or early."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster import ControlPlane
from tests.support.acme_scene import HTTP, Scene, running_scene
from tests.support.manifests import request


@pytest.fixture(scope="module")
def clocked(
    cluster: ControlPlane, operator_credentials: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    """With an operator whose clock is set while it runs; the CA goes by the right one."""
    folder = tmp_path_factory.mktemp("clocked")
    with running_scene(cluster, operator_credentials, folder, settable=True) as scene:
        scene.issuer("ca", HTTP, directory=scene.proxy.directory)
        yield scene


def test_a_ca_that_is_ahead_is_waited_for(clocked: Scene) -> None:
    """By more than the five minutes within which what is not valid yet is stored; the order is kept, and is good for it
    then."""
    clocked.site.operator.set_clock(-900)
    clocked.kubectl.apply(request("ahead", "ca"))
    ready = clocked.site.wait_condition("ahead", "Ready", "AnswerMismatch")
    assert ready["message"].startswith("the CA's answer is not valid yet: ")

    clocked.site.operator.set_clock(0)

    clocked.ready("ahead")
    assert clocked.site.status("ahead")["revision"] == 1
    assert clocked.placed("ahead.example.com") == 1


def test_a_ca_that_is_behind_is_believed(clocked: Scene) -> None:
    clocked.site.operator.set_clock(300)
    clocked.kubectl.apply(request("behind", "ca"))
    clocked.ready("behind")

    clocked.site.operator.set_clock(0)

    clocked.kubectl.apply(request("after", "ca"))
    clocked.ready("after")
    assert clocked.site.status("behind")["revision"] == 1
    assert clocked.placed("behind.example.com") == 1


def test_an_order_that_was_placed_a_day_ahead_is_gone_on_with(clocked: Scene) -> None:
    """Nothing of it waits until tomorrow."""
    held = clocked.proxy.hold("finalize")
    clocked.site.operator.set_clock(86400)
    clocked.kubectl.apply(request("tomorrow", "ca"))
    clocked.site.wait("the order is placed", lambda: clocked.placed("tomorrow.example.com") == 1)
    clocked.site.operator.set_clock(0)
    held.set()
    clocked.ready("tomorrow")
    assert clocked.placed("tomorrow.example.com") == 1
