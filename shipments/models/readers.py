"""The readers at the read points, what their antennas look at, and what they log in with."""

import uuid

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from shipments.models.places import ReadPoint

SILENT_AFTER_S = 300
"""Idle readers post an empty array every few seconds to minutes: after this long something is wrong."""


class Reader(models.Model):
    """
    A fixed reader, or a program that reports in its place.

    ``clock_skew_ms`` is its clock less ours, as last measured. Limits that are null are those of the settings.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    read_point = models.ForeignKey(ReadPoint, on_delete=models.PROTECT, related_name="readers")
    name = models.CharField(max_length=120, unique=True)
    hostname = models.CharField(max_length=120, blank=True, help_text=_("What it calls itself in its reports."))
    dialect = models.CharField(max_length=32, blank=True, help_text=_("Tried first; the body's shape decides."))
    enabled = models.BooleanField(default=True)
    silent_after_s = models.PositiveIntegerField(default=SILENT_AFTER_S, help_text=_("0: silence is no alert."))
    reports_per_s = models.PositiveIntegerField(null=True, blank=True)
    reads_per_s = models.PositiveIntegerField(null=True, blank=True)
    last_seen_at = models.DateTimeField(null=True, blank=True)
    last_report_at = models.DateTimeField(null=True, blank=True, help_text=_("Last report that was no heartbeat."))
    clock_skew_ms = models.BigIntegerField(null=True, blank=True)
    clock_checked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=(models.Q(reports_per_s__isnull=True) | models.Q(reports_per_s__gt=0))
                & (models.Q(reads_per_s__isnull=True) | models.Q(reads_per_s__gt=0)),
                name="reader_limits_let_something_through",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Antenna(models.Model):
    """What one port of a reader looks at, in the words of whoever mounted it."""

    reader = models.ForeignKey(Reader, on_delete=models.CASCADE, related_name="antennas")
    port = models.PositiveSmallIntegerField()
    looks_at = models.CharField(max_length=120)

    class Meta:
        ordering = ["port"]
        constraints = [
            models.UniqueConstraint(fields=["reader", "port"], name="antenna_once_per_port"),
            models.CheckConstraint(condition=models.Q(port__gt=0), name="antenna_port_from_1"),
        ]

    def __str__(self) -> str:
        return f"{self.port} {self.looks_at}"


class CredentialKind(models.TextChoices):
    BASIC = "basic", _("User name and password")
    BEARER = "bearer", _("Bearer token")
    SIGNATURE = "signature", _("Signing secret")
    CERTIFICATE = "certificate", _("Client certificate")


class ReaderCredential(models.Model):
    """
    What one reader logs in with. ``username`` names it in all kinds; what is secret is random and shown once.

    A password and a token are kept as a keyed digest; a signing secret must be at hand to check a signature, and is
    encrypted (``sealed``); a certificate is known by the fingerprint or subject that a trusted proxy tells.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    reader = models.ForeignKey(Reader, on_delete=models.CASCADE, related_name="credentials")
    kind = models.CharField(max_length=16, choices=CredentialKind.choices, default=CredentialKind.BASIC)
    username = models.CharField(max_length=40, unique=True)
    digest = models.CharField(max_length=64, blank=True)
    sealed = models.BinaryField(blank=True, default=b"")
    certificate = models.CharField(max_length=400, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, help_text=_("To the minute."))

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(kind__in=CredentialKind.values), name="reader_credential_kind_is_known"
            ),
            # One certificate, one reader. A revoked row may stand beside the one that took its place.
            models.UniqueConstraint(
                fields=["certificate"],
                condition=~models.Q(certificate="") & models.Q(revoked_at__isnull=True),
                name="certificate_of_one_reader",
            ),
        ]

    def __str__(self) -> str:
        return self.username
