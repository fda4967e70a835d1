"""Whatever comes in, nothing but PkiError comes out: each file of a corpus as bundle, chain, request and key."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import cryptography_vectors
import pytest
from cryptography import x509

from csr_operator.pki.chain import Chain, build_chain, load_bundle
from csr_operator.pki.csr import load_csr, profile_of
from csr_operator.pki.errors import PkiError
from csr_operator.pki.keys import load_private_key
from csr_operator.pki.verify import verify
from tests.pki.support import LEAF, NOW, authority, request

CORPUS = Path(cryptography_vectors.__file__).parent
KINDS = {".pem", ".der", ".crt", ".cer", ".p7b", ".p7c", ".key", ".p8"}
FILES = sorted(one for one in CORPUS.rglob("*") if one.suffix in KINDS and one.stat().st_size < 200_000)
# Some of the certificates are of a kind that cryptography reads with a warning.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
T = TypeVar("T")


def read_all(read: Callable[[bytes], T]) -> tuple[list[T], list[str]]:
    """What could be read of the corpus, and what was said of the rest."""
    found, refusals = [], []
    for file in FILES:
        try:
            found.append(read(file.read_bytes()))
        except PkiError as error:
            refusals.append(str(error))
    assert all(text.isprintable() for text in refusals)
    return found, refusals


def test_a_strange_bundle_is_either_read_or_refused() -> None:
    bundles, refusals = read_all(load_bundle)
    assert len(bundles) > 500
    assert len(refusals) > 50


def test_no_strange_certificate_is_an_answer_or_a_ca() -> None:
    asked, root = request(), authority()

    def answer(one: x509.Certificate) -> None:
        verify(Chain(one), asked.csr, LEAF, now=NOW, roots=[root.certificate])

    def ca(one: x509.Certificate) -> None:
        verify(Chain(root.certificate, (one,), one), asked.csr, LEAF, now=NOW)

    for bundle in read_all(load_bundle)[0]:
        for certificate in bundle:
            for attempt in (answer, ca):
                with pytest.raises(PkiError) as caught:
                    attempt(certificate)
                assert str(caught.value).isprintable()
        with pytest.raises(PkiError, match="none of the"):
            build_chain(asked.csr, bundle)


def test_a_strange_request_is_either_read_or_refused() -> None:
    requests, refusals = read_all(lambda data: profile_of(load_csr(data)))
    assert len(requests) > 4
    assert len(refusals) > 500


def test_a_strange_key_is_either_read_or_refused() -> None:
    keys, refusals = read_all(load_private_key)
    assert len(keys) > 10
    assert len(refusals) > 500
