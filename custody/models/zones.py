"""
Restricted zones: who may be in one and when, the cameras that watch it, who was seen, and the alerts.

One event is one person's stay: it grows with every frame that shows them and ends where none does for a while.
"""

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from biometrics.models import AuthorisedGroup, Evidence, Person, WatchlistLead
from custody.models.hours import Hours
from ledger.models import Statement
from shipments.models import Site


class Zone(Hours):
    """A restricted area of a site, and the hours in which its group may be there."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="zones")
    name = models.CharField(max_length=80)
    group = models.ForeignKey(AuthorisedGroup, on_delete=models.PROTECT, related_name="+")
    alert_after = models.PositiveSmallIntegerField(
        default=1, help_text=_("In how many frames somebody is seen before an alert is raised.")
    )
    enabled = models.BooleanField(default=True)
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["site", "name"]
        constraints = [
            *Hours.Meta.constraints,
            models.UniqueConstraint(fields=["site", "name"], name="zone_name_once_per_site"),
            models.CheckConstraint(condition=models.Q(alert_after__gte=1), name="zone_alerts_after_a_frame"),
        ]

    def __str__(self) -> str:
        return f"{self.site.code} {self.name}"


class Camera(models.Model):
    """A camera that posts its frames. The token is random, shown once, and kept as its SHA-256."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    zone = models.ForeignKey(Zone, on_delete=models.PROTECT, related_name="cameras")
    name = models.CharField(max_length=80, unique=True)
    token_sha256 = models.CharField(max_length=64, blank=True)
    enabled = models.BooleanField(default=True)
    last_frame_at = models.DateTimeField(null=True, blank=True)
    added_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    added_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class CameraCoverage(models.Model):
    """A span in which frames of a camera kept arriving. Between two spans nobody was watched."""

    camera = models.ForeignKey(Camera, on_delete=models.PROTECT, related_name="coverage", db_index=False)
    since = models.DateTimeField()
    until = models.DateTimeField()
    frames = models.PositiveBigIntegerField(default=1)

    class Meta:
        ordering = ["since"]
        indexes = [models.Index(fields=["camera", "-until"], name="coverage_newest_of_camera")]

    def __str__(self) -> str:
        return f"{self.camera} from {self.since:%Y-%m-%d %H:%M:%S}"


class ZoneEvent(models.Model):
    """
    One person's stay in a zone, as its cameras saw it.

    ``person`` is who was recognised; of a stranger it is a record without a name, made to hold what is kept of them
    under a key of its own. A face that never was clear enough to compare has none until it raises an alert.
    """

    class Outcome(models.TextChoices):
        AUTHORISED = "authorised", _("Authorised")
        OUTSIDE_HOURS = "outside_hours", _("Outside the hours")
        UNAUTHORISED = "unauthorised", _("Not authorised")
        STRANGER = "stranger", _("Stranger")
        UNCLEAR = "unclear", _("Unclear")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    zone = models.ForeignKey(Zone, on_delete=models.PROTECT, related_name="events", db_index=False)
    camera = models.ForeignKey(Camera, on_delete=models.PROTECT, related_name="events")
    outcome = models.CharField(max_length=16, choices=Outcome.choices)
    person = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT, related_name="zone_events")
    descriptor = models.OneToOneField(Evidence, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    frames = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["-first_seen_at"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(outcome__in=["authorised", "outside_hours", "unauthorised", "stranger", "unclear"]),
                name="zone_event_outcome_is_known",
            ),
        ]
        indexes = [models.Index(fields=["zone", "-last_seen_at"], name="zone_event_newest")]

    def __str__(self) -> str:
        return f"{self.outcome} in {self.zone_id}"


class ZoneAlert(models.Model):
    """Somebody where they may not be. It stands in the ledger; an officer says what came of it."""

    class Code(models.TextChoices):
        STRANGER = "stranger", _("A stranger")
        UNAUTHORISED = "unauthorised", _("Somebody who is not authorised here")
        OUTSIDE_HOURS = "outside_hours", _("Somebody outside the hours")
        WATCHLISTED = "watchlisted", _("Somebody who resembles a face on the watchlist")
        UNCLEAR = "unclear", _("A face that stays unclear")

    class Decision(models.TextChoices):
        INTRUDER = "intruder", _("An intruder")
        ALLOWED = "allowed", _("Was allowed to be there")
        MISTAKEN = "mistaken", _("Mistaken: another person, or nobody")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    event = models.ForeignKey(ZoneEvent, on_delete=models.PROTECT, related_name="alerts")
    code = models.CharField(max_length=16, choices=Code.choices)
    raised_at = models.DateTimeField()
    frame = models.ForeignKey(Evidence, on_delete=models.PROTECT, related_name="+")
    lead = models.ForeignKey(WatchlistLead, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    statement = models.OneToOneField(Statement, on_delete=models.PROTECT, related_name="+")
    decision = models.CharField(max_length=12, choices=Decision.choices, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    note = models.OneToOneField(Evidence, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    resolution = models.OneToOneField(Statement, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-raised_at"]
        constraints = [
            models.UniqueConstraint(fields=["event", "code"], name="zone_alert_once_per_event"),
            models.CheckConstraint(
                condition=models.Q(code__in=["stranger", "unauthorised", "outside_hours", "watchlisted", "unclear"]),
                name="zone_alert_code_is_known",
            ),
            models.CheckConstraint(
                condition=models.Q(decision="", decided_at__isnull=True, resolution__isnull=True)
                | models.Q(
                    decision__in=["intruder", "allowed", "mistaken"],
                    decided_at__isnull=False,
                    resolution__isnull=False,
                ),
                name="zone_alert_decided_whole",
            ),
        ]
        indexes = [
            models.Index(fields=["-raised_at"], condition=models.Q(decision=""), name="zone_alert_open"),
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.pk}"
