"""EPCIS 2.0: documents that others captured here, and the events that can be asked for, theirs and the ledger's own."""

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

MAX_URI = 1_000


class CaptureJob(models.Model):
    """
    One captured document, byte for byte, and what became of its events.

    The row is the truth: whoever works it claims it, and what a worker that died left is claimed again. ``done_events``
    is how far a job in *proceed* has come; in *rollback* all events and the end of the job are one transaction.
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        RUNNING = "running", _("Running")
        FINISHED = "finished", _("Finished")

    class ErrorBehaviour(models.TextChoices):
        ROLLBACK = "rollback", _("All or nothing")
        PROCEED = "proceed", _("What can be kept")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    captured_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    body = models.BinaryField()
    sha256 = models.CharField(max_length=64)
    error_behaviour = models.CharField(max_length=8, choices=ErrorBehaviour.choices, default=ErrorBehaviour.ROLLBACK)
    created_at = models.DateTimeField(default=timezone.now)
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    claim = models.UUIDField(null=True, blank=True)
    claimed_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    finished_at = models.DateTimeField(null=True, blank=True)
    success = models.BooleanField(null=True, blank=True)
    events = models.PositiveIntegerField(default=0, help_text=_("How many the document holds."))
    done_events = models.PositiveIntegerField(default=0)
    stored_events = models.PositiveIntegerField(default=0)
    errors = models.JSONField(default=list, blank=True, help_text=_("The first twenty."))
    refused_events = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            # The same bytes again are the same capture, unless the first try failed.
            models.UniqueConstraint(
                fields=["sha256"],
                condition=models.Q(success=True) | models.Q(success__isnull=True),
                name="capture_once_per_digest",
            ),
            models.CheckConstraint(
                condition=models.Q(state="finished", finished_at__isnull=False, success__isnull=False)
                | (~models.Q(state="finished") & models.Q(finished_at__isnull=True, success__isnull=True)),
                name="capture_finished_with_its_outcome",
            ),
        ]
        indexes = [
            models.Index(fields=["created_at"], condition=~models.Q(state="finished"), name="capture_unfinished"),
            models.Index(fields=["-created_at", "-id"], name="capture_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.sha256[:12]} ({self.state})"


class EpcisEvent(models.Model):
    """
    One event as it is answered: JSON, with the eventID and recordTime that stand here.

    ``captured`` events are read from a job's bytes at ``position``; ``own`` ones from the signed note of
    ``entry_index``. The columns beside the document are look-ups into it.
    """

    class Origin(models.TextChoices):
        CAPTURED = "captured", _("Captured")
        OWN = "own", _("Own")

    id = models.BigAutoField(primary_key=True)
    origin = models.CharField(max_length=8, choices=Origin.choices)
    job = models.ForeignKey(
        CaptureJob, null=True, blank=True, on_delete=models.PROTECT, related_name="stored", db_index=False
    )
    position = models.PositiveIntegerField(default=0, help_text=_("Counted from 0 within the job's document."))
    entry_index = models.BigIntegerField(null=True, blank=True, unique=True)
    document = models.TextField()
    event_id = models.CharField(max_length=MAX_URI)
    is_error = models.BooleanField(default=False, help_text=_("It declares the event of its eventID to be in error."))
    type = models.CharField(max_length=MAX_URI)
    action = models.CharField(max_length=16, blank=True)
    biz_step = models.CharField(max_length=MAX_URI, blank=True, db_index=True)
    disposition = models.CharField(max_length=MAX_URI, blank=True)
    read_point = models.CharField(max_length=MAX_URI, blank=True, db_index=True)
    biz_location = models.CharField(max_length=MAX_URI, blank=True, db_index=True)
    event_time = models.DateTimeField()
    event_time_zone_offset = models.CharField(max_length=6)
    record_time = models.DateTimeField()

    class Meta:
        ordering = ["-event_time", "-id"]
        constraints = [
            # EPCIS 2.0 section 7.4.1.4: an error declaration repeats the eventID. Own events stand apart, so that
            # nobody can take an identifier before the ledger's event is there.
            models.UniqueConstraint(fields=["event_id", "is_error", "origin"], name="event_once"),
            models.UniqueConstraint(
                fields=["job", "position"], condition=models.Q(job__isnull=False), name="event_once_per_position"
            ),
            models.CheckConstraint(
                condition=models.Q(origin="captured", job__isnull=False, entry_index__isnull=True)
                | models.Q(origin="own", job__isnull=True, entry_index__isnull=False),
                name="event_captured_or_own",
            ),
        ]
        indexes = [
            models.Index(fields=["event_time", "id"], name="event_by_time"),
            models.Index(fields=["record_time", "id"], name="event_by_record_time"),
        ]

    def __str__(self) -> str:
        return self.event_id


class EpcisEpc(models.Model):
    """An identifier that an event names, by the role it plays there: the index behind the ``MATCH_…`` filters."""

    class Role(models.TextChoices):
        EPC = "epc", _("Object")
        PARENT = "parent", _("Parent")
        CHILD = "child", _("Child")
        INPUT = "input", _("Input")
        OUTPUT = "output", _("Output")

    id = models.BigAutoField(primary_key=True)
    event = models.ForeignKey(EpcisEvent, on_delete=models.CASCADE, related_name="epcs", db_index=False)
    role = models.CharField(max_length=6, choices=Role.choices)
    value = models.CharField(max_length=MAX_URI, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["event", "role", "value"], name="epc_once_per_event")]

    def __str__(self) -> str:
        return self.value


class EpcisTransaction(models.Model):
    """A business transaction that an event names: the index behind ``EQ_bizTransaction_…``."""

    id = models.BigAutoField(primary_key=True)
    event = models.ForeignKey(EpcisEvent, on_delete=models.CASCADE, related_name="transactions", db_index=False)
    type = models.CharField(max_length=MAX_URI, blank=True)
    value = models.CharField(max_length=MAX_URI, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["event", "type", "value"], name="transaction_once_per_event")]

    def __str__(self) -> str:
        return self.value


class EpcisProjection(models.Model):
    """How far the ledger's entries were made into events. One row, written with the events that it speaks of."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    next_index = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="projection_is_one_row")]

    def __str__(self) -> str:
        return f"entries below {self.next_index}"
