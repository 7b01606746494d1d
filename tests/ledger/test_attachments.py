"""Attachments: where entries name them, and that the verdict names the first one that is not what it was."""

import hashlib
import uuid

import pytest
from django.db import connection

from ledger import append_only, attachments
from ledger.errors import AttachmentChanged
from ledger.models import Attachment, Entry
from ledger.own_policy import own_policy
from ledger.sealing import seal_all
from ledger.tlog.attachment_names import named_in
from ledger.verification import verify_log

pytestmark = pytest.mark.django_db


def keep(text: str) -> str:
    return attachments.store(text.encode(), media_type="application/json")


@pytest.fixture
def log(submit_one):
    """Entry 0 is the genesis; entries 1 to 6 name two attachments each, entry 4 an earlier one besides."""
    for n in range(1, 7):
        reads = {"document": keep(f"document {n}"), "reconciliation": keep(f"reconciliation {n}")}
        if n == 4:
            reads["earlier"] = [{"document": keep("earlier"), "session": uuid.UUID(int=4).urn}]
        submit_one(reads=reads)
    seal_all()


def change(text: str, to: bytes | None) -> str:
    """Change an attachment behind the triggers, or remove it; return its name."""
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    append_only.disarm(connection)
    row = Attachment.objects.filter(pk=sha256)
    assert (row.delete()[0] if to is None else row.update(content=to)) == 1
    append_only.arm(connection)
    return sha256


def verdict():
    return verify_log(policy=own_policy())


def test_a_log_whose_attachments_are_there_is_intact(log, django_assert_num_queries):
    policy = own_policy()
    with django_assert_num_queries(4):  # the newest checkpoint, its cosignatures, the entries, the attachments
        assert verify_log(policy=policy).intact


@pytest.mark.parametrize(("text", "at"), [("document 3", 3), ("reconciliation 6", 6), ("earlier", 4)])
def test_a_changed_attachment_breaks_the_entry_that_names_it(log, text, at):
    sha256 = change(text, b"{}")
    found = verdict()
    assert (found.status, found.check, found.broken_at) == ("broken", "attachment_changed", at)
    assert (found.expected, found.found) == (sha256, hashlib.sha256(b"{}").hexdigest())
    assert found.sentence() == f"Broken at entry {at}: an attachment that it names is not what it was."


def test_a_missing_attachment_breaks_the_entry_that_names_it(log):
    sha256 = change("document 2", None)
    found = verdict()
    assert (found.status, found.check, found.broken_at) == ("broken", "attachment_missing", 2)
    assert found.expected == sha256
    assert "gone" in found.sentence()


@pytest.mark.parametrize("batch", [1, 2, 5, 512])
def test_the_first_of_several_faults_is_named(log, monkeypatch, batch):
    monkeypatch.setattr(attachments, "BATCH", batch)
    change("reconciliation 5", b"later")
    change("document 2", None)
    append_only.disarm(connection)
    Entry.objects.filter(index=4).update(note=b"garbage")
    append_only.arm(connection)
    assert verdict().broken_at == 2
    assert verdict().check == "attachment_missing"


@pytest.mark.parametrize("batch", [1, 512])
def test_a_bad_entry_before_the_attachment_is_named_first(log, monkeypatch, batch):
    monkeypatch.setattr(attachments, "BATCH", batch)
    change("document 5", None)
    append_only.disarm(connection)
    Entry.objects.filter(index=3).update(note=b"garbage")
    append_only.arm(connection)
    assert (verdict().broken_at, verdict().check) == (3, "format")


def test_a_changed_attachment_is_not_loaded(log):
    sha256 = change("document 3", b"{}")
    with pytest.raises(AttachmentChanged) as refused:
        attachments.load(sha256)
    assert refused.value.code == "attachment_changed"
    assert sha256 in refused.value.sentence


@pytest.mark.parametrize(
    ("kind", "body", "named"),
    [
        ("handoff", {"reads": {"document": "a", "reconciliation": "b"}}, ["a", "b"]),
        ("handoff", {"reads": {"earlier": [{"document": "a"}, {}, {"document": "b"}, "c"]}}, ["a", "b"]),
        ("handoff", {"reads": {"document": 7, "reconciliation": None, "earlier": {"document": "a"}}}, []),
        ("handoff", {"reads": "a"}, []),
        ("handoff", {}, []),
        ("handoff_refused", {"reads": {"document": "a", "reconciliation": "b"}}, ["a"]),
        ("enrolment", {"reads": {"document": "a"}}, []),
    ],
)
def test_only_the_fields_that_the_format_lists_name_attachments(kind, body, named):
    assert list(named_in(kind, body)) == named
