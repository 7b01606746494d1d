"""Border crossings, and who passed at one: the document that they presented, the face or the officer who vouches."""

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from biometrics.models import DocumentMatch, Evidence, Person, PresentedDocument
from ledger.models import Statement
from shipments.models import Consignment, Party, ReadPoint


class Crossing(models.Model):
    """A read point at which people and goods cross a border."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    read_point = models.OneToOneField(ReadPoint, on_delete=models.PROTECT, related_name="crossing")
    enabled = models.BooleanField(default=True)
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["read_point__site__code", "read_point__name"]

    def __str__(self) -> str:
        return str(self.read_point)


class PassageDirection(models.TextChoices):
    ENTRY = "entry", _("Entry")
    EXIT = "exit", _("Exit")


class DocumentType(models.TextChoices):
    PASSPORT = "passport", _("Passport")
    IDENTITY_CARD = "identity_card", _("Identity card")
    CROSSING_CARD = "crossing_card", _("Border crossing card")
    RESIDENCE_PERMIT = "residence_permit", _("Residence permit")
    TRAVEL_DOCUMENT = "travel_document", _("Travel document of a refugee or a stateless person")


class Exemption(models.TextChoices):
    OWN_CITIZEN = "own_citizen", _("Citizen of this country")
    UNDER_AGE = "under_age", _("Under age")
    DIPLOMAT = "diplomat", _("Diplomat")


class WithoutFace(models.TextChoices):
    """Why an officer checks the document by eye and no photo is taken."""

    DECLINED = "declined", _("The traveller prefers it")
    FACE_COVERED = "face_covered", _("The face is covered for a reason that the law accepts")
    MEDICAL = "medical", _("A medical reason")
    EQUIPMENT = "equipment", _("The camera cannot serve")


class PassageState(models.TextChoices):
    OPEN = "open", _("Not decided yet")
    PASSED = "passed", _("Passed")
    REFUSED = "refused", _("Refused")
    REFERRED = "referred", _("Referred to secondary inspection")
    ABANDONED = "abandoned", _("Never decided")
    CANCELLED = "cancelled", _("Cancelled")


DECISIONS = (PassageState.PASSED, PassageState.REFUSED, PassageState.REFERRED)


class Advice(models.TextChoices):
    """What the machine makes of it; the officer decides."""

    PASS = "pass", _("Let pass")
    REFER = "refer", _("Look closer")
    REFUSE = "refuse", _("Do not let pass")


class Passage(models.Model):
    """
    One traveller at one crossing, from the document to the officer's decision.

    ``traveller`` is somebody on file, or a record without a name that was made for this passage alone.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    attempt = models.UUIDField(unique=True)
    crossing = models.ForeignKey(Crossing, on_delete=models.PROTECT, related_name="passages")
    direction = models.CharField(max_length=5, choices=PassageDirection.choices)
    consignment = models.ForeignKey(
        Consignment, null=True, blank=True, on_delete=models.PROTECT, related_name="passages"
    )
    traveller = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="passages")
    carrier = models.ForeignKey(Party, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    document = models.OneToOneField(PresentedDocument, on_delete=models.PROTECT, related_name="passage")
    document_type = models.CharField(max_length=20, choices=DocumentType.choices)
    issuing_state = models.CharField(max_length=3)
    document_expires_on = models.DateField(null=True, blank=True)
    exemption = models.CharField(max_length=16, choices=Exemption.choices, blank=True)
    without_face = models.CharField(max_length=16, choices=WithoutFace.choices, blank=True)
    state = models.CharField(max_length=10, choices=PassageState.choices, default=PassageState.OPEN)
    face_attempts = models.PositiveSmallIntegerField(default=0)
    comparing_since = models.DateTimeField(null=True, blank=True)
    first_capture = models.OneToOneField(
        DocumentMatch, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    match = models.OneToOneField(DocumentMatch, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    failed_captures = models.JSONField(
        default=list, help_text=_("What captures were refused for, as the entry has it.")
    )
    advice = models.CharField(max_length=8, choices=Advice.choices, blank=True)
    findings = models.JSONField(default=list, help_text=_("What the advice rests on, as the entry has it."))
    document_checked = models.BooleanField(default=False, help_text=_("By eye, in the place of a face."))
    note = models.OneToOneField(Evidence, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    opened_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    opened_at = models.DateTimeField(default=timezone.now)
    officer = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    closed_at = models.DateTimeField(null=True, blank=True)
    statement = models.OneToOneField(Statement, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-opened_at"]
        constraints = [
            models.CheckConstraint(condition=models.Q(state__in=PassageState.values), name="passage_state_is_known"),
            models.CheckConstraint(
                condition=models.Q(direction__in=PassageDirection.values), name="passage_direction_is_known"
            ),
            models.CheckConstraint(
                condition=~models.Q(state__in=["passed", "refused", "referred"])
                | models.Q(statement__isnull=False, officer__isnull=False, closed_at__isnull=False)
                & ~models.Q(advice=""),
                name="passage_decided_is_whole",
            ),
            # Whoever declines is compared with nothing.
            models.CheckConstraint(
                condition=models.Q(without_face="")
                | models.Q(match__isnull=True, first_capture__isnull=True, face_attempts=0),
                name="passage_without_face_has_none",
            ),
            models.CheckConstraint(
                condition=~models.Q(state="passed") | ~models.Q(without_face="") | models.Q(face_attempts__gt=0),
                name="passage_passed_was_checked",
            ),
        ]
        indexes = [
            models.Index(fields=["crossing", "-opened_at"], name="passage_newest_at_crossing"),
            models.Index(fields=["opened_at"], condition=models.Q(state="open"), name="passage_open"),
        ]

    def __str__(self) -> str:
        return f"passage at {self.crossing} ({self.state})"
