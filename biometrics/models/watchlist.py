"""Faces that are searched for (1:N), what was found, and groups of people who may be somewhere."""

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from biometrics.models.evidence import Evidence
from biometrics.models.people import Person
from biometrics.models.verifications import Verification
from ledger.models import Statement


class WatchlistEntry(models.Model):
    """Somebody to look out for: searched from a second officer's confirmation until it expires or is removed."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    subject = models.OneToOneField(Person, on_delete=models.PROTECT, related_name="watchlist_entry")
    reason = models.OneToOneField(Evidence, on_delete=models.PROTECT, related_name="+")
    authority = models.CharField(max_length=120, help_text=_("Who ordered it, and under which file number."))
    k = models.PositiveSmallIntegerField(help_text=_("How many photos the template is the mean of."))
    template = models.OneToOneField(Evidence, on_delete=models.PROTECT, related_name="+")
    landmarks_sha256 = models.CharField(max_length=64)
    descriptor_sha256 = models.CharField(max_length=64)
    expires_at = models.DateTimeField()
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField(default=timezone.now)
    confirmed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    confirmed_at = models.DateTimeField(null=True, blank=True)
    removed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    removed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-proposed_at"]
        verbose_name_plural = "watchlist entries"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(confirmed_by__isnull=True, confirmed_at__isnull=True)
                | (
                    models.Q(confirmed_by__isnull=False, confirmed_at__isnull=False)
                    & ~models.Q(confirmed_by=models.F("proposed_by"))
                ),
                name="watchlist_entry_of_two_officers",
            ),
            models.CheckConstraint(
                condition=models.Q(expires_at__gt=models.F("proposed_at")), name="watchlist_entry_expires_later"
            ),
        ]

    def __str__(self) -> str:
        return f"watchlist entry {self.pk}"


class WatchlistPhoto(models.Model):
    """One photo of an entry's template, in the order in which they were given."""

    entry = models.ForeignKey(WatchlistEntry, on_delete=models.PROTECT, related_name="photos")
    evidence = models.OneToOneField(Evidence, on_delete=models.PROTECT, related_name="+")
    number = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["entry", "number"]
        constraints = [models.UniqueConstraint(fields=["entry", "number"], name="watchlist_photo_number_once")]

    def __str__(self) -> str:
        return f"photo {self.number} of {self.entry_id}"


class WatchlistLead(models.Model):
    """A face resembled one on the watchlist. It is a lead to a human, who decides; by itself it changes nothing."""

    class State(models.TextChoices):
        OPEN = "open", _("Waits for an officer")
        CONFIRMED = "confirmed", _("Confirmed by an officer")
        DISMISSED = "dismissed", _("Dismissed by an officer")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    entry = models.ForeignKey(WatchlistEntry, on_delete=models.PROTECT, related_name="leads")
    person = models.ForeignKey(
        Person,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text=_("Who it is said to be."),
    )
    verification = models.ForeignKey(
        Verification, null=True, blank=True, on_delete=models.PROTECT, related_name="watchlist_leads"
    )
    probe = models.ForeignKey(Evidence, on_delete=models.PROTECT, related_name="+")
    distance_e4 = models.PositiveIntegerField()
    threshold_e4 = models.PositiveIntegerField()
    gallery_size = models.PositiveIntegerField()
    target_fpir = models.CharField(max_length=8)
    found_at = models.DateTimeField(default=timezone.now)
    state = models.CharField(max_length=12, choices=State.choices, default=State.OPEN)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    note = models.OneToOneField(Evidence, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    statement = models.OneToOneField(Statement, on_delete=models.PROTECT, related_name="+")
    decision = models.OneToOneField(Statement, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-found_at"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state="open", decided_at__isnull=True)
                | models.Q(state__in=["confirmed", "dismissed"], decided_at__isnull=False),
                name="watchlist_lead_decided_whole",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.state} lead to {self.entry_id}"


class AuthorisedGroup(models.Model):
    """People who may be somewhere or do something together: the gallery against which a face there is identified."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=80, unique=True)
    members = models.ManyToManyField(Person, related_name="groups", blank=True)
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
