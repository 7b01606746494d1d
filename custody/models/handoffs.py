"""
Handoffs: the act in which a person takes custody of a shipment, and the attempts that were refused.

A row's state moves ``reading → reconciled → accepted | refused | cancelled`` and never back from the last three; what
was sealed is in the ledger, and the row points to it.
"""

import uuid

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from biometrics.models import Evidence, LivenessChallenge, Person, Verification
from ledger.models import Statement
from shipments.models import Consignment, Party, ReadPoint, ReadSession


class HandoffState(models.TextChoices):
    READING = "reading", _("Reading tags")
    RECONCILED = "reconciled", _("Tags matched")
    ACCEPTED = "accepted", _("Accepted")
    REFUSED = "refused", _("Refused")
    CANCELLED = "cancelled", _("Cancelled")


OPEN_STATES = (HandoffState.READING, HandoffState.RECONCILED)


# The refusals of a face: another one, no sign of life, a photo that was shown before.
FACE_REFUSALS = ("face_mismatch", "liveness_failed", "photo_resubmitted")


class Handoff(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    attempt = models.UUIDField(unique=True)
    consignment = models.ForeignKey(Consignment, on_delete=models.PROTECT, related_name="handoffs")
    read_point = models.ForeignKey(ReadPoint, on_delete=models.PROTECT, related_name="+")
    from_person = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT, related_name="released")
    from_party = models.ForeignKey(Party, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    to_person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="handoffs")
    state = models.CharField(max_length=10, choices=HandoffState.choices, default=HandoffState.READING)
    session = models.ForeignKey(ReadSession, on_delete=models.PROTECT, related_name="handoffs")
    face_attempts = models.PositiveSmallIntegerField(default=0)
    reconciliation = models.JSONField(null=True)
    reconciliation_sha256 = models.CharField(max_length=64, blank=True)
    verification = models.OneToOneField(Verification, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    # What asked for the second capture that is awaited now.
    first_capture = models.OneToOneField(
        Verification, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    second_factor = models.CharField(max_length=8, blank=True)
    # When who holds custody confirmed the matched tags, and by what; an officer may have stood in for either person.
    released_at = models.DateTimeField(null=True, blank=True)
    release_factor = models.CharField(max_length=8, blank=True)
    dual_control = models.OneToOneField("Approval", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    measured_g = models.BigIntegerField(null=True, blank=True)
    officer_asked_at = models.DateTimeField(null=True, blank=True)
    opened_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    opened_at = models.DateTimeField()
    reconciled_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    statement = models.OneToOneField(Statement, null=True, blank=True, on_delete=models.PROTECT, related_name="handoff")

    class Meta:
        ordering = ["-opened_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["consignment"], condition=models.Q(state__in=OPEN_STATES), name="handoff_one_open_per_shipment"
            ),
            models.CheckConstraint(
                condition=models.Q(from_person__isnull=True) | ~models.Q(from_person=models.F("to_person")),
                name="handoff_two_persons",
            ),
            models.CheckConstraint(
                condition=~models.Q(state=HandoffState.ACCEPTED)
                | (
                    models.Q(statement__isnull=False, closed_at__isnull=False)
                    & (models.Q(verification__isnull=False) | models.Q(dual_control__isnull=False))
                ),
                name="handoff_accepted_has_evidence",
            ),
            models.CheckConstraint(
                condition=models.Q(measured_g__isnull=True) | models.Q(measured_g__gt=0),
                name="handoff_weight_is_positive",
            ),
        ]

    def __str__(self) -> str:
        return f"handoff {self.id} ({self.state})"

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES


class EarlierSession(models.Model):
    """A read session of a handoff before its present one: matched and read again, or refused for a stray tag."""

    handoff = models.ForeignKey(Handoff, on_delete=models.PROTECT, related_name="earlier_sessions")
    session = models.OneToOneField(ReadSession, on_delete=models.PROTECT, related_name="+")
    matched = models.BooleanField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"session {self.session_id} of {self.handoff_id}"


class Refused(models.Model):
    """
    One refused attempt that matters: it stands in the ledger, and this row lets officers find it.

    ``note`` is what somebody wrote: it may name people, so it is sealed as evidence and the entry holds a commitment.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    handoff = models.ForeignKey(Handoff, null=True, blank=True, on_delete=models.PROTECT, related_name="refusals")
    consignment = models.ForeignKey(Consignment, on_delete=models.PROTECT, related_name="refusals")
    code = models.CharField(max_length=40)
    note = models.OneToOneField(Evidence, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    verification = models.ForeignKey(Verification, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    challenge = models.ForeignKey(LivenessChallenge, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    statement = models.OneToOneField(Statement, on_delete=models.PROTECT, related_name="refused")

    class Meta:
        ordering = ["-at"]
        verbose_name = "refused attempt"

    def __str__(self) -> str:
        return f"{self.code} at {self.at:%Y-%m-%d %H:%M}"
