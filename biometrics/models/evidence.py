"""Sealed values, the commitments by which entries speak of them, and who looked at them and why."""

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from biometrics.models.people import Person
from ledger.models import Statement


class EvidenceKind(models.TextChoices):
    NAME = "name", _("Name")
    PHOTO = "photo", _("Enrolment photo")
    PROBE = "probe", _("Probe")
    TEMPLATE = "template", _("Template")
    NOTE = "note", _("Note")
    DOCUMENT = "document", _("Photo of the identity document")
    DESCRIPTOR = "descriptor", _("Descriptor of one photo")
    TRANSCRIPT = "transcript", _("Transcript of a liveness challenge")
    FRAME = "frame", _("Frame of a zone camera")
    NUMBER = "number", _("Number of an identity document")


class Evidence(models.Model):
    """One sealed value, and the commitment by which entries speak of it. Written once by :mod:`biometrics.vault`."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="evidence")
    kind = models.CharField(max_length=16, choices=EvidenceKind.choices)
    nonce = models.BinaryField(max_length=12)
    ciphertext = models.BinaryField()
    commitment = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(default=timezone.now)
    destroyed_at = models.DateTimeField(null=True, blank=True)
    destroyed_for = models.CharField(max_length=40, blank=True, help_text=_("The rule or right it was destroyed by."))

    class Meta:
        ordering = ["created_at"]
        verbose_name_plural = "evidence"
        constraints = [
            models.CheckConstraint(condition=models.Q(kind__in=EvidenceKind.values), name="evidence_kind_is_known"),
            models.CheckConstraint(
                condition=models.Q(destroyed_at__isnull=True, destroyed_for="")
                | (models.Q(destroyed_at__isnull=False, ciphertext=b"", nonce=b"") & ~models.Q(destroyed_for="")),
                name="evidence_destroyed_is_empty",
            ),
        ]
        indexes = [
            models.Index(fields=["person", "kind", "-created_at"], name="evidence_newest_of_kind"),
            # What a purge looks through: without it, every photo on file is read to learn its age.
            models.Index(
                fields=["kind", "created_at"],
                condition=models.Q(destroyed_at__isnull=True),
                name="evidence_kept_by_age",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.commitment[:12]}"


class EvidenceLook(models.Model):
    """One look of a person at biometric evidence. The ``evidence_opened`` entry stands before the value is shown."""

    class Reason(models.TextChoices):
        DUPLICATE = "duplicate_review", _("Decide whether two records are one person")
        LEAD = "watchlist_lead", _("Decide on a watchlist lead")
        INVESTIGATION = "investigation", _("Investigation")
        SUBJECT_REQUEST = "subject_request", _("Request of the person concerned")
        QUALITY = "quality_check", _("Check of the quality of enrolment")
        ZONE = "zone_alert", _("Decide on an alert in a restricted zone")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    evidence = models.ForeignKey(Evidence, on_delete=models.PROTECT, related_name="looks")
    reason = models.CharField(max_length=24, choices=Reason.choices)
    note = models.OneToOneField(Evidence, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    looked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    looked_at = models.DateTimeField(default=timezone.now)
    statement = models.OneToOneField(Statement, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-looked_at"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    reason__in=[
                        "duplicate_review",
                        "watchlist_lead",
                        "investigation",
                        "subject_request",
                        "quality_check",
                        "zone_alert",
                    ]
                ),
                name="evidence_look_reason_is_known",
            ),
        ]

    def __str__(self) -> str:
        return f"look at {self.evidence_id} for {self.reason}"


class EvidenceHold(models.Model):
    """An authority's order to keep the evidence about a person: until it is lifted, nothing of it is destroyed."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="holds")
    authority = models.CharField(max_length=120, help_text=_("Who ordered it, and under which file number."))
    placed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    placed_at = models.DateTimeField(default=timezone.now)
    lifted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    lifted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-placed_at"]

    def __str__(self) -> str:
        return f"hold on {self.person_id.urn}"
