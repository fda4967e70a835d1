"""csr-operator that fails where its loop is held up.

That is to read or write the names of a large request, and to make keystores. Whatever is remembered of requests is
forgotten with each CSR, as it is where hundreds of others come between.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any, ParamSpec, TypeVar
from unittest.mock import patch

from cryptography import x509

from csr_operator.__main__ import main
from csr_operator.api.request import CertificateRequest, RequestSpec
from csr_operator.decisions import policy_facts
from csr_operator.issuance import secret_body as outputs
from csr_operator.issuance import signing_requests
from csr_operator.manager.operator import Operator
from csr_operator.pki.csr import CsrTemplate, build_csr
from csr_operator.plugin.offload import LARGE

P = ParamSpec("P")
T = TypeVar("T")


def beside_the_loop(work: Callable[P, T], takes_long: Callable[P, bool]) -> Callable[P, T]:
    def checked(*args: P.args, **kwargs: P.kwargs) -> T:
        if takes_long(*args, **kwargs):
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                pass
            else:
                raise RuntimeError(f"{work.__name__} on the event loop")
        return work(*args, **kwargs)

    return checked


def is_large(spec: RequestSpec) -> bool:
    return spec.weight > LARGE


def has_many_names(template: CsrTemplate, *_: Any) -> bool:
    return is_large(RequestSpec("", (), template))


def has_keystores(request: CertificateRequest, *_: Any) -> bool:
    return bool(request.spec.outputs.pkcs12 or request.spec.outputs.jks)


def run(_: float, arguments: list[str]) -> int:
    """The number says nothing here."""
    read = lru_cache(maxsize=256)(beside_the_loop(policy_facts._facts_of_spec.__wrapped__, is_large))
    build = beside_the_loop(build_csr, has_many_names)

    def build_and_forget(template: CsrTemplate, key: Any) -> x509.CertificateSigningRequest:
        read.cache_clear()
        return build(template, key)

    with (
        patch.object(policy_facts, "_facts_of_spec", read),
        patch.object(signing_requests, "build_csr", build_and_forget),
        patch.object(outputs, "secret_data", beside_the_loop(outputs.secret_data, has_keystores)),
    ):
        return main(arguments, lambda given: Operator(replace(given, metrics_kept=0.0)))
