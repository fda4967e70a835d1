"""Several ways up (RFC 4158): one that is good is found, in whatever order and with whatever else the answer comes."""

import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from csr_operator.pki.authority import load_authority
from csr_operator.pki.chain import MAX_CHAINS, MAX_TRIALS, Chain, build_chain, chains, to_pem
from csr_operator.pki.errors import Mismatch, PkiError
from csr_operator.pki.keys import PrivateKey, private_key_pem, signature_hash
from csr_operator.pki.profile import Profile
from csr_operator.pki.signatures import issued_by
from csr_operator.pki.verify import accepted, clock_words, verify
from tests.pki.support import DAY, LEAF, NOW, P256, RSA, key_of, openssl, pem, request

ASKED = request()
KEYS = {name: key_of(P256, index) for index, name in enumerate(("Old Root", "New Root", "Issuing", "Other"), start=10)}


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def ca(
    name: str,
    issuer: str = "",
    days: tuple[int, int] = (-30, 900),
    *,
    key: PrivateKey | None = None,
    path: int | None = None,
) -> x509.Certificate:
    """A CA certificate; self-signed without an issuer. days: its validity, counted from NOW."""
    key = key or KEYS[name]
    return (
        x509.CertificateBuilder(named(issuer or name), named(name), key.public_key(), x509.random_serial_number())
        .not_valid_before(NOW + days[0] * DAY)
        .not_valid_after(NOW + days[1] * DAY)
        .add_extension(x509.BasicConstraints(True, path), True)
        .sign(KEYS.get(issuer, key), hashes.SHA256())
    )


def leaf(issuer: str = "Issuing", days: tuple[int, int] = (-1, 89), begins: datetime | None = None) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder(named(issuer), ASKED.csr.subject, ASKED.csr.public_key(), x509.random_serial_number())
        .not_valid_before(begins or NOW + days[0] * DAY)
        .not_valid_after(NOW + days[1] * DAY)
    )
    for one in ASKED.csr.extensions:
        builder = builder.add_extension(one.value, one.critical)
    return builder.sign(KEYS[issuer], signature_hash(KEYS[issuer]))


PAST, WIDE = (-900, -10), (-900, 1800)
OLD, OLD_EXPIRED = ca("Old Root"), ca("Old Root", days=PAST)
NEW, NEW_EXPIRED = ca("New Root", days=WIDE), ca("New Root", days=PAST)
CROSS, CROSS_EXPIRED = ca("New Root", "Old Root"), ca("New Root", "Old Root", PAST)
ISSUING, ISSUING_EXPIRED = ca("Issuing", "New Root"), ca("Issuing", "New Root", PAST)
ISSUING_OF_OLD, TWIN = ca("Issuing", "Old Root"), ca("Issuing", "New Root", (-20, 1000))
WWW, WWW_EXPIRED, WWW_NEWER = leaf(), leaf(days=(-100, -10)), leaf(days=(0, 90))
STRANGER = ca("Other")

ANSWERS: dict[str, tuple[Sequence[x509.Certificate], Sequence[x509.Certificate], Sequence[x509.Certificate]]] = {
    # What comes, the issuer's roots, and the chain that is to be found.
    "expired cross certificate and root": ([WWW, ISSUING, CROSS_EXPIRED, OLD_EXPIRED], [NEW], [WWW, ISSUING, NEW]),
    "expired cross certificate alone": ([WWW, ISSUING, CROSS_EXPIRED], [NEW], [WWW, ISSUING, NEW]),
    "cross certificate that leads elsewhere": ([WWW, ISSUING, CROSS, OLD], [NEW], [WWW, ISSUING, NEW]),
    "cross certificate that leads to the root": ([WWW, ISSUING, CROSS], [OLD], [WWW, ISSUING, CROSS, OLD]),
    "expired root beside a cross certificate": ([WWW, ISSUING, NEW_EXPIRED, CROSS], [OLD], [WWW, ISSUING, CROSS, OLD]),
    "root beside a cross certificate": ([WWW, ISSUING, NEW, CROSS], [OLD], [WWW, ISSUING, CROSS, OLD]),
    "expired twin of the root": ([WWW, ISSUING, NEW_EXPIRED, NEW], [NEW], [WWW, ISSUING, NEW]),
    "expired twin of the intermediate": ([WWW, ISSUING_EXPIRED, ISSUING, NEW], [NEW], [WWW, ISSUING, NEW]),
    "intermediate of two roots": ([WWW, ISSUING_OF_OLD, ISSUING], [NEW], [WWW, ISSUING, NEW]),
    "expired root among the issuer's": ([WWW, ISSUING], [NEW_EXPIRED, NEW], [WWW, ISSUING, NEW]),
    "expired certificate for the key": ([WWW_EXPIRED, WWW, ISSUING, NEW], [NEW], [WWW, ISSUING, NEW]),
    "two certificates for the key": ([WWW, WWW_NEWER, ISSUING, NEW], [NEW], [WWW_NEWER, ISSUING, NEW]),
    "no root known, expired twins": ([WWW, ISSUING_EXPIRED, ISSUING, NEW_EXPIRED, NEW], [], [WWW, ISSUING, NEW]),
    "no root known, expired cross certificate": ([WWW, ISSUING, CROSS_EXPIRED, NEW], [], [WWW, ISSUING, NEW]),
    "no root known, cross certificate": ([WWW, ISSUING, NEW_EXPIRED, CROSS, OLD], [], [WWW, ISSUING, CROSS, OLD]),
    "an intermediate is the root": ([WWW, ISSUING, NEW], [ISSUING], [WWW, ISSUING]),
    "strangers": ([STRANGER, WWW, ISSUING, NEW, STRANGER], [NEW], [WWW, ISSUING, NEW]),
}


@pytest.mark.parametrize("what", ANSWERS)
def test_a_good_chain_is_found_in_whatever_order_it_comes(what: str, tmp_path: Path) -> None:
    answer, roots, wanted = ANSWERS[what]
    found = {accepted(ASKED.csr, order, LEAF, now=NOW, roots=roots or None) for order in itertools.permutations(answer)}
    assert [one.certificates for one in found] == [tuple(wanted)]
    [chain] = found
    if roots and chain.root is not None:
        for name, content in (
            ("leaf", [chain.leaf]),
            ("answer", answer),
            ("sent", chain.intermediates),
            ("roots", roots),
        ):
            (tmp_path / name).write_bytes(to_pem(content))
        openssl(
            *("verify", "-attime", str(int(NOW.timestamp())), "-CAfile", tmp_path / "roots"),
            *("-untrusted", tmp_path / "sent", tmp_path / "leaf"),
        )


@pytest.mark.parametrize(
    ("answer", "roots", "words"),
    [
        ([WWW, ISSUING, CROSS_EXPIRED, OLD], [OLD], 'the CA "CN=New Root" is valid from .* not now'),
        ([WWW, ISSUING_EXPIRED, NEW], [NEW], 'the CA "CN=Issuing" is valid from .* not now'),
        ([WWW, ISSUING, CROSS_EXPIRED, OLD_EXPIRED], [], "not now"),
        ([WWW, ISSUING, CROSS, OLD], [STRANGER], "is not among the issuer's roots"),
        ([WWW_EXPIRED, ISSUING, NEW], [NEW], "validity: it ended at"),
    ],
)
def test_where_no_chain_is_good_the_nearest_is_told_of(
    answer: Sequence[x509.Certificate], roots: Sequence[x509.Certificate], words: str
) -> None:
    with pytest.raises(Mismatch, match=words):
        accepted(ASKED.csr, answer, LEAF, now=NOW, roots=roots or None)


def test_a_way_up_that_breaks_a_rule_is_left_for_another() -> None:
    narrow = ca("Issuing", "New Root", (-10, 1700), path=None)
    below = ca("Other", "Issuing")
    www = leaf("Other")
    strict = ca("New Root", days=(-30, 1700), path=0)
    with pytest.raises(Mismatch, match="has the path length 0, but 2 more CAs stand below it"):
        accepted(ASKED.csr, [www, below, narrow], LEAF, now=NOW, roots=[strict])
    found = accepted(ASKED.csr, [www, below, narrow], LEAF, now=NOW, roots=[strict, NEW])
    assert found.root == NEW


def test_who_signed_the_issuer_again_gets_no_say_in_what_is_trusted() -> None:
    """A chain that reaches one of the issuer's roots ends there, whatever an answer has above it."""
    evil = ca("Other")
    crossed = ca("New Root", "Other")
    found = accepted(ASKED.csr, [WWW, ISSUING, crossed, evil], LEAF, now=NOW, roots=[NEW, ISSUING])
    assert found.certificates == (WWW, ISSUING)
    assert found.ca_pem == pem(ISSUING)


def test_many_cas_of_one_name_are_looked_at_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two names of one key, each certificate of which is signed by every one of the other: endless ways up."""
    checked = []

    def counted(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
        checked.append(issuer)
        return issued_by(certificate, issuer)

    monkeypatch.setattr("csr_operator.pki.chain.issued_by", counted)
    monkeypatch.setitem(KEYS, "Twin", KEYS["Issuing"])
    ring = [ca(*names, (-30, 300 + n)) for n in range(120) for names in (("Twin", "Issuing"), ("Issuing", "Twin"))]
    found = chains(ASKED.csr, [WWW, ISSUING, *ring, NEW], roots=[NEW], now=NOW)
    assert found[0].certificates == (WWW, ISSUING, NEW)
    assert 1 < len(found) <= MAX_CHAINS
    assert 300 < len(checked) <= MAX_TRIALS
    checked.clear()
    chains(ASKED.csr, [*ring, WWW, ISSUING, NEW], roots=[NEW], now=NOW)
    assert 300 < len(checked) <= MAX_TRIALS


def test_a_ca_does_not_stand_above_itself() -> None:
    up, down = ca("New Root", "Old Root"), ca("Old Root", "New Root")
    assert build_chain(ASKED.csr, [WWW, ISSUING, up, down]).certificates == (WWW, ISSUING, up, down)
    twin = ca("New Root", "Old Root", (-5, 5))
    assert len(build_chain(ASKED.csr, [WWW, ISSUING, up, twin, down]).certificates) == 4


def test_the_ca_of_a_secret_takes_a_way_up_that_is_valid() -> None:
    key = private_key_pem(KEYS["Issuing"])
    with_junk = to_pem([ISSUING, CROSS_EXPIRED])
    own = load_authority(with_junk, key, to_pem([OLD_EXPIRED, NEW]), now=NOW)
    assert own.valid_at(NOW)
    assert own.root == NEW
    renewed = load_authority(to_pem([ISSUING_EXPIRED, ISSUING]), key, to_pem([NEW]), now=NOW)
    assert renewed.certificate == ISSUING


def old_root(folder: Path) -> tuple[x509.Certificate, PrivateKey]:
    """Of X.509 version 1, as OpenSSL 1 made them."""
    key = key_of(RSA)
    (folder / "key").write_bytes(private_key_pem(key))
    made = openssl("req", "-new", "-key", folder / "key", "-subj", "/O=Old Corp/CN=Root of version 1")
    text = openssl(
        *("x509", "-req", "-signkey", folder / "key", "-days", "20000", "-set_serial", "1"),
        stdin=made[made.index("-----BEGIN") :].encode(),
    )
    certificate = x509.load_pem_x509_certificate(text[text.index("-----BEGIN") :].encode())
    if certificate.version is not x509.Version.v1:
        pytest.skip("this OpenSSL makes no certificates of version 1 any more")
    return certificate, key


def below(root: x509.Certificate, key: PrivateKey) -> x509.Certificate:
    return (
        x509.CertificateBuilder(root.subject, named("Issuing"), KEYS["Issuing"].public_key(), 7)
        .not_valid_before(NOW)
        .not_valid_after(NOW + 100 * DAY)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )


def test_a_root_of_version_1_is_an_anchor(tmp_path: Path) -> None:
    root, key = old_root(tmp_path)
    issuing = below(root, key)
    assert accepted(ASKED.csr, [WWW, issuing], LEAF, now=NOW, roots=[root]).root == root
    assert accepted(ASKED.csr, [WWW, issuing, root], LEAF, now=NOW).root == root
    own = load_authority(to_pem([issuing]), private_key_pem(KEYS["Issuing"]), to_pem([root]))
    assert own.root == root


def test_a_certificate_of_version_1_is_no_intermediate(tmp_path: Path) -> None:
    root, key = old_root(tmp_path)
    crossed = (
        x509.CertificateBuilder(OLD.subject, root.subject, key.public_key(), 8)
        .not_valid_before(NOW)
        .not_valid_after(NOW + 100 * DAY)
        .sign(KEYS["Old Root"], hashes.SHA256())
    )
    with pytest.raises(Mismatch, match="is not a CA certificate"):
        accepted(ASKED.csr, [WWW, below(root, key), crossed], LEAF, now=NOW, roots=[OLD])


def test_a_ca_above_that_may_not_sign_is_told_of_where_the_ca_is_read() -> None:
    unfit = (
        x509.CertificateBuilder(named("New Root"), named("New Root"), KEYS["New Root"].public_key(), 9)
        .not_valid_before(NOW)
        .not_valid_after(NOW + 100 * DAY)
        .sign(KEYS["New Root"], hashes.SHA256())
    )
    with pytest.raises(PkiError, match='the CA "CN=New Root" is not a CA certificate'):
        load_authority(to_pem([ISSUING]), private_key_pem(KEYS["Issuing"]), to_pem([unfit]))


@pytest.mark.parametrize("minutes", [4, 6])
def test_what_is_not_valid_yet_is_told_apart_from_all_else(minutes: int) -> None:
    early = NOW + timedelta(minutes=minutes)

    def answer(what: str) -> Chain:
        begins = {"leaf": NOW, "issuing": NOW, "root": NOW, what: early}
        root, middle = (
            x509.CertificateBuilder(named("New Root"), named(name), KEYS[name].public_key(), 11)
            .not_valid_before(begins[part])
            .not_valid_after(NOW + 100 * DAY)
            .add_extension(x509.BasicConstraints(True, None), True)
            .sign(KEYS["New Root"], hashes.SHA256())
            for name, part in (("New Root", "root"), ("Issuing", "issuing"))
        )
        end = leaf(begins=begins["leaf"])
        return Chain(end, (middle,), root)

    for what in ("leaf", "issuing", "root"):
        chain = answer(what)
        if minutes == 4 and what == "leaf":
            verify(chain, ASKED.csr, LEAF, now=NOW)
            continue
        with pytest.raises(Mismatch) as caught:
            verify(chain, ASKED.csr, LEAF, now=NOW)
        # Who serves a certificate waits for its notBefore; nobody looks at those above it.
        at = early - timedelta(minutes=5 if what == "leaf" else 0)
        assert caught.value.not_before == at
        words = clock_words(caught.value, NOW)
        assert words.startswith("the operator's clock says 2041-05-04T12:00:00Z: the CA's clock is ahead, or")
        assert words.endswith(f"looked at again at {at:%Y-%m-%dT%H:%M:%SZ}")
        with pytest.raises(Mismatch) as other:
            verify(chain, ASKED.csr, Profile(is_ca=True), now=NOW)
        assert other.value.not_before is None
        assert clock_words(other.value, NOW) == ""


def test_the_issuer_is_the_one_that_the_authority_key_identifier_names(tmp_path: Path) -> None:
    """Two CA certificates of one name and key; to OpenSSL only the one that is named leads up from there."""
    issuing, other = (
        x509.CertificateBuilder(named("New Root"), named("Issuing"), KEYS["Issuing"].public_key(), serial)
        .not_valid_before(NOW - 30 * DAY)
        .not_valid_after(NOW + 900 * DAY)
        .add_extension(x509.BasicConstraints(True, None), True)
        .add_extension(x509.SubjectKeyIdentifier(identifier), False)
        .sign(KEYS["New Root"], hashes.SHA256())
        for serial, identifier in ((101, b"\1" * 20), (102, b"\2" * 20))
    )
    builder = (
        x509.CertificateBuilder(named("Issuing"), ASKED.csr.subject, ASKED.csr.public_key(), 7)
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + 89 * DAY)
    )
    for extension in ASKED.csr.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    by_key = x509.AuthorityKeyIdentifier(b"\1" * 20, None, None)
    by_number = x509.AuthorityKeyIdentifier(None, [x509.DirectoryName(named("New Root"))], 101)

    for identifier in (by_key, by_number):
        end = builder.add_extension(identifier, False).sign(KEYS["Issuing"], signature_hash(KEYS["Issuing"]))
        for answer in ([end, other, issuing], [end, issuing, other]):
            chain = accepted(ASKED.csr, answer, LEAF, now=NOW, roots=[NEW])
            assert chain.intermediates == (issuing,)
        with pytest.raises(
            Mismatch, match="says by its authority key identifier that another certificate is its issuer"
        ):
            accepted(ASKED.csr, [end, other], LEAF, now=NOW, roots=[NEW])
        for name, certificate in (("root", NEW), ("leaf", end), ("issuing", issuing), ("other", other)):
            (tmp_path / name).write_bytes(pem(certificate))
        arguments = ("verify", "-attime", str(int(NOW.timestamp())), "-CAfile", tmp_path / "root", "-untrusted")
        openssl(*arguments, tmp_path / "issuing", tmp_path / "leaf")
        with pytest.raises(AssertionError, match="unable to get local issuer certificate"):
            openssl(*arguments, tmp_path / "other", tmp_path / "leaf")
