"""
What does not agree, from the moment it is found until an officer says what came of it; and what is watched for it.

A discrepancy is opened and resolved by entries. What is found again after that is another row, which names the one
before.
"""

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from biometrics.models import Evidence, Person
from custody.discrepancy_codes import Code, Severity
from custody.models.handoffs import Handoff
from custody.models.hours import Hours
from ledger.models import Statement
from shipments.epc import MAX_EPC_DIGITS, MAX_TID_DIGITS
from shipments.models import Consignment, Reader, ReadPoint, Site


class Outcome(models.TextChoices):
    EXPLAINED = "explained", _("Explained")
    FOUND = "found", _("The goods or the seal were found")
    CORRECTED = "corrected", _("Corrected")
    LOSS = "confirmed_loss", _("Loss confirmed")
    MISDECLARATION = "confirmed_misdeclaration", _("Misdeclaration confirmed")
    TAMPERING = "confirmed_tampering", _("Tampering confirmed")
    FALSE_ALARM = "false_alarm", _("False alarm")


class Discrepancy(models.Model):
    """
    One finding. ``key`` is what makes two findings the same one, and ``round`` counts how often it was opened.

    ``custodians`` held custody in the window, by the accepted handoffs; ``handoff`` is the one at which it was found.
    Without a consignment it is about a reader, or about the log.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    code = models.CharField(max_length=32, choices=Code.choices)
    severity = models.CharField(max_length=6, choices=Severity.choices)
    key = models.CharField(max_length=160)
    round = models.PositiveIntegerField(default=1)
    consignment = models.ForeignKey(
        Consignment, null=True, blank=True, on_delete=models.PROTECT, related_name="discrepancies"
    )
    reader = models.ForeignKey(Reader, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    site = models.ForeignKey(Site, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    handoff = models.ForeignKey(Handoff, null=True, blank=True, on_delete=models.PROTECT, related_name="discrepancies")
    # As the entry has it.
    evidence = models.JSONField(default=dict)
    last_good = models.ForeignKey(Handoff, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    since = models.DateTimeField(null=True, blank=True)
    until = models.DateTimeField()
    custodians = models.ManyToManyField(Person, related_name="discrepancies", blank=True)
    reopens = models.OneToOneField("self", null=True, blank=True, on_delete=models.PROTECT, related_name="reopened_as")
    opened_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    opened_at = models.DateTimeField()
    statement = models.OneToOneField(Statement, on_delete=models.PROTECT, related_name="+")
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    outcome = models.CharField(max_length=24, choices=Outcome.choices, blank=True)
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    resolved_at = models.DateTimeField(null=True, blank=True)
    note = models.OneToOneField(Evidence, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    later_entry = models.PositiveBigIntegerField(null=True, blank=True)
    resolution = models.OneToOneField(Statement, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-opened_at"]
        verbose_name_plural = "discrepancies"
        constraints = [
            # Two that find the same thing at once: the second insert fails, and its finder takes the first one's row.
            models.UniqueConstraint(fields=["key"], condition=models.Q(outcome=""), name="discrepancy_open_once"),
            models.UniqueConstraint(fields=["key", "round"], name="discrepancy_round_once"),
            models.CheckConstraint(condition=models.Q(code__in=Code.values), name="discrepancy_code_is_known"),
            models.CheckConstraint(
                condition=models.Q(severity__in=Severity.values), name="discrepancy_severity_is_known"
            ),
            models.CheckConstraint(
                condition=models.Q(since__isnull=True) | models.Q(since__lte=models.F("until")),
                name="discrepancy_window_runs_forward",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    outcome="",
                    resolved_at__isnull=True,
                    resolved_by__isnull=True,
                    resolution__isnull=True,
                    note__isnull=True,
                    later_entry__isnull=True,
                )
                | models.Q(
                    outcome__in=Outcome.values,
                    resolved_at__isnull=False,
                    resolved_by__isnull=False,
                    resolution__isnull=False,
                ),
                name="discrepancy_resolved_whole",
            ),
        ]
        indexes = [
            models.Index(fields=["opened_at"], condition=models.Q(outcome=""), name="discrepancy_open"),
            models.Index(fields=["consignment", "code"], name="discrepancy_of_shipment"),
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.pk}"

    @property
    def is_open(self) -> bool:
        return not self.outcome


class StepTaken(models.TextChoices):
    ASSIGNED = "assigned", _("Assigned")
    NOTED = "noted", _("Note")


class DiscrepancyStep(models.Model):
    """What was done about a discrepancy between its two entries. Rows are added and never changed."""

    id = models.BigAutoField(primary_key=True)
    discrepancy = models.ForeignKey(Discrepancy, on_delete=models.PROTECT, related_name="steps")
    step = models.CharField(max_length=8, choices=StepTaken.choices)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(default=timezone.now)
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    note = models.OneToOneField(Evidence, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(step="assigned", note__isnull=True)
                | models.Q(step="noted", note__isnull=False, assignee__isnull=True),
                name="discrepancy_step_is_whole",
            )
        ]

    def __str__(self) -> str:
        return f"{self.step} {self.discrepancy_id}"


class PlannedRoute(models.Model):
    """The sites that a shipment is to come through, as planned at one time: a later plan takes its place."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    consignment = models.ForeignKey(Consignment, on_delete=models.PROTECT, related_name="routes")
    number = models.PositiveIntegerField()
    planned_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    planned_at = models.DateTimeField(default=timezone.now)
    statement = models.OneToOneField(Statement, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["consignment", "-number"]
        constraints = [models.UniqueConstraint(fields=["consignment", "number"], name="route_number_once")]

    def __str__(self) -> str:
        return f"route {self.number} of {self.consignment_id}"


class PlannedPlace(models.Model):
    route = models.ForeignKey(PlannedRoute, on_delete=models.PROTECT, related_name="places")
    position = models.PositiveSmallIntegerField()
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["route", "position"]
        constraints = [
            models.UniqueConstraint(fields=["route", "position"], name="planned_place_position_once"),
            models.UniqueConstraint(fields=["route", "site"], name="planned_place_site_once"),
        ]

    def __str__(self) -> str:
        return f"{self.position}: {self.site_id}"


class SiteWatch(Hours):
    """
    What a site is watched for: its opening hours, how long goods may stand there, and where it is.

    Where it is, in millionths of a degree (WGS 84).
    """

    site = models.OneToOneField(Site, primary_key=True, on_delete=models.PROTECT, related_name="watch")
    dwell_limit_h = models.PositiveIntegerField(null=True, blank=True)
    latitude_e6 = models.IntegerField(null=True, blank=True)
    longitude_e6 = models.IntegerField(null=True, blank=True)
    set_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    set_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            *Hours.Meta.constraints,
            models.CheckConstraint(
                condition=models.Q(dwell_limit_h__isnull=True) | models.Q(dwell_limit_h__gt=0),
                name="site_dwell_limit_is_positive",
            ),
            models.CheckConstraint(
                condition=models.Q(latitude_e6__isnull=True, longitude_e6__isnull=True)
                | models.Q(
                    latitude_e6__gte=-90_000_000,
                    latitude_e6__lte=90_000_000,
                    longitude_e6__gte=-180_000_000,
                    longitude_e6__lte=180_000_000,
                ),
                name="site_is_on_the_globe",
            ),
        ]

    def __str__(self) -> str:
        return f"watch of {self.site_id}"


class CheckCursor(models.Model):
    """How far a background check has come: its own row, locked while it goes on."""

    name = models.CharField(max_length=32, primary_key=True)
    position = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.name} at {self.position}"


class LastSighting(models.Model):
    """Where a tag of a shipment was last read, and from which chip, as far as the checks have come."""

    epc_hex = models.CharField(max_length=MAX_EPC_DIGITS, primary_key=True)
    read_point = models.ForeignKey(ReadPoint, on_delete=models.PROTECT, related_name="+")
    reader = models.ForeignKey(Reader, on_delete=models.PROTECT, related_name="+")
    at_ns = models.BigIntegerField()
    tid = models.CharField(max_length=MAX_TID_DIGITS, blank=True)

    def __str__(self) -> str:
        return f"{self.epc_hex} at {self.read_point_id}"
