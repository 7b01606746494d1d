"""
What a person does by their face outside a handoff: declare, or attend an inspection.

A row waits for the face; with the last refused capture it closes. What was sealed is in the ledger.
"""

import uuid

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from biometrics.models import Person, Verification
from custody.models.interventions import Intervention
from ledger.models import Statement
from shipments.models import Consignment, Declaration, DeclarationVersion


class ActState(models.TextChoices):
    OPEN = "open", _("Waits for the face")
    DONE = "done", _("Done")
    REFUSED = "refused", _("Refused")
    CANCELLED = "cancelled", _("Discarded")


class ActByFace(models.Model):
    """What waits for the face of ``person``, shown on the account that opened it and on no other."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    attempt = models.UUIDField(unique=True)
    consignment = models.ForeignKey(Consignment, on_delete=models.PROTECT, related_name="+")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=10, choices=ActState.choices, default=ActState.OPEN)
    face_attempts = models.PositiveSmallIntegerField(default=0)
    first_capture = models.OneToOneField(
        Verification, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    verification = models.OneToOneField(Verification, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    opened_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True
        ordering = ["-opened_at"]

    def __str__(self) -> str:
        return f"{self.pk} ({self.state})"


class DeclarationDraft(ActByFace):
    """
    A declaration, or an amendment of one, as it will be submitted once its author is verified.

    ``content`` is its canonical document and never changes: whoever declares something else prepares another draft.
    """

    declaration = models.ForeignKey(Declaration, null=True, blank=True, on_delete=models.PROTECT, related_name="drafts")
    amends = models.PositiveIntegerField(null=True, blank=True, help_text=_("The version that the declarant saw."))
    content = models.BinaryField()
    content_sha256 = models.CharField(max_length=64)
    parties = models.JSONField(help_text=_("By role: name, GLN and EORI, as they were typed."))
    version = models.OneToOneField(
        DeclarationVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="draft"
    )

    class Meta(ActByFace.Meta):
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(state=ActState.DONE)
                | models.Q(version__isnull=False, verification__isnull=False, closed_at__isnull=False),
                name="declaration_draft_done_has_evidence",
            ),
        ]
        indexes = [
            models.Index(
                fields=["opened_by", "-opened_at"],
                condition=models.Q(state=ActState.OPEN),
                name="declaration_draft_open",
            )
        ]


class Attendance(ActByFace):
    """A representative who was there while goods were inspected."""

    intervention = models.ForeignKey(Intervention, on_delete=models.PROTECT, related_name="attendances")
    statement = models.OneToOneField(Statement, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta(ActByFace.Meta):
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(state=ActState.DONE)
                | models.Q(statement__isnull=False, verification__isnull=False, closed_at__isnull=False),
                name="attendance_done_has_evidence",
            ),
            models.UniqueConstraint(
                fields=["intervention", "person"],
                condition=models.Q(state=ActState.DONE),
                name="attendance_once_for_each_person",
            ),
        ]
