"""What officers do to a shipment in the law's name: each act by a person whose face was verified, each an entry."""

import uuid

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from biometrics.models import Evidence, Person, Verification
from ledger.models import Statement
from shipments.models import Consignment, ReadPoint


class Act(models.TextChoices):
    INSPECTION = "inspection", _("Inspection")
    SAMPLING = "sampling", _("Sampling")
    HOLD = "hold", _("Hold")
    RELEASE = "release", _("Release")
    SEIZURE = "seizure", _("Seizure")


class Reason(models.TextChoices):
    RISK_PROFILE = "risk_profile", _("Risk profile")
    RANDOM = "random_check", _("Random check")
    DOCUMENTS = "documents", _("Documents do not agree")
    QUANTITY = "quantity", _("Quantity or weight differs")
    SEAL = "seal", _("Seal broken or changed")
    PROHIBITED = "prohibited_goods", _("Prohibited or restricted goods")
    ORDER = "authority_order", _("Order of an authority")
    SETTLED = "settled", _("What it was for is settled")


class Findings(models.TextChoices):
    CONFORMS = "conforms", _("Conforms with the declaration")
    DIFFERS = "differs", _("Differs from the declaration")
    PENDING = "pending", _("Not known yet")


class InterventionState(models.TextChoices):
    OPEN = "open", _("Waits for the officer’s face")
    DONE = "done", _("Done")
    REFUSED = "refused", _("Refused")
    CANCELLED = "cancelled", _("Cancelled")


class Intervention(models.Model):
    """One act of one officer. ``note`` may name people: it is sealed under the officer's own key."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    attempt = models.UUIDField(unique=True)
    consignment = models.ForeignKey(Consignment, on_delete=models.PROTECT, related_name="interventions")
    act = models.CharField(max_length=12, choices=Act.choices)
    reason = models.CharField(max_length=24, choices=Reason.choices)
    findings = models.CharField(max_length=12, choices=Findings.choices, blank=True)
    note = models.OneToOneField(Evidence, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    read_point = models.ForeignKey(ReadPoint, on_delete=models.PROTECT, related_name="+")
    officer = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="interventions")
    state = models.CharField(max_length=10, choices=InterventionState.choices, default=InterventionState.OPEN)
    face_attempts = models.PositiveSmallIntegerField(default=0)
    first_capture = models.OneToOneField(
        Verification, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    verification = models.OneToOneField(Verification, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    opened_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    statement = models.OneToOneField(Statement, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-opened_at"]
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(state="done")
                | models.Q(statement__isnull=False, verification__isnull=False, closed_at__isnull=False),
                name="intervention_done_has_evidence",
            ),
        ]
        indexes = [
            models.Index(
                fields=["consignment", "-statement"], condition=models.Q(state="done"), name="intervention_done"
            )
        ]

    def __str__(self) -> str:
        return f"{self.act} ({self.state})"
