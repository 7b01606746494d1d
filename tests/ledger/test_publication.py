"""What is published: a checkpoint with its cosignatures, and none that the policy's quorum has not seen."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connection
from django.utils import timezone

from ledger import append_only
from ledger.keys import load_vkey
from ledger.models import Checkpoint, Cosignature
from ledger.publication import newest_published, published_note
from ledger.tlog.cosignature import Cosigner
from ledger.tlog.note import Verifier, open_note, parse

pytestmark = pytest.mark.django_db(transaction=True)

NORTH, SOUTH, EAST = (
    Cosigner(f"{name}.example/witness", Ed25519PrivateKey.generate()) for name in ("north", "south", "east")
)


@pytest.fixture
def quorum(settings, tmp_path):
    """Write the operator's policy: three witnesses, of which so many are asked for."""
    settings.LEDGER_POLICY_FILE = tmp_path / "policy"

    def quorum(threshold: int) -> None:
        lines = [f"witness {name} {by.vkey}" for name, by in (("n", NORTH), ("s", SOUTH), ("e", EAST))]
        lines += [f"group all-three {threshold} n s e", "quorum all-three", ""]
        settings.LEDGER_POLICY_FILE.write_text("\n".join(lines))

    return quorum


@pytest.fixture
def checkpoints(submit_one) -> list[Checkpoint]:
    for _ in range(4):
        submit_one()
    return list(Checkpoint.objects.order_by("size"))


def cosign(checkpoint: Checkpoint, by: Cosigner, *, text: str = "") -> None:
    signature = by.cosign(text or parse(bytes(checkpoint.note)).text, timestamp=1_700_000_000)
    Cosignature.objects.create(
        checkpoint=checkpoint,
        witness=by.name[0],
        key_id=by.verifier.key_id.hex(),
        line=signature.line(),
        witnessed_at=timezone.now(),
    )


def test_nothing_sealed_is_nothing_published():
    assert newest_published() is None


def test_without_a_quorum_the_newest_is_published(checkpoints):
    assert newest_published() == checkpoints[-1]


def test_the_published_note_carries_the_cosignatures_by_name(checkpoints):
    newest = checkpoints[-1]
    for by in (SOUTH, EAST, NORTH):
        cosign(newest, by)
    found = open_note(
        published_note(newest), Verifier.from_vkey(load_vkey()), *(by.verifier for by in (NORTH, SOUTH, EAST))
    )
    assert [signature.name for signature in found.verified] == [
        parse(bytes(newest.note)).signatures[0].name,
        EAST.name,
        NORTH.name,
        SOUTH.name,
    ]
    assert published_note(newest).startswith(bytes(newest.note))


def test_where_none_reached_the_quorum_yet_the_newest_is_published(checkpoints, quorum):
    quorum(2)
    assert newest_published() == checkpoints[-1]
    cosign(checkpoints[1], NORTH)
    assert newest_published() == checkpoints[-1]


def test_the_newest_with_a_quorum_is_published_and_moves_on_with_each_cosignature(checkpoints, quorum):
    quorum(2)
    cosign(checkpoints[1], NORTH)
    cosign(checkpoints[1], SOUTH)
    assert newest_published() == checkpoints[1]
    cosign(checkpoints[3], NORTH)
    assert newest_published() == checkpoints[1]
    cosign(checkpoints[2], EAST)
    cosign(checkpoints[2], SOUTH)
    assert newest_published() == checkpoints[2]
    cosign(checkpoints[3], EAST)
    assert newest_published() == checkpoints[3]


def test_a_stricter_policy_counts_at_once(checkpoints, quorum):
    quorum(1)
    cosign(checkpoints[0], SOUTH)
    cosign(checkpoints[0], EAST)
    cosign(checkpoints[2], NORTH)
    assert newest_published() == checkpoints[2]
    quorum(2)
    assert newest_published() == checkpoints[0]


def test_rows_that_claim_a_quorum_do_not_make_one(checkpoints, quorum):
    quorum(2)
    cosign(checkpoints[0], NORTH)
    cosign(checkpoints[0], SOUTH)
    cosign(checkpoints[2], NORTH)
    cosign(checkpoints[2], SOUTH, text="another.example/log\n1\nAAAA\n")
    assert newest_published() == checkpoints[0]


def test_a_line_that_was_changed_in_the_database_counts_as_no_quorum(checkpoints, quorum):
    quorum(1)
    cosign(checkpoints[0], NORTH)
    cosign(checkpoints[2], NORTH)
    append_only.disarm(connection)
    try:
        Cosignature.objects.filter(checkpoint=checkpoints[2]).update(line="no signature line\n")
    finally:
        append_only.arm(connection)
    assert newest_published() == checkpoints[0]
