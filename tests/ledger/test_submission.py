"""What may be submitted, what may not, and that a refused statement leaves nothing behind."""

import uuid

import pytest
from django.db import transaction

from ledger.errors import KeyReused, StatementRefused
from ledger.models import Statement
from ledger.submission import MAX_BODY_BYTES, submit

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
        ({"body": {"when": object()}}, ""),
        ({"body": nested(200)}, ""),
        ({"body": {"note": "x" * MAX_BODY_BYTES}}, "bytes"),
        ({"body": ["not", "an", "object"]}, "object"),
        ({"kind": "teleport"}, "teleport"),
        ({"kind": "genesis"}, "genesis"),
        ({"subject": "LRD-1042"}, "urn:uuid:"),
        ({"subject": SUBJECT.upper()}, "urn:uuid:"),
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
