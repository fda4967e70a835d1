"""A CSR asks for what the spec asks for that it was made from, so that a policy may be applied to what a CA is sent."""

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import assume, given
from hypothesis import strategies as st

from csr_operator.api.parse_request import parse_request
from csr_operator.api.request import CertificateRequest
from csr_operator.decisions.policy_facts import facts_of, facts_of_csr
from csr_operator.pki.csr import build_csr, load_csr
from csr_operator.pki.errors import PkiError
from csr_operator.pki.keys import PrivateKey, generate

METADATA = {
    "namespace": "shop",
    "name": "www",
    "uid": "u",
    "resourceVersion": "1",
    "creationTimestamp": "2026-01-01T00:00:00Z",
}
KEYS: dict[str, PrivateKey] = {}

HOSTS = st.sampled_from(["a.example", "A.Example", "*.a.example", "bücher.example", "xn--bcher-kva.example", "b"])
URIS = st.sampled_from(["urn:x", "HTTPS://A.Example/x?y", "https://bücher.example/ü", "spiffe://a_b/c"])
MAILS = st.sampled_from(["ann@A.example", "Ann@a.example", "bob@bücher.example"])
WORDS = st.sampled_from(["Example", "example", "Ünïted, Ltd.", "a=b+c", "x"])
SUBJECTS = st.fixed_dictionaries(
    {},
    optional={
        **{
            field: st.lists(WORDS, max_size=3)
            for field in ("organizations", "organizationalUnits", "localities", "provinces", "streetAddresses")
        },
        "countries": st.lists(st.sampled_from(["DE", "de", "FR"]), max_size=2),
        "serialNumber": st.sampled_from(["7", "8"]),
        "emailAddress": MAILS,
    },
)
LITERAL = st.lists(
    st.sampled_from(
        ["CN=b", "CN=a", "CN=A.example", "O=x", "o=x", "DC=a", "UID=u", "C=de", "1.2.3.4=z", "E=a@B.example"]
    ),
    min_size=1,
    max_size=5,
    unique=True,
).flatmap(
    lambda parts: st.lists(st.sampled_from("+,"), min_size=len(parts), max_size=len(parts)).map(
        lambda marks: "".join(part + mark for part, mark in zip(parts, marks, strict=True))[:-1]
    )
)
SPECS = st.fixed_dictionaries(
    {},
    optional={
        "dnsNames": st.lists(HOSTS, max_size=4),
        "ipAddresses": st.lists(
            st.sampled_from(["10.0.0.1", "2001:DB8::1", "2001:db8:0::1", "::ffff:10.0.0.1"]), max_size=3
        ),
        "uris": st.lists(URIS, max_size=3),
        "emailAddresses": st.lists(MAILS, max_size=2),
        "otherNames": st.lists(
            st.builds(lambda oid, text: {"oid": oid, "utf8Value": text}, st.sampled_from(["1.2.3", "1.2.4"]), WORDS),
            max_size=2,
        ),
        "usages": st.lists(
            st.sampled_from(["signing", "digital signature", "server auth", "1.3.6.1.5.5.7.3.2", "1.2.3"])
        ),
        "isCA": st.booleans(),
        "mustStaple": st.booleans(),
        "extensions": st.lists(
            st.sampled_from([{"oid": "1.2.3.4", "value": "BQA="}, {"oid": "2.5.29.36", "value": "MAA="}]), max_size=1
        ),
        "duration": st.sampled_from(["1h", "2160h"]),
        "privateKey": st.sampled_from(
            [{}, {"algorithm": "ECDSA", "size": 384}, {"algorithm": "Ed25519"}, {"algorithm": "RSA"}, {"size": 256}]
        ),
    },
)
BOTH = st.tuples(
    SPECS,
    st.one_of(
        LITERAL.map(lambda text: {"literalSubject": text}),
        st.fixed_dictionaries(
            {}, optional={"subject": SUBJECTS, "commonName": st.sampled_from(["bücher.example", "A.Example", "Ann"])}
        ),
    ),
).map(lambda parts: {**parts[0], **parts[1]})


def parsed(spec: dict[str, Any]) -> CertificateRequest:
    return parse_request({"metadata": METADATA, "spec": {"secretName": "t", "issuerRef": {"name": "ca"}, **spec}})


def sent(request: CertificateRequest) -> x509.CertificateSigningRequest:
    """The CSR for it, as it is read from what a CA is sent."""
    parameters = request.spec.private_key.parameters.normalized()
    key = KEYS.setdefault(str(parameters), generate(parameters))
    return load_csr(build_csr(request.spec.template, key).public_bytes(Encoding.DER))


@given(BOTH)
def test_a_csr_asks_for_what_its_spec_asks_for(spec: dict[str, Any]) -> None:
    request = parsed(spec)
    assume(not request.problem)
    try:
        csr = sent(request)
    except PkiError:
        assume(False)
        return
    assert facts_of_csr(csr, request) == facts_of(request)


@pytest.mark.slow("takes seconds")
@given(BOTH)
def test_ones_own_csr_asks_for_the_same(spec: dict[str, Any]) -> None:
    made = parsed(spec)
    assume(not made.problem)
    try:
        csr = sent(made)
    except PkiError:
        assume(False)
        return
    own = parsed({"request": csr.public_bytes(Encoding.PEM).decode(), "duration": "1h"})
    assume(not own.problem)
    assert facts_of(own) == facts_of_csr(csr, own)
    assert facts_of(own).common_names == facts_of(made).common_names
    assert facts_of(own).attributes == facts_of(made).attributes


def test_what_another_csr_asks_for_is_seen() -> None:
    """One that somebody put in the place of the operator's."""
    request = parsed({"dnsNames": ["a.example"], "duration": "1h"})
    other = parsed(
        {
            "dnsNames": ["bank.example"],
            "commonName": "bank.example",
            "subject": {"organizations": ["system:masters"]},
            "isCA": True,
            "usages": ["client auth"],
            "extensions": [{"oid": "1.2.3.4", "value": "BQA="}],
            "privateKey": {"algorithm": "RSA"},
        }
    )
    found = facts_of_csr(sent(other), request)
    assert found.dns_names == found.common_names == ("bank.example",)
    assert found.attributes == (("2.5.4.10", "system:masters"),)
    assert found.is_ca
    assert "client auth" in found.usages
    assert found.extensions == {"1.2.3.4"}
    assert found.key is not None
    assert found.key.algorithm == "RSA"
    assert found.duration == timedelta(hours=1)


def test_a_key_on_a_curve_that_is_not_accepted_is_an_error_in_words() -> None:
    key = ec.generate_private_key(ec.SECP256K1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a")])
    csr = x509.CertificateSigningRequestBuilder(name).sign(key, SHA256())
    with pytest.raises(PkiError, match="P-256"):
        facts_of_csr(csr, parsed({"dnsNames": ["a.example"]}))
