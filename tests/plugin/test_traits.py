"""What a backend says of itself has to be so: found when it is made for an issuer, and told to its users."""

from collections.abc import Mapping
from importlib.metadata import EntryPoint, EntryPoints
from typing import Any, Self

import pytest

from csr_operator.backends import registry
from csr_operator.plugin import Backend, Context, Health, Issued, Misconfigured, NoResponder, Order, Traits, http


class Plain(Backend):
    """Can do nothing but sign. config: its traits."""

    def __init__(self, **traits: bool) -> None:
        self.traits = Traits(**traits)

    @classmethod
    def create(cls, config: Mapping[str, Any], context: Context) -> Self:
        return cls(**config)

    async def check(self) -> Health:
        return Health("is well")

    async def submit(self, order: Order) -> Issued:
        return Issued(())


class Mute(Plain):
    """Says nothing of itself."""

    def __init__(self, **traits: bool) -> None:
        pass


class Abandoning(Plain):
    async def abandon(self, key: str, csr: Any, handle: str) -> None:
        pass


class Empty(Plain):
    """Has nothing created. config: what is returned instead."""

    @classmethod
    def create(cls, config: Mapping[str, Any], context: Context) -> Any:
        return config or None


class Unrelated:
    """Has a method that a backend has, and is none."""

    create = Plain.create


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The classes of this file are backends of a third party."""

    def found(group: str, name: str = "") -> EntryPoints:
        names = ("Plain", "Mute", "Abandoning", "Empty", "Unrelated")
        ours = EntryPoints(EntryPoint(name, f"{__name__}:{name}", registry.GROUP) for name in names)
        return ours.select(group=group, name=name)

    monkeypatch.setattr(registry, "entry_points", found)
    monkeypatch.setattr(EntryPoint, "load", lambda self: globals()[self.attr])
    registry.load_backend.cache_clear()


def made(name: str, **traits: bool) -> Backend:
    async def nothing(*_: object) -> None:
        return None

    context = Context(nothing, nothing, lambda: pytest.fail("the clock"), http.http_session, NoResponder())
    return registry.create(name, traits, context)


@pytest.mark.parametrize(
    ("trait", "method"),
    [
        ("costs", "poll"),
        ("revokes", "revoke"),
        ("knows_roots", "roots_of"),
        ("suggests_renewal", "suggest_renewal"),
        ("abandons", "abandon"),
    ],
)
def test_a_trait_without_its_method_is_told(trait: str, method: str) -> None:
    with pytest.raises(Misconfigured) as said:
        made("Plain", **{trait: True})
    assert str(said.value) == (
        f"backend Plain says in its traits that it `{trait}`, and has no method `{method}`: write it, or remove the "
        "trait"
    )


def test_a_trait_that_needs_no_method_stands_alone() -> None:
    assert made("Plain", repeats_common_name=True).traits.repeats_common_name
    assert made("Plain", needs_private_key=True).traits.needs_private_key


def test_a_trait_may_depend_on_the_issuer() -> None:
    assert made("Abandoning", abandons=True).traits.abandons
    assert not made("Abandoning").traits.abandons


def test_a_backend_without_traits_is_told_to_have_some() -> None:
    with pytest.raises(Misconfigured, match=r"^backend Mute has no `traits`: write .* `traits = Traits\(revokes=True"):
        made("Mute")


def test_what_is_registered_has_to_be_a_backend() -> None:
    with pytest.raises(Misconfigured, match=r"^backend Unrelated is no class that inherits from csr_operator\.plugin"):
        made("Unrelated")


@pytest.mark.parametrize(("traits", "kind"), [({}, "NoneType"), ({"costs": True}, "dict")])
def test_a_create_that_returns_no_backend_is_told(traits: dict[str, bool], kind: str) -> None:
    text = rf"^backend Empty \(tests\.plugin\.test_traits:Empty\): its `create` returned {kind}, and no Backend"
    with pytest.raises(Misconfigured, match=text):
        made("Empty", **traits)


@pytest.mark.parametrize("value", ["yes", None, 1])
def test_a_trait_is_true_or_false(value: Any) -> None:
    with pytest.raises(Misconfigured, match=r"says in its traits for `repeats_common_name` neither True"):
        made("Plain", repeats_common_name=value)
