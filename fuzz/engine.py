"""One run of one target in this process, which libFuzzer ends: `python -m fuzz` starts it."""

import importlib
import random
import sys
from collections.abc import Callable
from types import ModuleType

import atheris

with atheris.instrument_imports(include=["csr_operator", "csr_acme", "fuzz.targets"]):
    # What is imported before is not seen to be covered.
    from csr_operator.pki import pem
    from csr_operator.pki.errors import PkiError

    from . import der, trees

    TARGET = importlib.import_module(f"fuzz.targets.{sys.argv[1]}")

_PLAIN = 0.25
"""How often an input is changed as octets, whatever shape it has: so it gets to be none."""


def main() -> None:
    """The target, and then the arguments of libFuzzer."""
    atheris.Setup([sys.argv[0], *sys.argv[2:]], TARGET.fuzz, custom_mutator=_mutator(TARGET))
    atheris.Fuzz()


def _mutator(target: ModuleType) -> Callable[[bytes, int, int], bytes]:
    shaped = {"json": _mutate_json, "der": _mutate_der, "octets": None}[target.SHAPE]

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        rng = random.Random(seed)

        def change_octets(part: bytes) -> bytes:
            return bytes(atheris.Mutate(part, len(part) + 64))

        if shaped is not None and rng.random() >= _PLAIN:
            try:
                changed = shaped(data, rng, change_octets)
                if 0 < len(changed) <= most:
                    return changed
            except (PkiError, ValueError, RecursionError):
                pass  # it has that shape no more
        return bytes(atheris.Mutate(data, most))

    return mutate


def _mutate_json(data: bytes, rng: random.Random, change_octets: Callable[[bytes], bytes]) -> bytes:
    return trees.mutate(data, rng, change_octets)


def _mutate_der(data: bytes, rng: random.Random, change_octets: Callable[[bytes], bytes]) -> bytes:
    """Of DER, or of PEM, which becomes DER."""
    if data[:1] != b"\x30":
        sections = pem.blocks(data)
        if not sections:
            raise PkiError("no PEM")
        data = rng.choice(sections)[1]
    return der.mutate(data, rng, change_octets)


if __name__ == "__main__":
    main()
