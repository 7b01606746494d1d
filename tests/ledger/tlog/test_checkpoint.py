"""Checkpoints: a real one of the Go checksum database, round trips, and what is none."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ledger.tlog import note
from ledger.tlog.checkpoint import MAX_SIZE, Checkpoint, open_checkpoint, parse_checkpoint, sign_checkpoint
from ledger.tlog.errors import CheckpointMalformed, NoteMalformed, OriginNotPinned, SignatureNotVerified
from ledger.tlog.note import Signer, Verifier

GO_VKEY = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
GO_CHECKPOINT = (
    "go.sum database tree\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— sum.golang.org Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
)

LOG = Signer("example.org/log", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
ROOT = bytes(range(32))
ENCODED = base64.b64encode(ROOT).decode()
HEAD = Checkpoint("example.org/log", 12, ROOT)


def test_a_checkpoint_of_the_go_checksum_database_is_verified():
    head = open_checkpoint(
        GO_CHECKPOINT.encode(), origin="go.sum database tree", verifiers=[Verifier.from_vkey(GO_VKEY)]
    )
    assert head.size == 20852163
    assert base64.b64encode(head.root).decode() == "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="


def test_the_text():
    assert HEAD.text() == f"example.org/log\n12\n{ENCODED}\n"


@given(st.integers(0, MAX_SIZE), st.binary(min_size=32, max_size=32))
def test_a_checkpoint_comes_back(size, root):
    head = Checkpoint("example.org/log", size, root)
    assert parse_checkpoint(head.text()) == head
    assert open_checkpoint(sign_checkpoint(head, LOG), origin=head.origin, verifiers=[LOG.verifier]) == head


def test_extension_lines_are_kept():
    head = Checkpoint("example.org/log", 12, ROOT, ("timestamp 1", "other"))
    assert parse_checkpoint(head.text()) == head


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "example.org/log\n12\n",
        f"example.org/log\n12\n{ENCODED}",
        f"\n12\n{ENCODED}\n",
        f"example.org/log\n012\n{ENCODED}\n",
        f"example.org/log\n+12\n{ENCODED}\n",
        f"example.org/log\n-12\n{ENCODED}\n",
        f"example.org/log\n 12\n{ENCODED}\n",
        f"example.org/log\n1_2\n{ENCODED}\n",
        f"example.org/log\n12.0\n{ENCODED}\n",
        f"example.org/log\n0x0c\n{ENCODED}\n",
        f"example.org/log\n\n{ENCODED}\n",
        f"example.org/log\n١٢\n{ENCODED}\n",
        f"example.org/log\n１２\n{ENCODED}\n",
        f"example.org/log\n9223372036854775808\n{ENCODED}\n",
        f"example.org/log\n99999999999999999999999\n{ENCODED}\n",
        f"example.org/log\n12\n{ENCODED.rstrip('=')}\n",
        f"example.org/log\n12\n{ENCODED[:-2]}9=\n",
        f"example.org/log\n12\n{base64.b64encode(ROOT[:31]).decode()}\n",
        f"example.org/log\n12\n{base64.b64encode(ROOT + b'x').decode()}\n",
        f"example.org/log\n12\n{ROOT.hex()}\n",
        "example.org/log\n12\n\n",
        f"example.org/log\n12\n{ENCODED}\n\n",
        f"example.org/log\n12\n{ENCODED}\n\nextension\n",
        f"example.org/log\r\n12\r\n{ENCODED}\r\n",
        f"example.org/log\u202812\u2028{ENCODED}\n",
    ],
)
def test_another_text_is_refused(text):
    with pytest.raises(CheckpointMalformed) as refused:
        parse_checkpoint(text)
    assert refused.value.expected
    assert refused.value.found


def test_what_could_not_be_read_back_is_not_made():
    for wrong in ({"size": -1}, {"size": MAX_SIZE + 1}, {"root": b""}, {"origin": ""}, {"origin": "a\nb"}):
        with pytest.raises(CheckpointMalformed):
            Checkpoint(**{"origin": "example.org/log", "size": 12, "root": ROOT} | wrong)
    with pytest.raises(CheckpointMalformed):
        Checkpoint("example.org/log", 12, ROOT, ("two\nlines",))


def test_the_log_signs_its_own_checkpoints_alone():
    with pytest.raises(CheckpointMalformed, match="signer"):
        sign_checkpoint(Checkpoint("example.org/other", 12, ROOT), LOG)


def test_it_is_opened_with_the_pinned_key_and_origin_alone():
    data = sign_checkpoint(HEAD, LOG)
    stranger = Signer("example.org/log", Ed25519PrivateKey.from_private_bytes(bytes(32)))
    with pytest.raises(SignatureNotVerified):
        open_checkpoint(data, origin=HEAD.origin, verifiers=[stranger.verifier])
    with pytest.raises(SignatureNotVerified):
        open_checkpoint(data, origin=HEAD.origin, verifiers=[])
    with pytest.raises(OriginNotPinned) as refused:
        open_checkpoint(data, origin="example.org/other", verifiers=[LOG.verifier])
    assert "example.org/other" in refused.value.expected
    with pytest.raises(NoteMalformed):
        open_checkpoint(HEAD.text().encode(), origin=HEAD.origin, verifiers=[LOG.verifier])
    with pytest.raises(CheckpointMalformed):
        open_checkpoint(note.sign("hello\n", LOG), origin=HEAD.origin, verifiers=[LOG.verifier])
