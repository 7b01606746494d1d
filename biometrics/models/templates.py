"""Templates and their photos, and the questions that an enrolment left to an officer."""

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from biometrics.models.consent import Consent
from biometrics.models.evidence import Evidence
from biometrics.models.people import Person
from ledger.models import Statement


class Template(models.Model):
    """What a person's face is compared with. Versions are kept; the active one alone can verify."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="templates")
    version = models.PositiveIntegerField()
    k = models.PositiveSmallIntegerField(help_text=_("How many photos it is the mean of."))
    evidence = models.OneToOneField(Evidence, on_delete=models.PROTECT, related_name="+")
    document = models.OneToOneField(Evidence, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    consent = models.ForeignKey(Consent, on_delete=models.PROTECT, related_name="+")
    landmarks_sha256 = models.CharField(max_length=64)
    descriptor_sha256 = models.CharField(max_length=64)
    active = models.BooleanField(default=True)
    enrolled_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    statement = models.OneToOneField(Statement, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["person", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["person", "version"], name="template_version_once"),
            models.UniqueConstraint(
                fields=["person"], condition=models.Q(active=True), name="template_one_active_per_person"
            ),
            models.CheckConstraint(condition=models.Q(k__gte=1, version__gte=1), name="template_counts_from_one"),
        ]

    def __str__(self) -> str:
        return f"template {self.version} of {self.person_id.urn}"


class TemplatePhoto(models.Model):
    """One photo of a template, in the order in which they were given."""

    template = models.ForeignKey(Template, on_delete=models.PROTECT, related_name="photos")
    evidence = models.OneToOneField(Evidence, on_delete=models.PROTECT, related_name="+")
    descriptor = models.OneToOneField(Evidence, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    number = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["template", "number"]
        constraints = [
            models.UniqueConstraint(fields=["template", "number"], name="template_photo_number_once"),
        ]

    def __str__(self) -> str:
        return f"photo {self.number} of {self.template}"


class DuplicateReview(models.Model):
    """The face of ``person`` was found under ``other``: an officer decides if they are one; each answer is an entry."""

    class State(models.TextChoices):
        PENDING = "pending", _("Waits for an officer")
        DIFFERENT = "different_people", _("Two different people")
        SAME = "same_person", _("One person, two records")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="duplicate_reviews")
    other = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    capture = models.OneToOneField(Evidence, on_delete=models.PROTECT, related_name="+")
    distance_e4 = models.PositiveIntegerField()
    threshold_e4 = models.PositiveIntegerField()
    target_fmr = models.CharField(max_length=8)
    state = models.CharField(max_length=20, choices=State.choices, default=State.PENDING)
    raised_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    raised_at = models.DateTimeField(default=timezone.now)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    note = models.OneToOneField(Evidence, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    statement = models.OneToOneField(Statement, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-raised_at"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=["pending", "different_people", "same_person"]),
                name="duplicate_review_state_is_known",
            ),
            models.CheckConstraint(
                condition=~models.Q(person=models.F("other")), name="duplicate_review_of_two_records"
            ),
            models.CheckConstraint(
                condition=models.Q(state="pending", decided_at__isnull=True, statement__isnull=True)
                | (~models.Q(state="pending") & models.Q(decided_at__isnull=False, statement__isnull=False)),
                name="duplicate_review_decided_whole",
            ),
            models.UniqueConstraint(
                fields=["person", "other"],
                condition=models.Q(state="pending"),
                name="duplicate_review_one_pending_per_pair",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.state}: {self.person_id.urn} and {self.other_id.urn}"
