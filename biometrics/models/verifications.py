"""Comparisons of a live face with a template, and the challenges that came before them."""

import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from biometrics.models.evidence import Evidence
from biometrics.models.people import Person
from biometrics.models.templates import Template
from ledger.tlog import canonical


class CaptureSource(models.TextChoices):
    """By which way a photo came. What a camera calls itself may name its owner, and is sealed beside the probe."""

    WEBCAM = "webcam", _("Camera of the page")
    UPLOAD = "upload", _("Uploaded photo")
    API = "api", _("Sent by a program")


class LivenessChallenge(models.Model):
    """
    One challenge-response: head turns asked for in a random order, to be answered once and before a deadline.

    ``context`` names what it was issued for (``handoff:<uuid>``, ``enrolment:<uuid>``): an answer counts there alone.
    """

    class Outcome(models.TextChoices):
        OPEN = "open", _("Waits for an answer")
        PASSED = "passed", _("Passed")
        FAILED = "failed", _("Not passed")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="challenges")
    context = models.CharField(max_length=80)
    nonce = models.CharField(max_length=64, unique=True)
    turns = models.JSONField(help_text=_("What is asked, in order: left, right, front."))
    issued_to = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    issued_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=8, choices=Outcome.choices, default=Outcome.OPEN)
    failed_for = models.CharField(max_length=40, blank=True)
    transcript = models.OneToOneField(Evidence, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-issued_at"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(outcome="open", answered_at__isnull=True)
                | models.Q(outcome__in=["passed", "failed"], answered_at__isnull=False),
                name="liveness_challenge_answered_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.outcome} challenge of {self.person_id.urn}"


class Verification(models.Model):
    """One comparison of a live face with a template. ``record_json`` is what entries embed, byte for byte."""

    class Outcome(models.TextChoices):
        MATCH = "match", _("Match")
        SECOND_CAPTURE = "second_capture", _("Second capture needed")
        NO_MATCH = "no_match", _("No match")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="verifications")
    template = models.ForeignKey(Template, on_delete=models.PROTECT, related_name="verifications")
    probe = models.OneToOneField(Evidence, on_delete=models.PROTECT, related_name="+")
    descriptor = models.OneToOneField(Evidence, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    first_capture = models.OneToOneField(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="second_capture"
    )
    challenge = models.OneToOneField(
        LivenessChallenge, null=True, blank=True, on_delete=models.PROTECT, related_name="verification"
    )
    camera = models.OneToOneField(Evidence, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    outcome = models.CharField(max_length=16, choices=Outcome.choices)
    distance_e4 = models.PositiveIntegerField()
    record_json = models.BinaryField()
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(outcome__in=["match", "second_capture", "no_match"]),
                name="verification_outcome_is_known",
            ),
            # The largest distance between two vectors of length one is 2.
            models.CheckConstraint(condition=models.Q(distance_e4__lte=20_000), name="verification_distance_in_range"),
        ]
        indexes = [models.Index(fields=["person", "-created_at"], name="verification_newest_of_person")]

    def __str__(self) -> str:
        return f"{self.outcome} of {self.person_id.urn}"

    @property
    def record(self) -> dict[str, Any]:
        """The verification record (docs/ledger-format.md, ``face``)."""
        record: dict[str, Any] = canonical.decode(bytes(self.record_json))
        return record
