"""What an officer vouched for in a handoff, where a person, the goods or the camera could not serve."""

import uuid

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from biometrics.models import Evidence, Person
from custody.models.handoffs import Handoff


class Purpose(models.TextChoices):
    DUAL_CONTROL = "dual_control", _("In place of the receiver’s face")
    RELEASE = "release", _("In place of who hands over")
    EXCEPTIONS = "exceptions", _("Acceptance with exceptions")


class ApprovalReason(models.TextChoices):
    CAMERA_FAILED = "camera_failed", _("The camera does not work")
    FACE_NOT_VISIBLE = "face_not_visible", _("The face cannot be shown: an injury, dress, protective gear")
    DECLINED = "declined_biometric", _("The person declines the face comparison, as the law allows")
    NOT_ENROLLED = "not_enrolled", _("The person has no face on file")
    HOLDER_ABSENT = "holder_absent", _("Who holds custody is not there")
    HOLDER_UNABLE = "holder_unable", _("Who holds custody has no badge or PIN that works")
    AUTHORITY_ORDER = "authority_order", _("Order of an authority")
    TAG_UNREADABLE = "tag_unreadable", _("Goods counted by hand: the tag does not answer")
    SHORTAGE = "shortage", _("Goods are short, and go on for tracing")
    SURPLUS = "surplus", _("Goods beyond the manifest, and go on for tracing")
    WEIGHT_EXPLAINED = "weight_explained", _("The weight is explained: water, packing, the scale")
    SEAL_SEEN = "seal_seen", _("The seal was looked at, and the goods behind it")
    OTHER = "other", _("Another reason, in the note")


class Document(models.TextChoices):
    PASSPORT = "passport", _("Passport")
    IDENTITY_CARD = "identity_card", _("Identity card")
    DRIVING_LICENCE = "driving_licence", _("Driving licence")
    PORT_BADGE = "port_badge", _("Port or site badge with photo")


class Approval(models.Model):
    """
    One officer's word in one handoff. It counts for the tags as they were matched then, and for nothing read later.

    ``note`` may name people: it is sealed under the officer's own key. Rows are added and never changed.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    handoff = models.ForeignKey(Handoff, on_delete=models.PROTECT, related_name="approvals")
    purpose = models.CharField(max_length=12, choices=Purpose.choices)
    reason = models.CharField(max_length=20, choices=ApprovalReason.choices)
    document = models.CharField(max_length=16, choices=Document.choices, blank=True)
    note = models.OneToOneField(Evidence, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    exceptions = models.JSONField(default=list)
    reconciliation_sha256 = models.CharField(max_length=64)
    officer = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    second_factor = models.CharField(max_length=8)
    given_at = models.DateTimeField()

    class Meta:
        ordering = ["-given_at", "-id"]
        constraints = [
            models.CheckConstraint(condition=models.Q(purpose__in=Purpose.values), name="approval_purpose_is_known"),
            models.CheckConstraint(
                condition=models.Q(purpose="exceptions") | ~models.Q(document=""), name="approval_names_the_document"
            ),
        ]
        indexes = [models.Index(fields=["purpose", "-given_at"], name="approval_by_purpose")]

    def __str__(self) -> str:
        return f"{self.purpose} for {self.handoff_id}"
