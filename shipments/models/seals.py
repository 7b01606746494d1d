"""Seals on logistic units, and everything that was done to them and found of them."""

import uuid

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from ledger.models import Statement
from shipments.models.consignments import Consignment
from shipments.models.places import ReadPoint
from shipments.models.units import LogisticUnit

MAX_SEAL_NUMBER = 32


class SealClass(models.TextChoices):
    """ISO 17712: what it takes to open the seal."""

    INDICATIVE = "I", _("Indicative")
    SECURITY = "S", _("Security")
    HIGH_SECURITY = "H", _("High security")


class SealState(models.TextChoices):
    """What was last found of a seal; *broken* ends it."""

    INTACT = "intact", _("Intact")
    TAMPERED = "tampered", _("Tampered with")
    MISSING = "missing", _("Missing")
    NUMBER_DIFFERS = "number_differs", _("Number differs")
    BROKEN = "broken", _("Broken")


class SealAct(models.TextChoices):
    AFFIXED = "affixed", _("Affixed")
    CHECKED = "checked", _("Checked")
    BROKEN = "broken", _("Broken")
    REPLACED = "replaced", _("Replaced")


class Seal(models.Model):
    """
    One physical seal on a unit, usually a container. In force until it is broken; ``replaces`` names the one before.

    ``issuer`` is the organisation that issued it, never a person.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    consignment = models.ForeignKey(Consignment, on_delete=models.PROTECT, related_name="seals")
    unit = models.ForeignKey(LogisticUnit, on_delete=models.PROTECT, related_name="seals")
    number = models.CharField(max_length=MAX_SEAL_NUMBER)
    seal_class = models.CharField(max_length=1, choices=SealClass.choices)
    issuer = models.CharField(max_length=60, blank=True)
    state = models.CharField(max_length=16, choices=SealState.choices, default=SealState.INTACT)
    replaces = models.OneToOneField("self", null=True, blank=True, on_delete=models.PROTECT, related_name="replaced_by")
    affixed_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    statement = models.OneToOneField(Statement, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["affixed_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["number"], condition=models.Q(ended_at__isnull=True), name="seal_number_once_in_force"
            ),
            models.CheckConstraint(condition=~models.Q(number=""), name="seal_has_a_number"),
            models.CheckConstraint(condition=models.Q(seal_class__in=SealClass.values), name="seal_class_is_known"),
            models.CheckConstraint(
                condition=models.Q(state=SealState.BROKEN, ended_at__isnull=False)
                | (models.Q(ended_at__isnull=True) & ~models.Q(state=SealState.BROKEN)),
                name="seal_broken_is_ended",
            ),
        ]

    def __str__(self) -> str:
        return self.number


class SealEvent(models.Model):
    """
    One act on a seal by one person, as its entry says it. Rows are added and never changed.

    ``person`` is an identifier of the people's side; ``note`` is the commitment to what was written, which lies there.
    """

    id = models.BigAutoField(primary_key=True)
    seal = models.ForeignKey(Seal, on_delete=models.PROTECT, related_name="events")
    act = models.CharField(max_length=10, choices=SealAct.choices)
    state = models.CharField(max_length=16, choices=SealState.choices)
    found_number = models.CharField(max_length=MAX_SEAL_NUMBER, blank=True)
    reason = models.CharField(max_length=24, blank=True)
    note = models.CharField(max_length=64, blank=True)
    person = models.UUIDField()
    operator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    read_point = models.ForeignKey(ReadPoint, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    acted_at = models.DateTimeField()
    # Both sides of a replacement point to its one entry.
    statement = models.ForeignKey(Statement, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(condition=models.Q(act__in=SealAct.values), name="seal_act_is_known"),
            models.CheckConstraint(condition=models.Q(state__in=SealState.values), name="seal_event_state_is_known"),
        ]

    def __str__(self) -> str:
        return f"{self.act} {self.seal_id}"
