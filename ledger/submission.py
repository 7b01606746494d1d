"""
The one way into the ledger: a service submits a statement inside its own transaction.

The statement and the rows that it speaks of are committed together or not at all; the sealer does the rest.
"""

from typing import Any

from django.db import transaction

from ledger.errors import KeyReused, StatementRefused
from ledger.models import Statement
from ledger.sealing import hint_sealing
from ledger.tlog import canonical
from ledger.tlog.entry import KINDS, MAX_LEAF_BYTES, SUBJECT
from ledger.tlog.errors import NotCanonical

# What the sealer adds around a body: fixed fields, hashes and the signature line, with room to spare.
MAX_BODY_BYTES = MAX_LEAF_BYTES - 2048


def submit(*, kind: str, subject: str, body: dict[str, Any], key: str) -> Statement:
    """
    Submit a statement to be sealed; call inside the transaction that writes what it speaks of.

    :param subject: the ``urn:uuid:`` whose chain the entry joins
    :param body: restricted canonical JSON (docs/ledger-format.md): no floats, no nulls where a field does not apply
    :param key: the idempotency key: the same key with the same content returns the first statement
    :raises StatementRefused: if no entry could be made of it
    :raises KeyReused: if the key was used with another content
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("submit() belongs inside the transaction that writes what the statement speaks of")
    encoded = _encode_body(kind, subject, body)
    statement, created = Statement.objects.select_related("entry").get_or_create(
        key=key, defaults={"kind": kind, "subject": subject, "body": encoded}
    )
    if not created and (statement.kind, statement.subject, bytes(statement.body)) != (kind, subject, encoded):
        raise KeyReused(key=key)
    # Robust: the statement is safe once committed. A sealer that cannot seal now must not fail the submitter.
    transaction.on_commit(hint_sealing, robust=True)
    return statement


def _encode_body(kind: str, subject: str, body: dict[str, Any]) -> bytes:
    if kind not in KINDS or kind == "genesis":
        raise StatementRefused(reason=f"{kind!r} is not a kind of entry that can be submitted")
    if not SUBJECT.fullmatch(subject):
        raise StatementRefused(reason=f"{subject!r} is not a urn:uuid:")
    if not isinstance(body, dict):
        raise StatementRefused(reason="the body is not an object")
    try:
        encoded = canonical.encode(body)
    except NotCanonical as error:
        raise StatementRefused(reason=str(error)) from error
    if len(encoded) > MAX_BODY_BYTES:
        raise StatementRefused(reason=f"the body has {len(encoded)} bytes and at most {MAX_BODY_BYTES} fit")
    return encoded
