"""Goods that travel together, and the organisations that send and receive them."""

import uuid

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class Party(models.Model):
    """An organisation that sends, receives or carries goods. Never a person."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200)
    gln = models.CharField(max_length=13, blank=True)
    eori = models.CharField(max_length=17, blank=True, help_text=_("EORI, or the number that its tax office gave it."))

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "parties"
        constraints = [
            models.UniqueConstraint(fields=["gln"], condition=~models.Q(gln=""), name="party_gln_once"),
            models.UniqueConstraint(fields=["eori"], condition=~models.Q(eori=""), name="party_eori_once"),
        ]

    def __str__(self) -> str:
        return self.name


class Consignment(models.Model):
    """Goods that travel together under one reference; "shipment" on screen."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    reference = models.CharField(max_length=40, unique=True)
    ucr = models.CharField(max_length=35, blank=True)
    mrn = models.CharField(max_length=18, blank=True)
    consignor = models.ForeignKey(Party, on_delete=models.PROTECT, related_name="consigned")
    consignee = models.ForeignKey(Party, on_delete=models.PROTECT, related_name="received")
    description = models.CharField(max_length=500)
    declared_gross_mass_g = models.BigIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["reference"]
        constraints = [
            models.UniqueConstraint(fields=["ucr"], condition=~models.Q(ucr=""), name="consignment_ucr_once"),
            models.CheckConstraint(condition=~models.Q(reference=""), name="consignment_has_a_reference"),
            models.CheckConstraint(
                condition=models.Q(declared_gross_mass_g__isnull=True) | models.Q(declared_gross_mass_g__gt=0),
                name="consignment_mass_is_positive",
            ),
        ]

    def __str__(self) -> str:
        return self.reference
