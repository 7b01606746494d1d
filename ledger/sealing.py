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
from django.db.models import Max

from ledger.errors import EntryChanged, LastSignedMissing, LogForked, LogWentBack
from ledger.keys import load_signer
from ledger.last_signed import LastSignedStore, open_store
from ledger.models import Checkpoint, Entry, LogHead, Statement
from ledger.tlog import canonical
from ledger.tlog import checkpoint as tlog_checkpoint
from ledger.tlog import entry as tlog_entry
from ledger.tlog.merkle import Frontier, leaf_hash
from ledger.tlog.note import Signer
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
    :raises LastSignedMissing: if checkpoints exist but the last-signed store is gone
    :raises EntryChanged: if an entry that the next one would chain to is not what was sealed
    """
    store = open_store()
    with store.exclusive():
        with transaction.atomic():
            if connection.vendor == "postgresql":
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_ADVISORY_LOCK])
            head = LogHead.objects.select_for_update().first() or LogHead(size=0, frontier=b"")
            _refuse_if_behind(head, store)
            # Drained by state, never by ``id > last``: serial ids commit out of order, and a row would be skipped.
            pending = list(Statement.objects.filter(entry__isnull=True).order_by("id")[:limit])
            frontier = Frontier.from_bytes(head.size, bytes(head.frontier))
            if pending:
                signer = load_signer(may_create=head.size == 0)
                _store_entries(pending, frontier, signer)
                head.size, head.frontier = frontier.size, frontier.to_bytes()
                head.save()
        # Crash here: entries without a checkpoint. They are durable, and the next call covers them.
        if frontier.size == 0 or Checkpoint.objects.filter(size=frontier.size).exists():
            return None
        return _publish(frontier, store)


def _refuse_if_behind(head: LogHead, store: LastSignedStore) -> None:
    signed = store.read()
    if signed is None:
        published = Checkpoint.objects.first()
        if published is not None:
            raise LastSignedMissing(folder=str(store.folder), size=published.size)
        return
    if head.size < signed.size:
        raise LogWentBack(database=head.size, signed=signed.size)
    if head.size == signed.size:
        root = Frontier.from_bytes(head.size, bytes(head.frontier)).root()
    else:
        # A sealer died between storing entries and signing: the head is ahead, so the signed prefix is recomputed.
        prefix = Frontier()
        leaves = Entry.objects.filter(index__lt=signed.size).order_by("index").values_list("leaf_hash", flat=True)
        for leaf in leaves.iterator(chunk_size=4096):
            prefix.append(bytes(leaf))
        root = prefix.root()
    if root != signed.root:
        raise LogForked(size=signed.size, expected=signed.root.hex(), found=root.hex())


def _store_entries(pending: Sequence[Statement], frontier: Frontier, signer: Signer) -> None:
    """Give each statement its index, chain it, sign it and store it; ``frontier`` grows by what was stored."""
    last = Entry.objects.order_by("-index").first()
    prev = _checked_leaf_hash(last) if last else tlog_entry.ZERO_HASH
    # Never before the previous entry's time, even where the machine's clock was set back.
    sealed_at = format_time(max(datetime.now(UTC), last.sealed_at) if last else datetime.now(UTC))
    heads = _subject_heads({statement.subject for statement in pending})
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
        statement.entry = seal(statement.kind, statement.subject, canonical.decode(bytes(statement.body)))
    Entry.objects.bulk_create(rows)
    Statement.objects.bulk_update(pending, ["entry"])


def _subject_heads(subjects: set[str]) -> dict[str, tuple[int, str]]:
    """Map each subject that has entries to the next ``subject_seq`` and the newest entry's leaf hash."""
    newest = (
        Entry.objects.filter(subject__in=subjects)
        .order_by()
        .values("subject")
        .annotate(newest=Max("index"))
        .values_list("newest", flat=True)
    )
    return {
        entry.subject: (entry.subject_seq + 1, _checked_leaf_hash(entry))
        for entry in Entry.objects.filter(index__in=list(newest))
    }


def _checked_leaf_hash(entry: Entry) -> str:
    """Hash the stored note again: what an insider wrote into a column must not be chained to and signed for good."""
    stored, found = bytes(entry.leaf_hash).hex(), leaf_hash(bytes(entry.note)).hex()
    if stored != found:
        raise EntryChanged(index=entry.index, expected=stored, found=found)
    return found


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
