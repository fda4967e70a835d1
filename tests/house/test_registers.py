"""What one more CA or DNS provider has to be written into: where one is left out, nothing else would notice."""

import tomllib
from pathlib import Path

from csr_operator.dns.providers import PROVIDERS
from tests.conformance.backends import BACKENDS

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
ENTRY_POINTS = PROJECT["project"]["entry-points"]["csr_operator.backends"]


def _kept_apart(contract: str) -> set[str]:
    """The modules that an import contract of this name keeps from one another."""
    (modules,) = (c["modules"] for c in PROJECT["tool"]["importlinter"]["contracts"] if c["name"] == contract)
    return set(modules)


def test_each_ca_is_in_the_contract_that_keeps_them_apart() -> None:
    """By its file, or by its folder, which may have several entry points."""
    modules = {".".join(target.partition(":")[0].split(".")[:3]) for target in ENTRY_POINTS.values()}
    assert _kept_apart("a CA knows no other CA") == modules


def test_each_dns_provider_is_in_the_contract_that_keeps_them_apart() -> None:
    assert _kept_apart("a DNS provider knows no other") == {make.__module__ for make in PROVIDERS.values()}


def test_each_ca_is_measured_by_the_conformance_suite() -> None:
    """Several times, with the server in parentheses, if several speak its protocol. Behind `manual` is any CA."""
    assert {backend.name.partition(" (")[0] for backend in BACKENDS} == ENTRY_POINTS.keys() - {"manual"}
