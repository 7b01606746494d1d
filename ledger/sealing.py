"""
The sealer: turns pending statements into signed, chained entries, and signs the checkpoint that covers them.

One at a time: it holds the last-signed store's lock, and on PostgreSQL an advisory lock besides. Whenever it dies, a
statement is either pending or sealed, and no two histories are ever signed.
"""

import logging
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from celery import current_app
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, Max

from ledger.attachments import as_bytes
from ledger.errors import (
    EntryChanged,
    LastSignedMissing,
    LogForked,
    LogHeadChanged,
    LogWentBack,
    StatementChanged,
)
from ledger.keys import load_signer
from ledger.last_signed import LastSignedStore, open_store
from ledger.models import Checkpoint, Entry, LogHead, Statement
from ledger.tlog import canonical
from ledger.tlog import checkpoint as tlog_checkpoint
from ledger.tlog import entry as tlog_entry
from ledger.tlog.errors import FrontierMalformed, TlogError
from ledger.tlog.merkle import Frontier, leaf_hash
from ledger.tlog.note import Signer, Verifier
from ledger.tlog.times import format_time, parse_time

logger = logging.getLogger(__name__)

# Any number will do as long as no other part of the product takes the same advisory lock.
_ADVISORY_LOCK = 0x6C656467


def hint_sealing() -> None:
    """Seal now, where the sealer lives in this process; otherwise tell the worker that there is something to seal."""
    if settings.BROKER_URL:
        # By name: the task imports this module.
        current_app.send_task("ledger.tasks.seal")
    else:
        seal_all()


def seal_all() -> None:
    """Seal until nothing is pending."""
    while seal_pending():
        pass


def seal_pending(*, limit: int = 256) -> Checkpoint | None:
    """
    Seal up to ``limit`` pending statements and sign the checkpoint that covers them.

    :returns: the new checkpoint, or None where nothing was pending
    :raises LogWentBack: if the database holds fewer entries than were once signed
    :raises LogForked: if what was signed is not what the database holds
    :raises LogHeadChanged: if the sealer's own row does not fit the entries
    :raises LastSignedMissing: if checkpoints exist but the last-signed store is gone
    :raises EntryChanged: if an entry that the next one would chain to is not what was sealed
    :raises StatementChanged: if a pending statement is not one that was submitted
    :raises SealingStopped: for all of these, and where the store or the key cannot be used
    """
    store = open_store()
    with store.exclusive():
        with transaction.atomic():
            if connection.vendor == "postgresql":
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_ADVISORY_LOCK])
            head = LogHead.objects.select_for_update().first() or LogHead(size=0, frontier=b"")
            frontier = _checked_frontier(head, store)
            # Drained by state, never by ``id > last``: serial ids commit out of order, and a row would be skipped.
            pending = list(Statement.objects.filter(entry__isnull=True).order_by("id")[:limit])
            if pending:
                signer = load_signer(may_create=head.size == 0)
                _store_entries(pending, frontier, signer)
                head.size, head.frontier = frontier.size, frontier.to_bytes()
                head.save()
        # Crash here: entries without a checkpoint. They are durable, and the next call covers them.
        if frontier.size == 0 or Checkpoint.objects.filter(size=frontier.size).exists():
            return None
        return _publish(frontier, store)


def _checked_frontier(head: LogHead, store: LastSignedStore) -> Frontier:
    """Return the tree to build on, once it is the one that was last signed and the entries reach as far as it does."""
    signed = store.read()
    if signed is None and (published := Checkpoint.objects.first()) is not None:
        raise LastSignedMissing(folder=str(store.folder), size=published.size)
    signed_size = signed.size if signed else 0
    if head.size < signed_size:
        raise LogWentBack(database=head.size, signed=signed_size)
    newest = Entry.objects.aggregate(index=Max("index"))["index"]
    stored = 0 if newest is None else newest + 1
    if stored < head.size:
        raise LogWentBack(database=stored, signed=head.size)
    if stored > head.size:
        raise LogHeadChanged(expected=f"at {stored} entries", found=f"at {head.size}")
    try:
        frontier = Frontier.from_bytes(head.size, bytes(head.frontier))
    except FrontierMalformed as error:
        raise LogHeadChanged(expected=error.expected, found=error.found) from error
    root = frontier.root()
    if head.size > signed_size:
        # A sealer died between storing entries and signing: the head is ahead, so the tree is computed again.
        root, whole = _roots(signed_size)
        if whole != frontier.root():
            raise LogHeadChanged(expected=f"a tree of root {whole.hex()}", found=frontier.root().hex())
    if signed and root != signed.root:
        raise LogForked(size=signed.size, expected=signed.root.hex(), found=root.hex())
    return frontier


def _roots(size: int) -> tuple[bytes, bytes]:
    """Compute the root over the first ``size`` entries and that over all, from the notes themselves."""
    tree, root = Frontier(), Frontier().root()
    for note in Entry.objects.order_by("index").values_list("note", flat=True).iterator(chunk_size=2048):
        tree.append(leaf_hash(as_bytes(note)))
        if tree.size == size:
            root = tree.root()
    return root, tree.root()


def _store_entries(pending: Sequence[Statement], frontier: Frontier, signer: Signer) -> None:
    """Give each statement its index, chain it, sign it and store it; ``frontier`` grows by what was stored."""
    prev, now = tlog_entry.ZERO_HASH, datetime.now(UTC)
    last = Entry.objects.order_by("-index").first()
    if last:
        opened, prev = _open(last, signer.verifier)
        # Never before the previous entry's time, even where the machine's clock was set back.
        now = max(now, parse_time(opened.sealed_at))
    sealed_at = format_time(now)
    heads = _subject_heads({statement.subject for statement in pending}, signer.verifier)
    rows = []

    def seal(kind: str, subject: str, body: dict[str, Any]) -> Entry:
        nonlocal prev
        seq, subject_prev = heads.get(subject, (0, tlog_entry.ZERO_HASH))
        note = tlog_entry.sign_entry(
            tlog_entry.Entry(
                origin=signer.name,
                index=frontier.size,
                kind=kind,
                subject=subject,
                subject_seq=seq,
                subject_prev=subject_prev,
                prev=prev,
                sealed_at=sealed_at,
                body=body,
            ),
            signer,
        )
        leaf = leaf_hash(note)
        row = Entry(
            index=frontier.size,
            note=note,
            leaf_hash=leaf,
            kind=kind,
            subject=subject,
            subject_seq=seq,
            sealed_at=parse_time(sealed_at),
        )
        rows.append(row)
        frontier.append(leaf)
        prev = leaf.hex()
        heads[subject] = (seq + 1, prev)
        return row

    if frontier.size == 0:
        seal("genesis", uuid.uuid4().urn, {"format": "custody-ledger/v1", "vkey": signer.vkey})
    for statement in pending:
        try:
            statement.entry = seal(statement.kind, statement.subject, canonical.decode(as_bytes(statement.body)))
        except TlogError as error:
            raise StatementChanged(key=statement.key, why=error) from error
    Entry.objects.bulk_create(rows)
    Statement.objects.bulk_update(pending, ["entry"])


def _subject_heads(subjects: set[str], verifier: Verifier) -> dict[str, tuple[int, str]]:
    """Map each subject that has entries to the next ``subject_seq`` and the newest entry's leaf hash."""
    found = Entry.objects.filter(subject__in=subjects).order_by().values("subject")
    counts = dict(found.annotate(newest=Max("index"), entries=Count("index")).values_list("newest", "entries"))
    heads = {}
    for row in Entry.objects.filter(index__in=list(counts)):
        entry, leaf = _open(row, verifier)
        if counts[row.index] != entry.subject_seq + 1:
            raise EntryChanged(
                index=entry.index,
                what=f"entries about {entry.subject}",
                expected=entry.subject_seq + 1,
                found=counts[row.index],
            )
        heads[entry.subject] = (entry.subject_seq + 1, leaf)
    return heads


def _open(row: Entry, verifier: Verifier) -> tuple[tlog_entry.Entry, str]:
    """
    Read an entry from its note alone and hash the note: what was written into a column must not be signed for good.

    :raises EntryChanged: if the note is not this log's, or a column says something else than the note
    """
    note = as_bytes(row.note)
    try:
        entry = tlog_entry.open_entry(note, verifier=verifier)
    except TlogError as error:
        raise EntryChanged(index=row.index, what=error.what, expected=error.expected, found=error.found) from error
    leaf = leaf_hash(note).hex()
    sealed = {
        "index": (entry.index, row.index),
        "kind": (entry.kind, row.kind),
        "subject": (entry.subject, row.subject),
        "subject_seq": (entry.subject_seq, row.subject_seq),
        "sealed_at": (entry.sealed_at, format_time(row.sealed_at)),
        "leaf_hash": (leaf, as_bytes(row.leaf_hash).hex()),
    }
    for what, (expected, found) in sealed.items():
        if expected != found:
            raise EntryChanged(index=row.index, what=what, expected=expected, found=found)
    return entry, leaf


def _publish(frontier: Frontier, store: LastSignedStore) -> Checkpoint:
    """Move the last-signed store forward, then sign and store the checkpoint."""
    checkpoint = tlog_checkpoint.Checkpoint(origin=settings.LEDGER_ORIGIN, size=frontier.size, root=frontier.root())
    store.advance(expected=store.read(), new=checkpoint)
    # Crash here: the store is ahead of the newest checkpoint row, at a size that the entries reach: signed next time.
    row = Checkpoint.objects.create(
        size=frontier.size,
        root=checkpoint.root,
        note=tlog_checkpoint.sign_checkpoint(checkpoint, load_signer()),
    )
    logger.info("signed checkpoint over %d entries", row.size)
    return row
