"""What is wrong with a reader, counted up instead of piled up, until somebody says that they have seen it."""

import uuid

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from shipments.models.places import ReadPoint
from shipments.models.readers import Reader


class AlertCode(models.TextChoices):
    CLOCK_SKEW = "clock_skew", _("Its clock is wrong")
    UNAUTHENTICATED = "reader_unauthenticated", _("Turned away at the door")
    CLAIM_MISMATCH = "reader_claim_mismatch", _("Claims to be another")
    OVERFLOW = "reader_overflow", _("It lost reads")
    SILENT = "reader_silent", _("Silent")


class ReaderAlert(models.Model):
    """
    One thing that went wrong, ``count`` times between ``first_at`` and ``last_at``.

    :param source: what it is counted by: the reader, or the user name or address that was turned away
    :param since: the beginning of the hour that it counts in, or of the silence
    :param facts: codes, identifiers and numbers alone, of the newest time
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    code = models.CharField(max_length=32, choices=AlertCode.choices)
    reader = models.ForeignKey(
        Reader, null=True, blank=True, on_delete=models.CASCADE, related_name="alerts", db_index=False
    )
    read_point = models.ForeignKey(
        ReadPoint, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    source = models.CharField(max_length=64)
    since = models.DateTimeField()
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    count = models.PositiveBigIntegerField(default=1)
    facts = models.JSONField(default=dict)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    acknowledged_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-last_at"]
        constraints = [
            models.UniqueConstraint(fields=["code", "source", "since"], name="reader_alert_counts_up"),
            models.CheckConstraint(condition=models.Q(code__in=AlertCode.values), name="reader_alert_code_is_known"),
            models.CheckConstraint(
                condition=models.Q(acknowledged_by__isnull=True, acknowledged_at__isnull=True)
                | models.Q(acknowledged_by__isnull=False, acknowledged_at__isnull=False),
                name="reader_alert_acknowledged_by_somebody",
            ),
        ]
        indexes = [
            models.Index(fields=["reader", "-last_at"], name="reader_alert_by_reader"),
            models.Index(
                fields=["-last_at"], condition=models.Q(acknowledged_at__isnull=True), name="reader_alert_open"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.source}"
