"""What may be submitted, what may not, and that a refused statement leaves nothing behind."""

import uuid

import pytest
from django.db import transaction

from ledger import submission
from ledger.errors import KeyReused, StatementRefused
from ledger.models import Entry, Statement
from ledger.sealing import seal_all
from ledger.submission import MAX_BODY_BYTES, MAX_KEY_CHARACTERS, Draft, submit, submit_all

pytestmark = pytest.mark.django_db

SUBJECT = uuid.UUID(int=7).urn


def nested(levels: int) -> dict[str, object]:
    body: dict[str, object] = {}
    for _ in range(levels):
        body = {"deeper": body}
    return body


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"body": {"distance": 0.31}}, "float"),
        ({"body": {"count": 2**53}}, "2"),
        ({"body": {"größe": 1}}, "ASCII"),
        ({"body": {"name": "\ud800"}}, ""),
        ({"body": {"when": ...}}, ""),  # named without an address, so that two processes collect one name
        ({"body": nested(200)}, ""),
        ({"body": {"note": "x" * MAX_BODY_BYTES}}, "bytes"),
        ({"body": ["not", "an", "object"]}, "object"),
        ({"kind": "teleport"}, "teleport"),
        ({"kind": "genesis"}, "genesis"),
        ({"kind": "index_epoch"}, "index_epoch"),
        ({"kind": "key_rotated"}, "key_rotated"),
        ({"subject": "LRD-1042"}, "urn:uuid:"),
        ({"subject": SUBJECT.upper()}, "urn:uuid:"),
        ({"key": "k" * (MAX_KEY_CHARACTERS + 1)}, "the key has 121 characters"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_what_cannot_be_sealed_is_refused_and_leaves_nothing(fields, says):
    statement = {"kind": "handoff", "subject": SUBJECT, "body": {"ok": True}, "key": "k"} | fields
    with pytest.raises(StatementRefused) as refused, transaction.atomic():
        submit(**statement)
    assert says in refused.value.sentence
    assert refused.value.code == "statement_refused"
    assert not Statement.objects.exists()


def test_the_same_key_with_the_same_content_is_one_statement(submit_one):
    first = submit_one(key="handoff:1", subject=SUBJECT, n=1)
    again = submit_one(key="handoff:1", subject=SUBJECT, n=1)
    assert first.pk == again.pk
    assert Statement.objects.count() == 1


def test_the_same_key_with_another_content_is_refused(submit_one):
    submit_one(key="handoff:1", subject=SUBJECT, n=1)
    with pytest.raises(KeyReused):
        submit_one(key="handoff:1", subject=SUBJECT, n=2)


def test_a_statement_goes_with_the_transaction_that_it_speaks_of():
    with transaction.atomic():
        submit(kind="handoff", subject=SUBJECT, body={"n": 1}, key="k")
        transaction.set_rollback(True)
    assert not Statement.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_outside_a_transaction_nothing_is_submitted():
    with pytest.raises(RuntimeError, match="transaction"):
        submit(kind="handoff", subject=SUBJECT, body={"n": 1}, key="k")


@pytest.mark.django_db(transaction=True)
def test_embedded_the_statement_is_sealed_right_after_the_commit(submit_one):
    statement = submit_one()
    statement.refresh_from_db()
    assert statement.entry is not None
    assert statement.entry.index == 1  # 0 is the genesis


def draft(number: int, *, key: str = "", **body: object) -> Draft:
    return Draft("handoff", SUBJECT, body or {"n": number}, key or f"handoff:{number}")


@pytest.mark.parametrize("count", [0, 1, 600])
def test_several_are_submitted_in_the_order_that_they_are_given_in(count):
    with transaction.atomic():
        ids = submit_all([draft(number) for number in range(count)])
    assert ids == list(Statement.objects.order_by("id").values_list("id", flat=True))
    assert [Statement.objects.get(pk=id).key for id in ids] == [f"handoff:{number}" for number in range(count)]


def test_several_of_which_some_were_submitted_before_are_each_one_statement():
    with transaction.atomic():
        first = submit_all([draft(1), draft(2)])
        again = submit_all([draft(0), draft(2), draft(3), draft(3), draft(1)])
    assert [again[1], again[4]] == [first[1], first[0]]
    assert again[2] == again[3]
    assert Statement.objects.count() == 4


@pytest.mark.parametrize(
    "drafts",
    [[draft(0), draft(1, other=True)], [draft(0), draft(2), draft(3, key="handoff:2")]],
    ids=["before", "among these"],
)
def test_several_of_which_one_has_a_used_key_leave_nothing(drafts):
    with transaction.atomic():
        submit_all([draft(1)])
    with pytest.raises(KeyReused), transaction.atomic():
        submit_all(drafts)
    assert Statement.objects.get().key == "handoff:1"


def test_several_of_which_one_is_refused_leave_nothing():
    with pytest.raises(StatementRefused):
        submit_all([draft(1), draft(2, n=0.5)])
    assert not Statement.objects.exists()


def test_a_statement_that_was_sealed_since_comes_back_with_its_entry(submit_one):
    submit_one(key="handoff:1", n=1, subject=SUBJECT)
    seal_all()
    assert submit_one(key="handoff:1", n=1, subject=SUBJECT).entry == Entry.objects.get(index=1)


@pytest.fixture
def told(monkeypatch):
    """What is called after a commit, in the order of the calls."""
    calls: list[str] = []
    monkeypatch.setattr(submission, "hint_sealing", lambda: calls.append("sealer"))
    monkeypatch.setattr(submission, "wake", lambda: calls.append("sweeper"))
    return calls


@pytest.mark.django_db(transaction=True)
def test_a_transaction_tells_the_sealer_once_and_then_the_sweeper(told):
    with transaction.atomic():
        for number in range(3):
            with transaction.atomic():
                submit(**draft(number)._asdict())
        assert told == []
    assert told == ["sealer", "sweeper"]
    with transaction.atomic():
        submit(**draft(9)._asdict())
    assert told == ["sealer", "sweeper"] * 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("lost", ["first", "last", "inner", "outer"])
def test_a_savepoint_that_is_rolled_back_loses_no_hint_for_what_stays(told, lost):
    with transaction.atomic():
        with transaction.atomic():
            if lost != "last":
                submit(**draft(0)._asdict())
            with transaction.atomic():
                submit(**draft(1)._asdict())
                transaction.set_rollback(lost == "inner")
            transaction.set_rollback(lost in ("first", "outer"))
        if lost != "outer":
            with transaction.atomic():
                submit(**draft(2)._asdict())
                transaction.set_rollback(lost == "last")
    assert told == (["sealer", "sweeper"] if Statement.objects.exists() else [])
    assert Statement.objects.count() == {"first": 1, "last": 1, "inner": 2, "outer": 0}[lost]
