"""
The rows behind the log. The bytes in :attr:`Entry.note` are the truth; every other column of an entry is read from them
and serves look-ups only. Triggers refuse changes to sealed rows (:mod:`ledger.append_only`): a
tripwire, not the control.
"""

import uuid

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class Attachment(models.Model):
    """What is too large for an entry: stored under its SHA-256, which the entry holds."""

    sha256 = models.CharField(primary_key=True, max_length=64)
    media_type = models.CharField(max_length=100)
    content = models.BinaryField()
    stored_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.sha256} ({self.media_type})"


class Entry(models.Model):
    """One sealed entry: a signed note, chained to its predecessor in the log and in its subject."""

    index = models.BigIntegerField(primary_key=True)
    note = models.BinaryField()
    leaf_hash = models.BinaryField(max_length=32)
    kind = models.CharField(max_length=32)
    subject = models.CharField(max_length=45)
    subject_seq = models.BigIntegerField()
    sealed_at = models.DateTimeField()

    class Meta:
        ordering = ["index"]
        verbose_name_plural = "entries"
        constraints = [
            models.UniqueConstraint(fields=["subject", "subject_seq"], name="entry_subject_seq_once"),
            models.UniqueConstraint(fields=["leaf_hash"], name="entry_leaf_hash_once"),
            models.CheckConstraint(condition=models.Q(index__gte=0), name="entry_index_not_negative"),
        ]
        indexes = [models.Index(fields=["kind", "-index"], name="entry_kind_newest")]

    def __str__(self) -> str:
        return f"entry {self.index} ({self.kind})"


class Statement(models.Model):
    """
    What a service submitted, pending until the sealer gives it an entry.

    Written in the submitter's own transaction; ``entry`` is written by the sealer alone, in the transaction that stores
    the entry, so that a crash leaves either a pending statement or a sealed entry.
    """

    key = models.CharField(max_length=120, unique=True)
    kind = models.CharField(max_length=32)
    subject = models.CharField(max_length=45)
    body = models.BinaryField()
    submitted_at = models.DateTimeField(db_default=Now())
    entry = models.OneToOneField(Entry, null=True, blank=True, on_delete=models.PROTECT, related_name="statement")

    class Meta:
        indexes = [
            models.Index(fields=["id"], condition=models.Q(entry__isnull=True), name="statement_pending"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"


class LogHead(models.Model):
    """
    The sealer's compact range over all entries, so that sealing costs O(log n).

    One row, owned by the sealer under its lock; derived from the entries, and checked against the last-signed store.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    size = models.BigIntegerField()
    frontier = models.BinaryField()

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="log_head_is_one_row")]

    def __str__(self) -> str:
        return f"head of {self.size} entries"


class Checkpoint(models.Model):
    """A signed tree head over the first ``size`` entries."""

    size = models.BigIntegerField(primary_key=True)
    note = models.BinaryField()
    root = models.BinaryField(max_length=32)
    signed_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-size"]

    def __str__(self) -> str:
        return f"checkpoint of {self.size} entries"


class Tile(models.Model):
    """
    A full tile of the tree (c2sp.org/tlog-tiles): 256 hashes, and the root over them, which stands in the level above.

    Partial tiles are not kept: each is the beginning of what follows it. Written by the sealer, in the transaction that
    stores the entry that fills the tile; derived from the entries, and checked by whoever uses a proof.
    """

    level = models.PositiveSmallIntegerField()
    index = models.BigIntegerField()
    hashes = models.BinaryField(max_length=8192)
    root = models.BinaryField(max_length=32)

    class Meta:
        ordering = ["level", "index"]
        constraints = [models.UniqueConstraint(fields=["level", "index"], name="tile_once")]
        # A partial tile of the level above is made of roots: from here they are read without the 8 KiB beside each.
        indexes = [models.Index(fields=["level", "index", "root"], name="tile_roots")]

    def __str__(self) -> str:
        return f"tile {self.level}/{self.index}"


class Cosignature(models.Model):
    """A witness's cosignature under a checkpoint (c2sp.org/tlog-cosignature), verified before it was stored."""

    checkpoint = models.ForeignKey(Checkpoint, on_delete=models.PROTECT, related_name="cosignatures")
    witness = models.CharField(max_length=255)
    key_id = models.CharField(max_length=8)
    line = models.TextField()
    witnessed_at = models.DateTimeField()
    received_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["checkpoint_id", "witness"]
        constraints = [
            models.UniqueConstraint(fields=["checkpoint", "witness", "key_id"], name="cosignature_once_per_checkpoint")
        ]

    def __str__(self) -> str:
        return f"{self.witness} over {self.checkpoint_id} entries"


class WitnessState(models.Model):
    """
    How the last request to a witness went, or to the timestamp authority (its URL in the place of a key).

    Serves the pages and the next request alone.
    """

    vkey = models.CharField(primary_key=True, max_length=400)
    size = models.BigIntegerField(default=0)
    asked_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True)
    trouble = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"witness {self.vkey.partition('+')[0]}"


class Timestamp(models.Model):
    """An RFC 3161 timestamp over a log-signed checkpoint: the authority's answer as it came, in DER."""

    checkpoint = models.ForeignKey(Checkpoint, on_delete=models.PROTECT, related_name="timestamps")
    authority = models.CharField(max_length=400)
    response = models.BinaryField()
    stamped_at = models.DateTimeField()
    received_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-stamped_at"]

    def __str__(self) -> str:
        return f"{self.authority} over {self.checkpoint_id} entries"


class VerificationRun(models.Model):
    """One verification of the log: who asked for it, how far it is, and the verdict that it reached."""

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        RUNNING = "running", _("Running")
        FINISHED = "finished", _("Finished")
        CANCELLED = "cancelled", _("Cancelled")
        FAILED = "failed", _("Failed")

    class Depth(models.TextChoices):
        FAST = "fast", _("Hashes, chain and tree")
        DEEP = "deep", _("Every signature, chain, tree and attachment")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    depth = models.CharField(max_length=8, choices=Depth, default=Depth.DEEP)
    state = models.CharField(max_length=12, choices=State, default=State.WAITING)
    checked = models.BigIntegerField(default=0)
    total = models.BigIntegerField(default=0)
    progressed_at = models.DateTimeField(null=True)
    cancel_asked_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)
    verdict = models.JSONField(null=True)

    class Meta:
        ordering = ["-started_at"]

    def __str__(self) -> str:
        return f"verification of {self.started_at:%Y-%m-%d %H:%M}"
