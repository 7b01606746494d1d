"""
The people, and the evidence about them. Nothing that tells who somebody is, or looks like, stands here in the clear.

Every value of an :class:`Evidence` is sealed under its person's own key (:mod:`biometrics.vault`).
"""

import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ledger.models import Statement
from ledger.tlog import canonical


class PersonKind(models.TextChoices):
    OPERATOR = "operator", _("Operator")
    DRIVER = "driver", _("Driver")
    WAREHOUSE = "warehouse", _("Warehouse staff")
    OFFICER = "officer", _("Officer")
    REPRESENTATIVE = "representative", _("Representative")


class Person(models.Model):
    """Somebody who may hold custody. The name is sealed evidence: :func:`biometrics.people.display_name` opens it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=16, choices=PersonKind.choices)
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="person"
    )
    registered_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    registered_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["registered_at"]
        verbose_name_plural = "people"
        constraints = [
            models.CheckConstraint(condition=models.Q(kind__in=PersonKind.values), name="person_kind_is_known"),
        ]

    def __str__(self) -> str:
        return self.id.urn


class PersonKey(models.Model):
    """A person's own 256-bit key, wrapped by the master key. Without this row nothing of theirs can be opened."""

    person = models.OneToOneField(Person, primary_key=True, on_delete=models.PROTECT, related_name="key")
    master_key_id = models.CharField(max_length=16)
    nonce = models.BinaryField(max_length=12)
    wrapped = models.BinaryField(max_length=48)
    made_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"key of {self.person_id.urn}"


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


class EvidenceKind(models.TextChoices):
    NAME = "name", _("Name")
    PHOTO = "photo", _("Enrolment photo")
    PROBE = "probe", _("Probe")
    TEMPLATE = "template", _("Template")
    NOTE = "note", _("Note")


class Evidence(models.Model):
    """One sealed value, and the commitment by which entries speak of it. Written once by :mod:`biometrics.vault`."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="evidence")
    kind = models.CharField(max_length=16, choices=EvidenceKind.choices)
    nonce = models.BinaryField(max_length=12)
    ciphertext = models.BinaryField()
    commitment = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["created_at"]
        verbose_name_plural = "evidence"
        constraints = [
            models.CheckConstraint(condition=models.Q(kind__in=EvidenceKind.values), name="evidence_kind_is_known"),
        ]
        indexes = [models.Index(fields=["person", "kind", "-created_at"], name="evidence_newest_of_kind")]

    def __str__(self) -> str:
        return f"{self.kind} {self.commitment[:12]}"


class Template(models.Model):
    """What a person's face is compared with. Versions are kept; the active one alone can verify."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="templates")
    version = models.PositiveIntegerField()
    k = models.PositiveSmallIntegerField(help_text=_("How many photos it is the mean of."))
    evidence = models.OneToOneField(Evidence, on_delete=models.PROTECT, related_name="+")
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
    number = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["template", "number"]
        constraints = [
            models.UniqueConstraint(fields=["template", "number"], name="template_photo_number_once"),
        ]

    def __str__(self) -> str:
        return f"photo {self.number} of {self.template}"


class CaptureSource(models.TextChoices):
    """By which way a photo came. What a camera calls itself may name its owner, and is sealed beside the probe."""

    WEBCAM = "webcam", _("Camera of the page")
    UPLOAD = "upload", _("Uploaded photo")
    API = "api", _("Sent by a program")


class Verification(models.Model):
    """One comparison of a live face with a template. ``record_json`` is what entries embed, byte for byte."""

    class Outcome(models.TextChoices):
        MATCH = "match", _("Match")
        NO_MATCH = "no_match", _("No match")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="verifications")
    template = models.ForeignKey(Template, on_delete=models.PROTECT, related_name="verifications")
    probe = models.OneToOneField(Evidence, on_delete=models.PROTECT, related_name="+")
    camera = models.OneToOneField(Evidence, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    outcome = models.CharField(max_length=8, choices=Outcome.choices)
    distance_e4 = models.PositiveIntegerField()
    record_json = models.BinaryField()
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(outcome__in=["match", "no_match"]), name="verification_outcome_is_known"
            ),
            # The largest distance between two vectors of length one is 2.
            models.CheckConstraint(condition=models.Q(distance_e4__lte=20_000), name="verification_distance_in_range"),
        ]
        indexes = [models.Index(fields=["person", "-created_at"], name="verification_newest_of_person")]

    def __str__(self) -> str:
        return f"{self.outcome} of {self.person_id.urn}"

    @property
    def record(self) -> dict[str, Any]:
        """The verification record (docs/ledger-format.md, ``face``)."""
        record: dict[str, Any] = canonical.decode(bytes(self.record_json))
        return record


class Pin(models.Model):
    """A person's PIN as a slow hash, with the tries that keep it from being guessed."""

    person = models.OneToOneField(Person, primary_key=True, on_delete=models.PROTECT, related_name="pin")
    hash = models.CharField(max_length=128)
    tries = models.PositiveSmallIntegerField(default=0, help_text=_("Started since the last right one."))
    locked_until = models.DateTimeField(null=True, blank=True)
    set_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"PIN of {self.person_id.urn}"


class Badge(models.Model):
    """A printed badge: the SHA-256 of a code with 128 random bits. A new badge revokes the one before."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="badges")
    digest = models.CharField(max_length=64, unique=True)
    issued_at = models.DateTimeField(default=timezone.now)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-issued_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["person"], condition=models.Q(revoked_at__isnull=True), name="badge_one_valid_per_person"
            ),
        ]

    def __str__(self) -> str:
        return f"badge of {self.person_id.urn}"
