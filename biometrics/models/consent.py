"""What people agreed to, in which words, and until when."""

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from biometrics.models.people import Person


class ConsentPurpose(models.TextChoices):
    CUSTODY = "custody_verification", _("Confirm who takes custody of shipments")


class Retention(models.TextChoices):
    WHILE_ENGAGED = "while_engaged", _("While the person handles shipments here, then erased")
    UNTIL_WITHDRAWN = "until_withdrawn", _("Until the person withdraws the consent")


class Consent(models.Model):
    """What a person agreed to, in which words (version and language of the text that was shown), and until when."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="consents")
    purpose = models.CharField(max_length=32, choices=ConsentPurpose.choices)
    retention = models.CharField(max_length=32, choices=Retention.choices)
    language = models.CharField(max_length=8)
    text_version = models.CharField(max_length=16)
    text_sha256 = models.CharField(max_length=64)
    given_at = models.DateTimeField(default=timezone.now)
    recorded_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-given_at"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(purpose__in=ConsentPurpose.values, retention__in=Retention.values),
                name="consent_terms_are_known",
            ),
            models.CheckConstraint(
                condition=models.Q(withdrawn_at__isnull=True) | models.Q(withdrawn_at__gte=models.F("given_at")),
                name="consent_withdrawn_after_given",
            ),
            models.UniqueConstraint(
                fields=["person", "purpose"],
                condition=models.Q(withdrawn_at__isnull=True),
                name="consent_one_standing_per_purpose",
            ),
        ]

    def __str__(self) -> str:
        return f"consent of {self.person_id.urn} to {self.purpose}"
