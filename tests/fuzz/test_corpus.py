"""Inputs that a fuzzer found worth keeping, those of fixed faults among them, are read as their target says."""

import importlib
import warnings
from pathlib import Path

import pytest
from cryptography.utils import CryptographyDeprecationWarning

from fuzz.corpus_files import inputs_of, target_names

INPUTS = [
    pytest.param(target, path, id=f"{target}/{path.name}") for target in target_names() for path in inputs_of(target)
]


@pytest.mark.parametrize(("target", "path"), INPUTS)
def test_an_input_is_read_as_its_target_says(target: str, path: Path) -> None:
    fuzz = importlib.import_module(f"fuzz.targets.{target}").fuzz
    with warnings.catch_warnings():
        # A certificate with a serial number that is none is looked at all the same.
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        fuzz(path.read_bytes())
