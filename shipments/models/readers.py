"""The readers at the read points, and what they log in with."""

import uuid

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from shipments.models.places import ReadPoint


class Reader(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    read_point = models.ForeignKey(ReadPoint, on_delete=models.PROTECT, related_name="readers")
    name = models.CharField(max_length=120, unique=True)
    dialect = models.CharField(max_length=32, blank=True, help_text=_("Tried first; the body's shape decides."))
    enabled = models.BooleanField(default=True)
    last_seen_at = models.DateTimeField(null=True, blank=True)
    last_report_at = models.DateTimeField(null=True, blank=True, help_text=_("Last report that was no heartbeat."))

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ReaderCredential(models.Model):
    """A user name and password of one reader. The password is random, shown once, and kept as a keyed digest."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    reader = models.ForeignKey(Reader, on_delete=models.CASCADE, related_name="credentials")
    username = models.CharField(max_length=40, unique=True)
    digest = models.CharField(max_length=64)
    created_at = models.DateTimeField(db_default=Now())
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.username
