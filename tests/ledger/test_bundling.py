"""Bundles from the stored log: exported, then verified offline; and disclosures, which are entries."""

import base64
import os
import subprocess
import uuid
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import CommandError, call_command
from django.db import connection

from ledger import append_only, attachments
from ledger.bundling import NothingToExport, write_bundle
from ledger.disclosure import (
    CommitmentNotInScope,
    CommitmentNotOpened,
    DisclosureNotAllowed,
    DisclosureNotSealed,
    DisclosureReasonMissing,
    Opened,
    disclose,
)
from ledger.keys import begin_rotation, finish_rotation, load_vkey
from ledger.models import Attachment, Checkpoint, Cosignature, Entry, Statement, Timestamp
from ledger.own_policy import own_policy
from ledger.sealing import seal_all, seal_epoch, seal_rotation
from ledger.tlog.bundle import verify_bundle
from ledger.tlog.commitment import commit
from ledger.tlog.cosignature import Cosigner
from ledger.tlog.entry import parse_entry
from ledger.tlog.errors import PolicyMalformed
from ledger.tlog.note import parse
from ledger.tlog.policy import Policy, Witness, parse_policy
from tests.ledger.tsa import LocalAuthority

pytestmark = pytest.mark.django_db

SHIPMENTS = [uuid.UUID(int=n).urn for n in range(1, 4)]
SALT, VALUE = b"s" * 32, "Firmó José.".encode()
COMMITMENT = commit(salt=SALT, value=VALUE)


def open_test_commitment(commitment: str) -> Opened | None:
    return Opened(SALT, VALUE) if commitment == COMMITMENT else None


@pytest.fixture
def log(submit_one, settings):
    """A genesis, nine statements about three shipments, the first of which has an attachment; entry 2 has a note."""
    settings.LEDGER_OPENERS = (f"{__name__}.open_test_commitment",)
    document = attachments.store(b"the raw report", media_type="application/json")
    submit_one(subject=SHIPMENTS[0], reads={"document": document})
    submit_one(subject=SHIPMENTS[1], to={"note": COMMITMENT})
    for n in range(2, 9):
        submit_one(subject=SHIPMENTS[n % 3], n=n)
    seal_all()
    assert Entry.objects.count() == 10


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "out.zip"


def verdict(path: Path, policy: Policy | None = None, **options):
    return verify_bundle(path, policy=policy or own_policy(), **options)


def test_the_whole_log(log, out):
    written = write_bundle(out)
    assert (written.scope, written.size, written.entries, written.missing) == ("log", 10, 10, ())
    found = verdict(out)
    assert (found.status, found.entries, found.attachments) == ("intact_unwitnessed", 10, 1)
    assert out.stat().st_mode & 0o777 == 0o600


def test_a_range_and_a_shipment_without_an_epoch(log, out):
    write_bundle(out, span=(3, 8))
    found = verdict(out)
    assert (found.status, found.entries, found.first, found.stop) == ("intact_unwitnessed", 5, 3, 8)
    write_bundle(out, subject=SHIPMENTS[0])
    found = verdict(out, subject=SHIPMENTS[0])
    assert (found.status, found.entries, found.attachments) == ("intact_unwitnessed", 3, 1)
    assert found.complete_up_to is None


def test_a_shipment_is_complete_up_to_the_epoch(log, out, submit_one):
    seal_epoch()
    submit_one(subject=SHIPMENTS[2])
    seal_all()
    for subject, entries in ((SHIPMENTS[0], 3), (SHIPMENTS[2], 4), (uuid.UUID(int=99).urn, 0)):
        write_bundle(out, subject=subject)
        found = verdict(out)
        assert (found.status, found.entries, found.complete_up_to) == ("intact_unwitnessed", entries, 10)


def test_the_same_state_makes_the_same_bytes(log, out, tmp_path):
    for scope in ({}, {"span": (1, 9)}, {"subject": SHIPMENTS[1]}):
        write_bundle(out, **scope)
        write_bundle(tmp_path / "again.zip", **scope)
        assert out.read_bytes() == (tmp_path / "again.zip").read_bytes()


def test_more_than_one_tile(log, out, submit_one):
    for n in range(300):
        submit_one(subject=SHIPMENTS[n % 3], n=n)
    seal_all()
    write_bundle(out)
    assert verdict(out).size == 310
    with zipfile.ZipFile(out) as archive:
        assert {"tile/0/000", "tile/0/001.p/54", "tile/1/000.p/1", "tile/entries/000"} <= set(archive.namelist())
    write_bundle(out, span=(200, 310))
    assert verdict(out).entries == 110


def test_nothing_is_left_where_nothing_can_be_exported(out, submit_one):
    for scope in ({}, {"span": (0, 1)}, {"subject": SHIPMENTS[0]}):
        with pytest.raises(NothingToExport):
            write_bundle(out, **scope)
    submit_one()
    seal_all()
    for scope in ({"span": (0, 3)}, {"span": (1, 1)}, {"span": (-1, 1)}, {"subject": SHIPMENTS[0]}):
        with pytest.raises(NothingToExport):
            write_bundle(out, **scope)
    assert list(out.parent.glob("*out.zip*")) == []


def test_a_failed_export_leaves_the_older_bundle(log, out, monkeypatch):
    write_bundle(out)
    before = out.read_bytes()
    monkeypatch.setattr("ledger.bundling.fetch", lambda tile: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        write_bundle(out)
    assert out.read_bytes() == before
    assert list(out.parent.glob(".out.zip*")) == []


def test_a_broken_log_is_exported_and_its_bundle_says_so(log, out):
    append_only.disarm(connection)
    entry = Entry.objects.get(index=4)
    Entry.objects.filter(index=4).update(note=bytes(entry.note).replace(b'"n":3', b'"n":4'))
    Attachment.objects.all().delete()
    append_only.arm(connection)
    assert write_bundle(out, span=(4, 6)).entries == 2
    found = verdict(out)
    assert (found.status, found.check, found.broken_at) == ("broken", "signature", 4)
    assert len(write_bundle(out, span=(1, 2)).missing) == 1
    assert verdict(out).check == "attachment_missing"


# Disclosures


def test_nothing_is_disclosed_unless_it_is_named(log, out):
    write_bundle(out)
    with zipfile.ZipFile(out) as archive:
        assert not [name for name in archive.namelist() if name.startswith("disclosures/")]
        everything = b"".join(archive.read(name) for name in archive.namelist())
    assert VALUE not in everything
    assert VALUE.hex().encode() not in everything


def test_an_officer_discloses_and_that_is_an_entry(log, out, olga):
    openings = disclose([COMMITMENT], by=olga, reason="Order 77/2026", subject=SHIPMENTS[1])
    write_bundle(out, subject=SHIPMENTS[1], openings=openings)
    found = verdict(out)
    assert [(one.entry, one.label, one.text) for one in found.disclosures] == [(2, "to.note", "Firmó José.")]
    # The record is in the very bundle: it is an entry of that shipment.
    assert found.entries == 4
    recorded = parse_entry(bytes(Entry.objects.get(kind="disclosure").note))
    assert recorded.subject == SHIPMENTS[1]
    assert recorded.body["by"] == olga.pk.urn
    assert recorded.body["reason"] == "Order 77/2026"
    assert recorded.body["commitments"] == [{"commitment": COMMITMENT, "entry": 2, "label": "to.note"}]
    # A second time it is found where it was committed to, not where it was disclosed, and is recorded again.
    again = disclose([COMMITMENT], by=olga, reason="Order 78/2026")
    assert again == openings
    assert Entry.objects.filter(kind="disclosure").count() == 2


def test_who_may_not_disclose_opens_and_records_nothing(log, ana, beto, carla, olga):
    for user in (ana, beto, carla):
        with pytest.raises(DisclosureNotAllowed):
            disclose([COMMITMENT], by=user, reason="Order 77/2026")
    olga.is_active = False
    with pytest.raises(DisclosureNotAllowed):
        disclose([COMMITMENT], by=olga, reason="Order 77/2026")
    assert not Statement.objects.filter(kind="disclosure").exists()


def test_what_cannot_be_disclosed_is_named_and_nothing_is_recorded(log, olga, settings):
    for reason in ("", " x", "José's case", "x" * 81, "a\nb"):
        with pytest.raises(DisclosureReasonMissing):
            disclose([COMMITMENT], by=olga, reason=reason)
    for commitment in ("0" * 64, "nonsense", SHIPMENTS[1]):
        with pytest.raises(CommitmentNotInScope):
            disclose([COMMITMENT, commitment], by=olga, reason="Order 77/2026")
    with pytest.raises(CommitmentNotInScope):
        disclose([COMMITMENT], by=olga, reason="Order 77/2026", subject=SHIPMENTS[0])
    with pytest.raises(CommitmentNotInScope):
        disclose([COMMITMENT], by=olga, reason="Order 77/2026", span=(3, 9))
    settings.LEDGER_OPENERS = ()
    with pytest.raises(CommitmentNotOpened):
        disclose([COMMITMENT], by=olga, reason="Order 77/2026")
    assert not Statement.objects.filter(kind="disclosure").exists()


def test_a_disclosure_that_no_sealer_took_up_is_recorded_and_opens_nothing(log, olga, settings, monkeypatch):
    settings.BROKER_URL = "memory://"  # the sealer lives in another process
    monkeypatch.setattr("ledger.disclosure.SEALED_WITHIN", 0)
    with pytest.raises(DisclosureNotSealed):
        disclose([COMMITMENT], by=olga, reason="Order 77/2026")
    assert Statement.objects.get(kind="disclosure").entry is None


def test_what_is_disclosed_of_an_unpublished_entry_is_not_exported(log, out, olga):
    openings = disclose([COMMITMENT], by=olga, reason="Order 77/2026")
    with pytest.raises(NothingToExport):
        write_bundle(out, openings=[replace(openings[0], entry=Entry.objects.count())])
    assert not out.exists()


# What stands behind a checkpoint


def test_rotation_witnesses_and_timestamps_go_along(log, out, submit_one, tmp_path):
    first_key = load_vkey()
    witness = Cosigner("witness.example", Ed25519PrivateKey.generate())
    stamped = Checkpoint.objects.get(size=10)
    with LocalAuthority(tmp_path / "tsa") as authority:
        response = authority.stamp(bytes(stamped.note))
    Timestamp.objects.create(
        checkpoint=stamped, authority="Test TSA", response=response, stamped_at=datetime(2026, 11, 22, tzinfo=UTC)
    )
    new = begin_rotation()
    finish_rotation(seal_rotation(new).size)
    submit_one(subject=SHIPMENTS[0])
    seal_all()
    seal_epoch()
    newest = Checkpoint.objects.first()
    line = witness.cosign(parse(bytes(newest.note)).text, timestamp=1_795_000_000)
    Cosignature.objects.create(
        checkpoint=newest,
        witness=witness.name,
        key_id=witness.verifier.key_id.hex(),
        line=line.line(),
        witnessed_at=datetime(2026, 11, 22, tzinfo=UTC),
    )
    # Pinned by somebody who knows the first key alone.
    policy = replace(
        Policy.pin(own_policy().origin, first_key),
        witnesses=(Witness("customs", witness.vkey),),
        quorum="customs",
        timestamp_roots=(authority.root_der,),
    )
    for scope in ({}, {"span": (1, 5)}, {"span": (11, 13)}, {"subject": SHIPMENTS[0]}):
        write_bundle(out, **scope)
        found = verdict(out, policy)
        assert (found.status, found.witnesses, found.timestamps) == ("intact_and_witnessed", ("customs",), 1), scope
    assert found.complete_up_to == 12


def test_the_policy_in_a_bundle_pins_nothing(log, out):
    write_bundle(out)
    with zipfile.ZipFile(out) as archive:
        template = archive.read("policy")
    assert load_vkey().encode() in template
    with pytest.raises(PolicyMalformed, match="at least one log line"):
        parse_policy(template)


# The command


def export(*arguments: object) -> str:
    out = StringIO()
    call_command("export_bundle", *map(str, arguments), stdout=out)
    return out.getvalue()


def test_the_command_writes_each_scope(log, out):
    assert "10 entries" in export(out, "--log")
    assert verdict(out).scope == "log"
    assert "3 entries" in export(out, "--range", 2, 5)
    assert verdict(out).scope == "range"
    export(out, "--subject", SHIPMENTS[0], "--epoch")
    assert verdict(out).complete_up_to == 10


def test_the_command_discloses_for_an_officer(log, out, olga):
    told = export(
        *(out, "--subject", SHIPMENTS[1], "--epoch"),
        *("--disclose", COMMITMENT, "--as", "olga", "--reason", "Order 77/2026"),
    )
    assert COMMITMENT in told
    found = verdict(out)
    # The disclosure is entry 10, and the epoch behind it covers it.
    assert (found.entries, found.complete_up_to, len(found.disclosures)) == (4, 11, 1)


def test_the_command_refuses_and_leaves_no_file(log, out, ana):
    for arguments in (
        ("--subject", "LRD-1042"),
        ("--shipment", "LRD-9999"),
        ("--range", 5, 5),
        ("--log", "--disclose", COMMITMENT),
        ("--log", "--disclose", COMMITMENT, "--as", "nobody", "--reason", "Order 77/2026"),
        ("--log", "--disclose", COMMITMENT, "--as", "ana", "--reason", "Order 77/2026"),
    ):
        with pytest.raises(CommandError):
            export(out, *arguments)
    with pytest.raises(CommandError):
        export(out.parent / "nowhere" / "out.zip", "--log")
    assert not out.exists()


# What the bundle's README tells a person to type


def test_the_readme_tells_the_truth(log, out, tmp_path):
    write_bundle(out, span=(1, 4))
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(out) as archive:
        archive.extractall(folder)
    readme = (folder / "README.txt").read_text("utf-8")
    assert "$" + "origin" not in readme
    assert own_policy().origin in readme
    commands = [line.strip() for line in readme.splitlines() if line.startswith("     ")]
    script = "\n".join(line for line in commands if not line.startswith("openssl ts")).replace("THE KEY", load_vkey())
    script = script.replace("entry/N.note", "entry/2.note")
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    ran = subprocess.run(["bash", "-euc", script], cwd=folder, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "Signature Verified Successfully" in ran.stdout
    # The fingerprint of entry 2 is what entry 3 continues from.
    assert parse_entry((folder / "entry" / "3.note").read_bytes()).prev in ran.stdout
    assert base64.b64decode((folder / "checkpoint").read_text().split("\n")[2])
