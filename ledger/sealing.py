"""
The sealer: turns pending statements into signed, chained entries, and signs the checkpoint that covers them.

One at a time: it holds the last-signed store's lock, and on PostgreSQL an advisory lock besides. Whenever it dies, a
statement is either pending or sealed, and no two histories are ever signed.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery import current_app
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from ledger import epochs, keys
from ledger.attachments import as_bytes
from ledger.chaining import Chain, mark_sealed
from ledger.errors import (
    LastSignedMissing,
    LogForked,
    LogHeadChanged,
    LogWentBack,
    SigningKeyMissing,
    SigningKeyRetired,
    VerifierKeyMissing,
)
from ledger.last_signed import LastSignedStore, open_store
from ledger.models import Checkpoint, Entry
from ledger.stored_entries import Landmarks, Sealed, StoredEntries
from ledger.tlog import checkpoint as tlog_checkpoint
from ledger.tlog import index_epoch, rotation
from ledger.tlog.errors import FrontierMalformed
from ledger.tlog.merkle import Frontier, leaf_hash
from ledger.tlog.note import Signer
from ledger.tlog.policy import PinnedKey

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
    Seal up to ``limit`` pending statements, and an index epoch where one is due; sign the checkpoint that covers them.

    :returns: the new checkpoint, or None where nothing was to be sealed
    :raises LogWentBack: if the database holds fewer entries than were once signed
    :raises LogForked: if what was signed is not what the database holds
    :raises LogHeadChanged: if the sealer's own row does not fit the entries
    :raises LastSignedMissing: if checkpoints exist but the last-signed store is gone
    :raises EntryChanged: if an entry that the next one would chain to is not what was sealed
    :raises TilesChanged: if the rows that a tile is made of are not what was sealed
    :raises StatementChanged: if a pending statement is not one that was submitted
    :raises SigningKeyRetired: if the log was handed over to another key than the one that is here
    :raises SealingStopped: for all of these, and where the store or the key cannot be used
    """
    return _seal(limit=limit)


def seal_epoch() -> Checkpoint | None:
    """
    Seal an index epoch over all entries now, due or not.

    :returns: the new checkpoint, or None where no entry has joined since the last epoch
    :raises EpochNotWhole: if the entries' subjects do not add up
    :raises SealingStopped: for this, and for all that stops :func:`seal_pending`
    """
    return _seal(limit=0, epoch=True)


def seal_rotation(new: Signer) -> Checkpoint:
    """
    Hand the log over to ``new``: seal a ``key_rotated`` entry by the present key, and sign its checkpoint by both.

    From the returned checkpoint's size on, ``new`` signs alone: ``ledger.keys.finish_rotation`` takes that size. A
    second call for the same key completes what a crash left undone.

    :raises SigningKeyRetired: if an earlier rotation, to another key, was not finished
    :raises SealingStopped: for this, and for all that stops :func:`seal_pending`
    """
    store = open_store()
    with store.exclusive():
        with _transaction():
            frontier = _open_head(store)
            old = keys.load_signer(may_create=frontier.size == 0)
            stored = _stored_entries() if frontier.size else None
            marks = stored.landmarks() if stored else Landmarks()
            handed_over = marks.rotation
            if not (handed_over and _named_by(handed_over) == new.vkey):
                _check_in_charge(old.vkey, marks.rotation)
                chain = Chain(signer=old, frontier=frontier, marks=marks)
                if stored and marks.last:
                    chain.heads = stored.subject_heads({chain.log}, last=marks.last)
                body = rotation.rotation_body(old=old.verifier, new=new, index=frontier.size, prev=chain.prev)
                chain.append(rotation.KIND, chain.log, body)
                chain.store()
                _save(frontier)
                size = frontier.size
            else:
                size = handed_over.index + 1
        # Crash here, or anywhere below: the entry is durable, and _complete_rotation does the rest before anything else
        # is sealed.
        signed = Checkpoint.objects.filter(size=size).first()
        return signed or _publish(frontier, store, old, new)


def _seal(*, limit: int, epoch: bool = False) -> Checkpoint | None:
    store = open_store()
    with store.exclusive():
        try:
            return _seal_batch(store, limit=limit, epoch=epoch)
        except SigningKeyRetired:
            _complete_rotation(store)
            return _seal_batch(store, limit=limit, epoch=epoch)


def _seal_batch(store: LastSignedStore, *, limit: int, epoch: bool) -> Checkpoint | None:
    signer = None
    with _transaction():
        frontier = _open_head(store)
        stored = _stored_entries() if frontier.size else None
        marks = stored.landmarks() if stored else Landmarks()
        if stored:
            _check_in_charge(stored.keys[-1].vkey, marks.rotation)
        pending = _pending(limit)
        if epoch:
            due = epochs.entries_since(marks, size=frontier.size) > 0
        else:
            due = epochs.is_due(marks, size=frontier.size + len(pending), now=timezone.now())
        if pending or due:
            signer = keys.load_signer(may_create=frontier.size == 0)
            chain = Chain(signer=signer, frontier=frontier, marks=marks)
            if stored and marks.last:
                subjects = {subject for _, _, _, subject, _ in pending}
                if due:
                    subjects.add(chain.log)
                chain.heads = stored.subject_heads(subjects, last=marks.last)
            indexes = {
                id: chain.append_statement(key=key, kind=kind, subject=subject, body=body)
                for id, key, kind, subject, body in pending
            }
            chain.store()
            mark_sealed(indexes)
            if due:
                chain.append(index_epoch.KIND, chain.log, epochs.body(frontier.size))
                chain.store()
            _save(frontier)
    # Crash here: entries without a checkpoint. They are durable, and the next call covers them.
    if signer and stored:
        stored.remember(chain.heads, last=chain.prev)
    if frontier.size == 0 or (signer is None and Checkpoint.objects.filter(size=frontier.size).exists()):
        return None
    return _publish(frontier, store, signer or keys.load_signer())


def _pending(limit: int) -> list[tuple[int, str, str, str, Any]]:
    with connection.cursor() as cursor:
        # Drained by state, never by ``id > last``: serial ids commit out of order, and a row would be skipped.
        cursor.execute(
            'SELECT id, "key", kind, subject, body FROM ledger_statement WHERE entry_id IS NULL ORDER BY id LIMIT %s',
            [limit],
        )
        return cursor.fetchall()


def _complete_rotation(store: LastSignedStore) -> None:
    """
    Finish the rotation whose ``key_rotated`` entry was committed, and after which the key files were not swapped.

    :raises SigningKeyRetired: if the next key here is not the one that the entry names
    """
    with _transaction():
        frontier = _open_head(store)
        handed_over = _stored_entries().landmarks().rotation
    old, new = keys.load_signer(), keys.next_signer()
    _check_in_charge(new.vkey if new else old.vkey, handed_over)
    if handed_over is None or new is None:
        return
    size = handed_over.index + 1
    if frontier.size == size and not Checkpoint.objects.filter(size=size).exists():
        _publish(frontier, store, old, new)
    # Crash here: the checkpoint is there, and the next call comes straight to this line.
    keys.finish_rotation(first=size)


def _named_by(handed_over: Sealed) -> str:
    """Return the verifier key line that a ``key_rotated`` entry hands the log over to."""
    return str((handed_over.body or {}).get("new"))


def _check_in_charge(vkey: str, handed_over: Sealed | None) -> None:
    if handed_over and _named_by(handed_over) != vkey:
        raise SigningKeyRetired(index=handed_over.index, expected=_named_by(handed_over), found=vkey)


_memory = StoredEntries(())


def _stored_entries() -> StoredEntries:
    """The stored entries, with what this process remembers of them for as long as the log's keys stay the same."""
    global _memory
    pinned = _log_keys()
    if _memory.keys != pinned:
        _memory = StoredEntries(pinned)
    return _memory


def _log_keys() -> tuple[PinnedKey, ...]:
    try:
        return keys.load_vkeys()
    except VerifierKeyMissing as error:
        raise SigningKeyMissing(path=str(settings.LEDGER_KEY_FILE)) from error


@contextmanager
def _transaction() -> Iterator[None]:
    """One sealer's transaction. Under READ COMMITTED each statement behind the lock sees what the last sealer left."""
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_ADVISORY_LOCK])
        yield


def _open_head(store: LastSignedStore) -> Frontier:
    """
    Lock the sealer's row, and return the tree to build on, once it is the one that was last signed and the entries
    reach as far as it does.
    """
    size, nodes = _read_head()
    signed = store.read()
    if signed is None and (published := Checkpoint.objects.first()) is not None:
        raise LastSignedMissing(folder=str(store.folder), size=published.size)
    signed_size = signed.size if signed else 0
    if size < signed_size:
        raise LogWentBack(database=size, signed=signed_size)
    with connection.cursor() as cursor:
        cursor.execute('SELECT MAX("index") FROM ledger_entry')
        (newest,) = cursor.fetchone()
    stored = 0 if newest is None else newest + 1
    if stored < size:
        raise LogWentBack(database=stored, signed=size)
    if stored > size:
        raise LogHeadChanged(expected=f"at {stored} entries", found=f"at {size}")
    try:
        frontier = Frontier.from_bytes(size, nodes)
    except FrontierMalformed as error:
        raise LogHeadChanged(expected=error.expected, found=error.found) from error
    root = frontier.root()
    if size > signed_size:
        # A sealer died between storing entries and signing: the head is ahead, so the tree is computed again.
        root, whole = _roots(signed_size)
        if whole != frontier.root():
            raise LogHeadChanged(expected=f"a tree of root {whole.hex()}", found=frontier.root().hex())
    if signed and root != signed.root:
        raise LogForked(size=signed.size, expected=signed.root.hex(), found=root.hex())
    return frontier


def _read_head() -> tuple[int, bytes]:
    # By hand, as all that a seal does however small its batch: building a query costs the ORM more than the query.
    query = "SELECT size, frontier FROM ledger_loghead"
    with connection.cursor() as cursor:
        cursor.execute(f"{query} FOR UPDATE" if connection.vendor == "postgresql" else query)
        size, nodes = cursor.fetchone() or (0, b"")
    return size, as_bytes(nodes)


def _save(frontier: Frontier) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO ledger_loghead (id, size, frontier) VALUES (1, %s, %s)"
            " ON CONFLICT (id) DO UPDATE SET size = excluded.size, frontier = excluded.frontier",
            [frontier.size, frontier.to_bytes()],
        )


def _roots(size: int) -> tuple[bytes, bytes]:
    """Compute the root over the first ``size`` entries and that over all, from the notes themselves."""
    tree, root = Frontier(), Frontier().root()
    for note in Entry.objects.order_by("index").values_list("note", flat=True).iterator(chunk_size=2048):
        tree.append(leaf_hash(as_bytes(note)))
        if tree.size == size:
            root = tree.root()
    return root, tree.root()


def _publish(frontier: Frontier, store: LastSignedStore, *signers: Signer) -> Checkpoint:
    """Move the last-signed store forward, then sign and store the checkpoint."""
    checkpoint = tlog_checkpoint.Checkpoint(origin=settings.LEDGER_ORIGIN, size=frontier.size, root=frontier.root())
    store.advance(expected=store.read(), new=checkpoint)
    # Crash here: the store is ahead of the newest checkpoint row, at a size that the entries reach: signed next time.
    signed = tlog_checkpoint.sign_checkpoint(checkpoint, *signers)
    try:
        row = _insert_checkpoint(checkpoint, signed)
    except IntegrityError:
        # A sealer with a store of its own, on another machine, was here first: with the same tree, or it is a fork.
        row = Checkpoint.objects.get(size=checkpoint.size)
        if as_bytes(row.root) != checkpoint.root:
            raise LogForked(size=row.size, expected=as_bytes(row.root).hex(), found=checkpoint.root.hex()) from None
    logger.info("signed checkpoint over %d entries", row.size)
    return row


def _insert_checkpoint(checkpoint: tlog_checkpoint.Checkpoint, note: bytes) -> Checkpoint:
    fields = ["size", "note", "root"]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO ledger_checkpoint (size, note, root) VALUES (%s, %s, %s)",
            [checkpoint.size, note, checkpoint.root],
        )
    return Checkpoint.from_db(connection.alias, fields, [checkpoint.size, note, checkpoint.root])
