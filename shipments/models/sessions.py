"""Spans of time in which the reads at a read point count for one purpose."""

import uuid

from django.conf import settings
from django.db import models

from shipments.models.places import ReadPoint


class ReadSession(models.Model):
    """A span of time in which a read point's reads count for one purpose; frozen into a document for good."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    read_point = models.ForeignKey(ReadPoint, on_delete=models.PROTECT, related_name="read_sessions")
    opened_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    opened_at = models.DateTimeField()
    frozen_at = models.DateTimeField(null=True, blank=True)
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
        ]

    def __str__(self) -> str:
        return f"{self.read_point} {self.opened_at:%Y-%m-%d %H:%M:%S}"
