"""
Spans of time in which the reads at a read point count for one purpose: what opens and closes them, and which of the
tags read in them count as seen.
"""

import uuid

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from shipments.models.consignments import Consignment
from shipments.models.places import ReadPoint
from shipments.models.readers import Reader


class TriggerDoes(models.TextChoices):
    OPEN = "open", _("Starts reading")
    CLOSE = "close", _("Ends reading")
    NOTHING = "nothing", _("Nothing")


class TriggerRule(models.Model):
    """
    What an input of a reader (a light barrier, a door contact) does at a read point. Never changed: a rule is retired,
    and another one put in its place, so that a session's record keeps telling by which rule it was opened.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    read_point = models.ForeignKey(ReadPoint, on_delete=models.PROTECT, related_name="trigger_rules")
    reader = models.ForeignKey(Reader, on_delete=models.PROTECT, related_name="trigger_rules")
    port = models.PositiveSmallIntegerField()
    on_high = models.CharField(max_length=8, choices=TriggerDoes.choices)
    on_low = models.CharField(max_length=8, choices=TriggerDoes.choices)
    longest_s = models.PositiveIntegerField(help_text=_("A session that it opened ends by then at the latest."))
    min_gap_ms = models.PositiveIntegerField(help_text=_("A change sooner than this after the last one waits."))
    created_at = models.DateTimeField(db_default=Now())
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["reader__name", "port"]
        constraints = [
            models.UniqueConstraint(
                fields=["reader", "port"],
                condition=models.Q(retired_at__isnull=True),
                name="trigger_one_rule_per_input",
            ),
            models.CheckConstraint(
                condition=models.Q(on_high__in=TriggerDoes.values, on_low__in=TriggerDoes.values)
                & ~models.Q(on_high=TriggerDoes.NOTHING, on_low=TriggerDoes.NOTHING),
                name="trigger_does_something",
            ),
            models.CheckConstraint(condition=models.Q(longest_s__gt=0), name="trigger_sessions_end"),
        ]

    def __str__(self) -> str:
        return f"{self.reader} input {self.port}"


class TriggerOutcome(models.TextChoices):
    OPENED = "opened", _("Started reading")
    CLOSED = "closed", _("Ended reading")
    NOTHING = "nothing", _("Nothing to do")
    BUSY = "busy", _("Somebody was reading there")
    BOUNCED = "bounced", _("Too soon after the change before it")
    LATE = "late", _("Older than what was acted on")


class TriggerEvent(models.Model):
    """One change of an input that a rule stands for, and what came of it; stored once, however often it is sent."""

    id = models.BigAutoField(primary_key=True)
    rule = models.ForeignKey(TriggerRule, on_delete=models.PROTECT, related_name="events", db_index=False)
    high = models.BooleanField()
    at_ns = models.BigIntegerField(help_text=_("Nanoseconds since 1970, as parsed from the reader's own time."))
    reader_time = models.CharField(max_length=40, help_text=_("The reader's time exactly as sent."))
    received_at = models.DateTimeField()
    outcome = models.CharField(max_length=8, choices=TriggerOutcome.choices)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["rule", "at_ns", "high"], name="trigger_event_stored_once"),
        ]

    def __str__(self) -> str:
        return f"{self.rule} {'high' if self.high else 'low'} at {self.reader_time}"


class SmoothingPolicy(models.Model):
    """Which tags of a read point's sessions count as seen; without a row, one read is enough."""

    class Strength(models.TextChoices):
        STRONGEST = "strongest", _("its strongest read")
        MEDIAN = "median", _("the median of its reads")

    read_point = models.OneToOneField(ReadPoint, on_delete=models.PROTECT, related_name="smoothing")
    min_reads = models.PositiveIntegerField(default=1)
    min_rssi_cdbm = models.IntegerField(null=True, blank=True, help_text=_("Hundredths of a dBm."))
    strength = models.CharField(max_length=10, choices=Strength.choices, default=Strength.STRONGEST)
    delta_e4 = models.PositiveIntegerField(
        null=True, blank=True, help_text=_("Chance of calling a present tag gone, in ten-thousandths.")
    )
    epoch_ms = models.PositiveIntegerField(default=500)

    class Meta:
        verbose_name_plural = "smoothing policies"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(min_reads__gte=1, epoch_ms__gte=1)
                & (models.Q(delta_e4__isnull=True) | models.Q(delta_e4__gte=1, delta_e4__lte=9999)),
                name="smoothing_in_range",
            ),
        ]

    def __str__(self) -> str:
        return f"smoothing at {self.read_point}"


class SessionPurpose(models.TextChoices):
    HANDOFF = "handoff", _("For a handoff")
    CHECK = "check", _("To check goods")
    PASSAGE = "passage", _("What passed the gate")


class ReadSession(models.Model):
    """
    A span of time in which a read point's reads count for one purpose; frozen into a document for good.

    An operator opened it, or a trigger: then it records what passed, until ``taken_over_by`` made it a handoff's.
    ``consignment`` is the shipment that a check is about, where it is about one.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    read_point = models.ForeignKey(ReadPoint, on_delete=models.PROTECT, related_name="read_sessions")
    purpose = models.CharField(max_length=8, choices=SessionPurpose.choices, default=SessionPurpose.HANDOFF)
    opened_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    opened_by_trigger = models.OneToOneField(
        TriggerEvent, null=True, blank=True, on_delete=models.PROTECT, related_name="opened"
    )
    opened_at = models.DateTimeField()
    taken_over_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    taken_over_at = models.DateTimeField(null=True, blank=True)
    consignment = models.ForeignKey(
        Consignment, null=True, blank=True, on_delete=models.PROTECT, related_name="read_sessions"
    )
    frozen_at = models.DateTimeField(null=True, blank=True)
    frozen_by_trigger = models.OneToOneField(
        TriggerEvent, null=True, blank=True, on_delete=models.PROTECT, related_name="frozen"
    )
    # The document's counts, for lists: how many tags, and the result where a shipment was checked.
    summary = models.JSONField(null=True)
    document_sha256 = models.CharField(max_length=64, blank=True)
    reports_root = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ["-opened_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["read_point"],
                condition=models.Q(frozen_at__isnull=True),
                name="one_open_session_per_read_point",
            ),
            models.CheckConstraint(
                condition=models.Q(frozen_at__isnull=True, document_sha256="", reports_root="")
                | (models.Q(frozen_at__isnull=False) & ~models.Q(document_sha256="") & ~models.Q(reports_root="")),
                name="session_frozen_with_its_document",
            ),
            models.CheckConstraint(
                condition=models.Q(opened_by__isnull=False, opened_by_trigger__isnull=True)
                | models.Q(opened_by__isnull=True, opened_by_trigger__isnull=False),
                name="session_opened_by_one_of_two",
            ),
            # A trigger's session is a passage until an operator took it over for a handoff; nothing else is either.
            models.CheckConstraint(
                condition=models.Q(opened_by_trigger__isnull=True, taken_over_at__isnull=True)
                & models.Q(purpose__in=[SessionPurpose.HANDOFF, SessionPurpose.CHECK])
                | models.Q(opened_by_trigger__isnull=False, taken_over_at__isnull=True, purpose=SessionPurpose.PASSAGE)
                | models.Q(
                    opened_by_trigger__isnull=False, taken_over_at__isnull=False, purpose=SessionPurpose.HANDOFF
                ),
                name="session_taken_over_from_a_trigger",
            ),
            models.CheckConstraint(
                condition=models.Q(taken_over_by__isnull=True, taken_over_at__isnull=True)
                | models.Q(taken_over_by__isnull=False, taken_over_at__isnull=False),
                name="session_taken_over_by_somebody",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.read_point} {self.opened_at:%Y-%m-%d %H:%M:%S}"
