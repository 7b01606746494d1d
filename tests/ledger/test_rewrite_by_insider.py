"""
An insider with the database and the signing key rewrites the whole log, flawlessly. Nothing inside shows it; what
stands outside does: a witness's memory and cosignature, an earlier head, and an authority's timestamps.

All of it with the real pieces: the sealer, a witness over HTTP with its own state, ``openssl ts`` behind HTTP.
"""

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connection

from ledger import append_only, chaining
from ledger.keys import load_signer, load_vkey
from ledger.last_signed import open_store
from ledger.models import Checkpoint, Cosignature, Entry, LogHead, Statement, Timestamp, WitnessState
from ledger.sealing import seal_all
from ledger.timestamping import timestamp_due
from ledger.tlog import canonical
from ledger.tlog import checkpoint as tlog_checkpoint
from ledger.tlog.checkpoint import open_checkpoint
from ledger.tlog.cosignature import Cosigner
from ledger.tlog.entry import ZERO_HASH, parse_entry, sign_entry
from ledger.tlog.merkle import Frontier, leaf_hash
from ledger.tlog.note import Verifier
from ledger.tlog.policy import NONE, Policy
from ledger.tlog.policy import Witness as PinnedWitness
from ledger.tlog.verdict import BROKEN, INTACT_AND_WITNESSED, INTACT_UNWITNESSED, Verdict
from ledger.tlog.verify import StampedCheckpoint, verify_entries
from ledger.verification import verify_log
from ledger.witness import Witness
from ledger.witnessing import ask_witnesses, witness_report
from tests.ledger.tsa import LocalAuthority
from tests.ledger.watching import serving, write_policy

pytestmark = pytest.mark.django_db

HOUR = 3600


@pytest.fixture(autouse=True)
def no_history_yet(settings, tmp_path) -> None:
    settings.LEDGER_POLICY_FILE = tmp_path / "policy"


@pytest.fixture
def seal(submit_one) -> Callable[..., None]:
    def seal(*goods: str) -> None:
        for reference in goods:
            submit_one(goods={"reference": reference})
        seal_all()

    return seal


def rewrite(*, at: int, body: dict, leave_stamps: bool = False, size: int | None = None) -> None:
    """
    Do what the insider does: change one entry's body, chain and sign everything after it again with the log's own key
    and its old times, cut it to ``size``, and make the compact range, the checkpoint and the last-signed store fit.
    """
    signer, tree, prev, heads = load_signer(), Frontier(), ZERO_HASH, {}
    append_only.disarm(connection)
    Cosignature.objects.all().delete()
    if not leave_stamps:
        Timestamp.objects.all().delete()
    Checkpoint.objects.filter(timestamps__isnull=True).delete()
    if size is not None:
        Statement.objects.filter(entry__index__gte=size).delete()
        Entry.objects.filter(index__gte=size).delete()
    for row in Entry.objects.order_by("index"):
        entry = parse_entry(bytes(row.note))
        forged = sign_entry(
            replace(
                entry,
                prev=prev,
                subject_prev=heads.get(entry.subject, ZERO_HASH),
                body=body if row.index == at else entry.body,
            ),
            signer,
        )
        leaf = leaf_hash(forged)
        Entry.objects.filter(index=row.index).update(note=forged, leaf_hash=leaf)
        if row.index == at:
            Statement.objects.filter(entry_id=at).update(body=canonical.encode(body))
        tree.append(leaf)
        prev = heads[entry.subject] = leaf.hex()
    LogHead.objects.update(size=tree.size, frontier=tree.to_bytes())
    head = tlog_checkpoint.Checkpoint(signer.name, tree.size, tree.root())
    Checkpoint.objects.get_or_create(
        size=tree.size, defaults={"root": head.root, "note": tlog_checkpoint.sign_checkpoint(head, signer)}
    )
    append_only.arm(connection)
    store = open_store()
    shutil.rmtree(store.folder)
    with store.exclusive():
        store.advance(expected=None, new=head)


FORGED = {"goods": {"reference": "LRD-9999"}}


def pinned(settings, **more) -> Policy:
    """What the auditor pinned when the log was begun."""
    return replace(Policy.pin(settings.LEDGER_ORIGIN, load_vkey()), **more)


def verify_knowing(head: bytes, policy: Policy) -> Verdict:
    """Verify the stored entries as an auditor does who kept an earlier checkpoint."""
    known = open_checkpoint(head, origin=policy.origin, verifiers=[Verifier.from_vkey(v) for v in policy.vkeys])
    notes = [bytes(entry.note) for entry in Entry.objects.order_by("index")]
    newest = bytes(Checkpoint.objects.first().note)
    return verify_entries(notes, checkpoint=newest, policy=policy, known=known)


def test_nothing_inside_shows_it_and_so_the_rest_of_this_file_is_needed(seal, settings):
    seal("LRD-1042", "LRD-1043", "LRD-1044")
    policy = pinned(settings)
    before = verify_log(policy=policy)
    rewrite(at=2, body=FORGED)
    after = verify_log(policy=policy)
    assert before.status == after.status == INTACT_UNWITNESSED
    assert before.root != after.root
    assert parse_entry(bytes(Entry.objects.get(index=2).note)).body == FORGED
    seal("LRD-1045")
    assert verify_log(policy=policy).status == INTACT_UNWITNESSED, "the forged log is good enough to go on with"


# A witness


@pytest.fixture
def auditor(settings, tmp_path):
    """The carrier's witness watches the log; the auditor's policy asks for its cosignature."""
    carrier = Cosigner("carrier.example/witness", Ed25519PrivateKey.generate())
    witness = Witness(cosigner=carrier, logs=[load_signer(may_create=True).verifier], state=tmp_path / "carrier")
    with serving(witness) as url:
        write_policy(settings.LEDGER_POLICY_FILE, f"witness carrier {carrier.vkey} {url}", quorum="carrier")
        yield pinned(settings, witnesses=(PinnedWitness("carrier", carrier.vkey),), quorum="carrier")


@pytest.fixture
def cosigned(seal, auditor) -> bytes:
    """A log that the witness cosigned, and the checkpoint that the auditor took home."""
    seal("LRD-1042", "LRD-1043", "LRD-1044")
    ask_witnesses()
    assert verify_log(policy=auditor).status == INTACT_AND_WITNESSED
    return bytes(Checkpoint.objects.first().note) + Cosignature.objects.get().line.encode()


def trouble() -> str:
    [report] = witness_report()
    return report.trouble


def test_the_witness_does_not_cosign_the_rewritten_log(cosigned, auditor):
    rewrite(at=2, body=FORGED)
    ask_witnesses()
    assert "THIS LOG HAS TWO HISTORIES" in trouble()
    assert not Cosignature.objects.exists()
    assert verify_log(policy=auditor).status == INTACT_UNWITNESSED


def test_nor_once_it_has_grown(cosigned, auditor, seal):
    rewrite(at=2, body=FORGED)
    seal("LRD-1045", "LRD-1046")
    ask_witnesses()
    assert "THIS LOG HAS TWO HISTORIES" in trouble()
    assert verify_log(policy=auditor).status == INTACT_UNWITNESSED


def test_nor_where_it_was_cut(cosigned, auditor):
    rewrite(at=1, body=FORGED, size=2)
    ask_witnesses()
    assert "THIS LOG WENT BACK" in trouble()
    assert verify_log(policy=auditor).status == INTACT_UNWITNESSED


def test_nor_after_our_own_record_of_the_witness_is_wiped(cosigned, auditor, seal):
    rewrite(at=2, body=FORGED)
    WitnessState.objects.all().delete()
    seal("LRD-1045")
    ask_witnesses()
    assert "THIS LOG HAS TWO HISTORIES" in trouble()
    assert verify_log(policy=auditor).status == INTACT_UNWITNESSED


def test_the_old_cosignature_does_not_fit_the_new_history(cosigned, auditor):
    line = Cosignature.objects.values("witness", "key_id", "line", "witnessed_at").get()
    rewrite(at=2, body=FORGED)
    Cosignature.objects.create(checkpoint=Checkpoint.objects.first(), **line)
    verdict = verify_log(policy=auditor)
    assert (verdict.status, verdict.check) == (BROKEN, "cosignature")


def test_another_witness_of_the_insiders_own_counts_for_nobody(cosigned, auditor, settings, tmp_path):
    rewrite(at=2, body=FORGED)
    own = Cosigner("carrier.example/witness", Ed25519PrivateKey.generate())
    witness = Witness(cosigner=own, logs=[load_signer().verifier], state=tmp_path / "own")
    with serving(witness) as url:
        write_policy(settings.LEDGER_POLICY_FILE, f"witness carrier {own.vkey} {url}", quorum="carrier")
        ask_witnesses()
    assert Cosignature.objects.count() == 1
    assert verify_log(policy=auditor).status == INTACT_UNWITNESSED


@pytest.mark.parametrize("grown", [False, True])
def test_an_auditor_who_kept_the_cosigned_checkpoint_sees_history_written_anew(cosigned, auditor, seal, grown):
    assert verify_knowing(cosigned, replace(auditor, quorum=NONE)).intact
    rewrite(at=2, body=FORGED)
    if grown:
        seal("LRD-1045")
    verdict = verify_knowing(cosigned, auditor)
    assert (verdict.status, verdict.check) == (BROKEN, "known_root")


def test_published_all_the_same_the_two_checkpoints_convict_the_log(cosigned, auditor):
    rewrite(at=2, body=FORGED)
    published = bytes(Checkpoint.objects.first().note)
    keys = [Verifier.from_vkey(vkey) for vkey in auditor.vkeys]
    kept, shown = (open_checkpoint(note, origin=auditor.origin, verifiers=keys) for note in (cosigned, published))
    assert kept.size == shown.size
    assert kept.root != shown.root


# Timestamps


@pytest.fixture
def stamping(settings, tmp_path):
    """An authority of the outside stamps; the auditor pins its root, and asks for a stamp within the hour."""
    with LocalAuthority(tmp_path / "tsa") as authority:
        settings.LEDGER_TSA_URL, settings.LEDGER_TSA_EVERY = authority.url, 0
        load_signer(may_create=True)
        yield pinned(settings, timestamp_roots=(authority.root_der,), timestamp_within=HOUR)


@pytest.fixture
def hours_ago(monkeypatch) -> Callable[[int], None]:
    """
    Set the sealer's clock back. The authority has the real time and no other, so a log of two hours ago was never
    stamped here: to the verifier that is the same as stamps that the insider dropped.
    """

    def hours_ago(hours: int) -> None:
        class Clock(datetime):
            @classmethod
            def now(cls, tz=None):
                return datetime.now(tz) - timedelta(hours=hours)

        monkeypatch.setattr(chaining, "datetime", Clock)

    return hours_ago


def test_a_log_that_is_stamped_as_it_grows_is_sound(seal, stamping):
    for reference in ("LRD-1042", "LRD-1043"):
        seal(reference)
        assert timestamp_due() is not None
    seal("LRD-1044")
    verdict = verify_log(policy=stamping)
    assert (verdict.status, verdict.timestamps) == (INTACT_UNWITNESSED, 2)


@pytest.mark.parametrize("grown", [False, True])
def test_the_stamps_that_were_left_contradict_the_rewritten_log(seal, stamping, grown):
    seal("LRD-1042", "LRD-1043", "LRD-1044")
    timestamp_due()
    if grown:
        seal("LRD-1045")
    rewrite(at=2, body=FORGED, leave_stamps=True)
    if not grown:
        seal("LRD-1045")
    verdict = verify_log(policy=stamping)
    assert (verdict.status, verdict.check) == (BROKEN, "timestamp_root")


def test_a_stamp_that_the_auditor_kept_contradicts_it_too(seal, stamping):
    seal("LRD-1042", "LRD-1043", "LRD-1044")
    stamp = timestamp_due()
    kept = StampedCheckpoint(bytes(stamp.checkpoint.note), bytes(stamp.response))
    rewrite(at=2, body=FORGED)
    notes = [bytes(entry.note) for entry in Entry.objects.order_by("index")]
    newest = bytes(Checkpoint.objects.first().note)
    verdict = verify_entries(notes, checkpoint=newest, policy=stamping, timestamps=[kept])
    assert (verdict.status, verdict.check) == (BROKEN, "timestamp_root")


def test_an_old_stamp_moved_under_the_new_checkpoint_does_not_fit(seal, stamping):
    seal("LRD-1042", "LRD-1043", "LRD-1044")
    stamp = timestamp_due()
    rewrite(at=2, body=FORGED)
    Timestamp.objects.create(
        checkpoint=Checkpoint.objects.first(),
        authority=stamp.authority,
        response=bytes(stamp.response),
        stamped_at=stamp.stamped_at,
    )
    verdict = verify_log(policy=stamping)
    assert (verdict.status, verdict.check) == (BROKEN, "timestamp")


def test_stamps_of_today_come_too_late_for_a_history_of_hours_ago(seal, stamping, hours_ago):
    hours_ago(2)
    seal("LRD-1042", "LRD-1043", "LRD-1044")
    hours_ago(0)
    seal("LRD-1045")
    rewrite(at=2, body=FORGED)
    assert timestamp_due() is not None
    verdict = verify_log(policy=stamping)
    assert (verdict.status, verdict.check, verdict.broken_at) == (BROKEN, "timestamp_late", 0)


def test_so_does_no_stamp_at_all(seal, stamping, hours_ago):
    hours_ago(2)
    seal("LRD-1042")
    hours_ago(0)
    seal("LRD-1043")
    rewrite(at=1, body=FORGED)
    verdict = verify_log(policy=stamping)
    assert (verdict.status, verdict.check, verdict.broken_at) == (BROKEN, "timestamp_late", 0)


def test_an_authority_of_the_insiders_own_stamps_for_nobody(seal, stamping, settings, tmp_path):
    seal("LRD-1042", "LRD-1043")
    rewrite(at=1, body=FORGED)
    with LocalAuthority(tmp_path / "own") as own:
        settings.LEDGER_TSA_URL = own.url
        assert timestamp_due() is not None
    verdict = verify_log(policy=stamping)
    assert (verdict.status, verdict.check) == (BROKEN, "timestamp")
