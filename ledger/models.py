"""
The rows behind the log. The bytes in :attr:`Entry.note` are the truth; every other column of an entry is read from them
and serves look-ups only. Triggers refuse changes to sealed rows (:mod:`ledger.append_only`): a
tripwire, not the control.
"""

import uuid

from django.conf import settings
from django.db import models
from django.db.models.functions import Now


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


class VerificationRun(models.Model):
    """One verification of the log, who asked for it, and the verdict that was reached."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    started_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)
    verdict = models.JSONField(null=True)

    class Meta:
        ordering = ["-started_at"]

    def __str__(self) -> str:
        return f"verification of {self.started_at:%Y-%m-%d %H:%M}"
