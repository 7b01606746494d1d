"""Which raw reports are bound into the ledger, and by which statement."""

import uuid

from django.db import models

from shipments.models.places import Site


class ReportAnchor(models.Model):
    """
    A run of one site's reports under one ``reads_anchored`` statement.

    The statement is the truth; what stands here finds it, and finds what it speaks of.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    statement = models.OneToOneField("ledger.Statement", on_delete=models.PROTECT, related_name="+")
    count = models.PositiveIntegerField()
    root = models.CharField(max_length=64)
    document_sha256 = models.CharField(max_length=64)
    first_received_at = models.DateTimeField()
    last_received_at = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(count__gt=0), name="anchor_binds_something")]

    def __str__(self) -> str:
        return f"{self.count} reports {self.root[:12]}"
