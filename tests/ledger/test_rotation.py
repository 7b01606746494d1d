"""Handing the log over to another key: who signs what, and what a crash at each point leaves behind."""

import shutil
from pathlib import Path

import pytest

from ledger import keys, sealing
from ledger.errors import SealingStopped, SigningKeyRetired
from ledger.last_signed import LastSignedStore
from ledger.models import Checkpoint, Entry, Statement
from ledger.own_policy import own_policy
from ledger.sealing import seal_all, seal_pending, seal_rotation
from ledger.tlog import note
from ledger.tlog.entry import open_entry, parse_entry
from ledger.tlog.note import Verifier
from ledger.tlog.policy import Policy
from ledger.tlog.rotation import read_rotation
from ledger.verification import verify_log

pytestmark = pytest.mark.django_db


class Died(BaseException):
    """Stands for kill -9: nothing may catch it."""


def _die(*args, **kwargs):
    raise Died


def signers_of(checkpoint: Checkpoint) -> list[str]:
    return [signature.key_id.hex() for signature in note.parse(bytes(checkpoint.note)).signatures]


def key_id(vkey: str) -> str:
    return Verifier.from_vkey(vkey).key_id.hex()


def entry_by(index: int, vkey: str):
    return open_entry(bytes(Entry.objects.get(index=index).note), verifier=Verifier.from_vkey(vkey))


@pytest.fixture
def old(submit_one) -> str:
    """A log of two entries, and the verifier key line that signed them."""
    submit_one()
    seal_all()
    return keys.load_vkey()


def rotate() -> str:
    new = keys.begin_rotation()
    keys.finish_rotation(seal_rotation(new).size)
    return new.vkey


def test_the_old_key_hands_over_and_the_new_one_signs_from_then_on(submit_one, old):
    new = rotate()
    submit_one()
    seal_all()
    handed_over = entry_by(2, old)
    assert handed_over.kind == "key_rotated"
    assert handed_over.subject == entry_by(0, old).subject
    assert read_rotation(handed_over, signed_by=Verifier.from_vkey(old)).vkey == new
    assert entry_by(3, new).kind == "handoff"
    assert signers_of(Checkpoint.objects.get(size=2)) == [key_id(old)]
    assert signers_of(Checkpoint.objects.get(size=3)) == [key_id(old), key_id(new)]
    assert signers_of(Checkpoint.objects.get(size=4)) == [key_id(new)]
    assert [(key.vkey, key.first, key.last) for key in keys.load_vkeys()] == [(old, 0, 2), (new, 3, None)]


def test_who_pinned_the_first_key_alone_follows_two_rotations(submit_one, old, settings):
    for _ in range(2):
        rotate()
        submit_one()
        seal_all()
    assert verify_log(policy=Policy.pin(settings.LEDGER_ORIGIN, old)).intact
    assert verify_log(policy=own_policy()).intact


def test_what_is_pending_waits_for_the_new_key(submit_one, old):
    statement = submit_one()
    new = rotate()
    assert Statement.objects.get(pk=statement.pk).entry is None
    seal_all()
    assert entry_by(3, new).kind == "handoff"


def test_a_log_may_be_handed_over_before_its_first_statement():
    keys.load_signer(may_create=True)
    new = rotate()
    assert [parse_entry(bytes(row.note)).kind for row in Entry.objects.all()] == ["genesis", "key_rotated"]
    assert keys.load_vkey() == new


def test_a_second_call_for_the_same_key_seals_no_second_rotation(old):
    new = keys.begin_rotation()
    first = seal_rotation(new)
    assert seal_rotation(new) == first
    keys.finish_rotation(first.size)
    assert seal_rotation(keys.load_signer()) == first
    assert Entry.objects.filter(kind="key_rotated").count() == 1


@pytest.mark.parametrize("died_in", ["advance", "sign", "before the swap"])
@pytest.mark.parametrize("then", ["seal", "rotate again"])
def test_dying_half_way_leaves_a_rotation_that_the_next_call_completes(submit_one, old, monkeypatch, died_in, then):
    new = keys.begin_rotation()
    with monkeypatch.context() as patched:
        if died_in == "advance":
            patched.setattr(LastSignedStore, "advance", _die)
        if died_in == "sign":
            patched.setattr(sealing.tlog_checkpoint, "sign_checkpoint", _die)
        if died_in == "before the swap":
            seal_rotation(new)
        else:
            with pytest.raises(Died):
                seal_rotation(new)
    assert keys.load_vkey() == old
    submit_one()
    if then == "rotate again":
        assert rotate() == new.vkey
    seal_all()
    assert keys.load_vkey() == new.vkey
    assert Entry.objects.filter(kind="key_rotated").count() == 1
    assert entry_by(3, new.vkey).kind == "handoff"
    assert signers_of(Checkpoint.objects.get(size=3)) == [key_id(old), key_id(new.vkey)]
    assert verify_log(policy=own_policy()).intact


def test_without_the_key_that_took_over_nothing_is_sealed(submit_one, old, monkeypatch):
    new = keys.begin_rotation()
    seal_rotation(new)
    submit_one()
    monkeypatch.setattr(keys, "next_signer", lambda: None)
    with pytest.raises(SigningKeyRetired, match="Entry 2 handed the log over") as stopped:
        seal_pending()
    assert isinstance(stopped.value, SealingStopped)
    with pytest.raises(SigningKeyRetired):
        seal_rotation(keys.load_signer())
    assert Entry.objects.count() == 3


def test_a_retired_key_that_was_brought_back_signs_nothing(submit_one, old, settings, tmp_path):
    folder = Path(settings.LEDGER_KEY_FILE).parent
    shutil.copytree(folder, tmp_path / "backup")
    rotate()
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "backup", folder)
    assert keys.load_vkey() == old
    submit_one()
    with pytest.raises(SigningKeyRetired, match="the old one does not sign any more"):
        seal_pending()
    assert Entry.objects.count() == 3
