"""Documents that somebody presented, and live faces compared with the portraits in them: nobody is enrolled."""

import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from biometrics.models.evidence import Evidence
from biometrics.models.people import Person
from biometrics.models.verifications import LivenessChallenge, Verification
from biometrics.models.watchlist import WatchlistLead
from ledger.tlog import canonical


class PresentedDocument(models.Model):
    """
    One identity document that somebody presented once. Number and portrait are sealed under that somebody's own key.

    ``context`` names the act that it was presented in (``passage:<uuid>``), as a liveness challenge does.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    context = models.CharField(max_length=80, unique=True)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="presented_documents")
    number = models.OneToOneField(Evidence, on_delete=models.PROTECT, related_name="+")
    portrait = models.OneToOneField(Evidence, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    exempt = models.BooleanField(default=False, help_text=_("Photos, number and key go within 12 hours."))
    disputed = models.BooleanField(
        default=False, help_text=_("Not matched, alerted, refused or referred: kept longer.")
    )
    presented_to = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    presented_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-presented_at"]

    def __str__(self) -> str:
        return f"document of {self.context}"


class DocumentMatch(models.Model):
    """One comparison of a live face with a document's portrait. ``record_json`` is what entries embed as it is."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    document = models.ForeignKey(PresentedDocument, on_delete=models.PROTECT, related_name="matches")
    portrait = models.ForeignKey(Evidence, on_delete=models.PROTECT, related_name="+")
    probe = models.OneToOneField(Evidence, on_delete=models.PROTECT, related_name="+")
    first_capture = models.OneToOneField(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="second_capture"
    )
    challenge = models.OneToOneField(
        LivenessChallenge, null=True, blank=True, on_delete=models.PROTECT, related_name="document_match"
    )
    camera = models.OneToOneField(Evidence, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    leads = models.ManyToManyField(WatchlistLead, blank=True, related_name="+")
    outcome = models.CharField(max_length=16, choices=Verification.Outcome.choices)
    distance_e4 = models.PositiveIntegerField()
    record_json = models.BinaryField()
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-created_at"]
        verbose_name_plural = "document matches"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(outcome__in=["match", "second_capture", "no_match"]),
                name="document_match_outcome_is_known",
            ),
            # The largest distance between two vectors of length one is 2.
            models.CheckConstraint(condition=models.Q(distance_e4__lte=20_000), name="document_match_in_range"),
        ]

    def __str__(self) -> str:
        return f"{self.outcome} of {self.document.context}"

    @property
    def record(self) -> dict[str, Any]:
        """The comparison's record (docs/ledger-format.md, ``face`` of a passage)."""
        record: dict[str, Any] = canonical.decode(bytes(self.record_json))
        return record
