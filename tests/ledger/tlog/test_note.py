"""Signed notes: known answers of C2SP and Go, round trips, and what is no note."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ledger.tlog import note
from ledger.tlog.errors import NoteMalformed, SignatureNotVerified, VerifierKeyMalformed
from ledger.tlog.note import Signer, Verifier

# The examples of golang.org/x/mod/sumdb/note, its documentation and note_test.go.
PETER_PRIVATE = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
ENOCH = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
PETER_LINE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
ENOCH_LINE = (
    "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"
)
# The example of c2sp.org/signed-note.
C2SP = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
C2SP_NOTE = (
    "This is an example message.\n\n"
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)

LOG = Signer("example.org/log", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
SAME_NAME = Signer("example.org/log", Ed25519PrivateKey.from_private_bytes(bytes(32)))
WITNESS = Signer("witness.example", Ed25519PrivateKey.from_private_bytes(b"w" * 32))


def peter() -> Signer:
    seed = base64.b64decode(PETER_PRIVATE)[1:]
    return Signer("PeterNeumann", Ed25519PrivateKey.from_private_bytes(seed))


def test_gos_note_is_signed_byte_for_byte():
    assert peter().vkey == PETER
    assert note.sign(GO_TEXT, peter()) == (GO_TEXT + "\n" + PETER_LINE).encode()


def test_gos_note_of_two_signatures_is_verified_by_each_key():
    data = (GO_TEXT + "\n" + PETER_LINE + ENOCH_LINE).encode()
    both = note.open_note(data, Verifier.from_vkey(PETER), Verifier.from_vkey(ENOCH))
    assert both.text == GO_TEXT
    assert [signature.name for signature in both.verified] == ["PeterNeumann", "EnochRoot"]
    one = note.open_note(data, Verifier.from_vkey(ENOCH))
    assert [signature.name for signature in one.verified] == ["EnochRoot"]
    assert len(one.signatures) == 2


def test_the_standards_own_example_is_verified():
    assert note.open_note(C2SP_NOTE.encode(), Verifier.from_vkey(C2SP)).text == "This is an example message.\n"


@pytest.mark.parametrize("vkey", [PETER, ENOCH, C2SP])
def test_a_verifier_key_line_comes_back(vkey):
    verifier = Verifier.from_vkey(vkey)
    assert verifier.vkey == vkey
    assert verifier.key_id.hex() == vkey.split("+")[1]


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "PeterNeumann",
        "PeterNeumann+c74f20a3",
        "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        PETER.replace("c74f20a3", "c74f20a4"),  # the id of no such key
        PETER.replace("c74f20a3", "C74F20A3"),
        PETER.replace("PeterNeumann", "Peter Neumann"),
        PETER.replace("PeterNeumann", "PeterNewmann"),
        PETER[:-4],  # too short a key
        PETER + "AAAA",
        PETER + "\n",
        " " + PETER,
        PETER.replace("+ARpc", "+BRpc"),  # a cosignature key's type
        PETER.replace("/", "_"),
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",  # Go's unknown algorithm
    ],
)
def test_another_verifier_key_line_is_refused(vkey):
    with pytest.raises(VerifierKeyMalformed) as refused:
        Verifier.from_vkey(vkey)
    assert refused.value.found


@pytest.mark.parametrize(
    "name", ["", "a b", "a+b", "a\u00a0b", "a\u3000b", "a\nb", "a\x00b", "a\ud800b", "a\u2028b", "a\x85b"]
)
def test_a_name_that_no_line_could_hold_is_refused(name):
    with pytest.raises(VerifierKeyMalformed):
        Signer(name, LOG.private_key)
    with pytest.raises(VerifierKeyMalformed):
        Verifier(name, LOG.private_key.public_key())


texts = st.text(st.characters(exclude_categories=("Cs", "Cc")) | st.just("\n"), max_size=60).map(lambda t: t + "\n")


@given(texts, st.sampled_from([(LOG,), (LOG, WITNESS), (WITNESS, SAME_NAME, LOG)]))
def test_a_note_comes_back(text, signers):
    data = note.sign(text, *signers)
    opened = note.open_note(data, *(signer.verifier for signer in signers))
    assert opened.text == text
    assert opened.verified == opened.signatures == tuple(signer.sign(text) for signer in signers)
    assert note.parse(data).verified == ()


@given(texts, st.data())
def test_any_changed_byte_is_noticed(text, data):
    signed = note.sign(text, LOG)
    at = data.draw(st.integers(0, len(signed) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != signed[at]))
    with pytest.raises((NoteMalformed, SignatureNotVerified)):
        note.open_note(signed[:at] + bytes([byte]) + signed[at + 1 :], LOG.verifier)


@given(st.binary(max_size=80))
def test_any_bytes_are_refused_by_name(data):
    with pytest.raises((NoteMalformed, SignatureNotVerified)):
        note.open_note(data, LOG.verifier)


@pytest.mark.parametrize("text", ["", "no newline", "a\tb\n", "a\rb\n", "a\r\n", "\x00\n", "\x1f\n", "\ud800\n"])
def test_a_text_that_would_not_come_back_is_not_signed(text):
    with pytest.raises(NoteMalformed):
        note.sign(text, LOG)


def test_without_a_signer_there_is_no_note():
    with pytest.raises(NoteMalformed, match="signer"):
        note.sign("text\n")


GOOD = note.sign("text\n", LOG)
LINE = GOOD.decode().split("\n\n")[1]
ENCODED = LINE.split(" ")[2].strip()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"\n\n",
        b"text\n",
        b"text\n\n",
        b"text\n\n\n",
        b"text\n" + LINE.encode(),  # no empty line between
        GOOD[:-1],
        GOOD + b"\n",
        GOOD + b"\n\n",
        GOOD + b"more\n",
        b"\xef\xbb\xbf",
        b"\xff" + GOOD,
        GOOD.replace(b"\n", b"\r\n"),
        GOOD.replace(b"text", b"te\x00t"),
        GOOD.replace("— ".encode(), b"- "),
        GOOD.replace("— ".encode(), "—".encode()),
        GOOD.replace("— ".encode(), "—\u00a0".encode()),
        GOOD.replace("— ".encode(), " — ".encode()),
        GOOD.replace(b"example.org/log ", b"example.org/log  "),
        GOOD.replace(b"example.org/log ", b" "),
        GOOD.replace(b"example.org/log ", b"example.org+log "),
        GOOD.replace(b"example.org/log ", b"example.org/log\xc2\xa0"),
        GOOD[:-1] + b" \n",
        GOOD.replace(ENCODED.encode(), ENCODED.rstrip("=").encode()),
        GOOD.replace(ENCODED.encode(), b""),
        GOOD.replace(ENCODED.encode(), base64.b64encode(b"abcd")),  # a key id and no signature
        f"text\n\n{LINE.strip()}\u2028{LINE}".encode(),  # splitlines() would see two lines here
        b"text\n\n" + LINE.encode() * 101,
        b"x" * 1_000_001,
    ],
    ids=lambda data: repr(data[:20]),
)
def test_what_is_no_note(data):
    with pytest.raises(NoteMalformed) as refused:
        note.parse(data)
    assert refused.value.expected
    assert refused.value.found
    with pytest.raises(NoteMalformed):
        note.open_note(data, LOG.verifier)


def test_a_text_may_hold_empty_lines_and_even_a_signature_line():
    text = f"first\n\n{LINE}\nlast\n"
    assert note.open_note(note.sign(text, LOG), LOG.verifier).text == text


def test_a_stranger_under_the_same_name_is_not_the_log():
    with pytest.raises(SignatureNotVerified) as refused:
        note.open_note(note.sign("text\n", SAME_NAME), LOG.verifier)
    assert LOG.verifier.key_id.hex() in refused.value.expected
    assert SAME_NAME.verifier.key_id.hex() in refused.value.found


def test_the_same_key_under_another_name_is_not_the_log():
    with pytest.raises(SignatureNotVerified):
        note.open_note(note.sign("text\n", Signer("example.org/other", LOG.private_key)), LOG.verifier)


def test_no_known_key_verifies_nothing():
    with pytest.raises(SignatureNotVerified, match="no key at all"):
        note.open_note(GOOD)


def test_strangers_beside_the_log_are_ignored_and_not_called_verified():
    opened = note.open_note(note.sign("text\n", WITNESS, LOG, SAME_NAME), LOG.verifier)
    assert [signature.key_id for signature in opened.verified] == [LOG.verifier.key_id]
    assert len(opened.signatures) == 3


def test_a_known_keys_bad_signature_spoils_the_note_beside_a_good_one():
    other = WITNESS.sign("another text\n").line()
    with pytest.raises(SignatureNotVerified, match=r"witness\.example"):
        note.open_note(GOOD + other.encode(), LOG.verifier, WITNESS.verifier)
    assert note.open_note(GOOD + other.encode(), LOG.verifier).verified


def test_a_signature_of_another_length_is_no_signature():
    raw = base64.b64decode(ENCODED)
    for changed in (raw[:-1], raw + b"\x00", raw[:5]):
        data = GOOD.replace(ENCODED.encode(), base64.b64encode(changed))
        with pytest.raises(SignatureNotVerified):
            note.open_note(data, LOG.verifier)


def test_a_signature_with_its_order_added_is_refused():
    """RFC 8032 section 5.1.7: S is below the group's order, or one signature would have several spellings."""
    raw = base64.b64decode(ENCODED)
    order = 2**252 + 27742317777372353535851937790883648493
    s = int.from_bytes(raw[-32:], "little") + order
    data = GOOD.replace(ENCODED.encode(), base64.b64encode(raw[:-32] + s.to_bytes(32, "little")))
    with pytest.raises(SignatureNotVerified):
        note.open_note(data, LOG.verifier)
