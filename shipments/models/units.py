"""What a consignment consists of: logistic units that nest, and the tags that are expected on the goods in them."""

import uuid

from django.db import models

from shipments.epc import MAX_EPC_DIGITS, MAX_TID_DIGITS
from shipments.models.consignments import Consignment


class LogisticUnit(models.Model):
    """
    A pallet, a case, a returnable crate or a container, under one or more of SSCC, GRAI and BIC code.

    ``grai`` is as AI (8003) has it, with the zero in front. ``parent`` is the unit that holds it now; ``epc_hex`` and
    ``tid`` are its own tag's, empty where it carries none. ``released_at`` is set when the consignment is closed: a
    crate or a container travels again, an SSCC never does.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    consignment = models.ForeignKey(Consignment, on_delete=models.PROTECT, related_name="units")
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="children")
    sscc = models.CharField(max_length=18, blank=True)
    grai = models.CharField(max_length=30, blank=True)
    bic = models.CharField(max_length=11, blank=True)
    epc_hex = models.CharField(max_length=MAX_EPC_DIGITS, blank=True)
    tid = models.CharField(max_length=MAX_TID_DIGITS, blank=True)
    released_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["sscc", "grai", "bic"]
        constraints = [
            models.UniqueConstraint(fields=["sscc"], condition=~models.Q(sscc=""), name="unit_sscc_once"),
            *(
                models.UniqueConstraint(
                    fields=[key],
                    condition=models.Q(released_at__isnull=True) & ~models.Q(**{key: ""}),
                    name=f"unit_{key}_in_one_open_consignment",
                )
                for key in ("grai", "bic", "epc_hex")
            ),
            models.CheckConstraint(condition=~models.Q(sscc="", grai="", bic=""), name="unit_has_a_code"),
            models.CheckConstraint(
                condition=models.Q(parent__isnull=True) | ~models.Q(parent=models.F("id")), name="unit_not_in_itself"
            ),
        ]

    def __str__(self) -> str:
        return self.code

    @property
    def code(self) -> str:
        """The code that people name it by."""
        return self.sscc or self.grai or self.bic

    def codes(self) -> dict[str, str]:
        """Its codes by their names, those that it has: how an entry names it."""
        named = {"sscc": self.sscc, "grai": self.grai, "bic": self.bic}
        return {name: code for name, code in named.items() if code}


class ManifestItem(models.Model):
    """One tag that a consignment should hold. ``released_at`` is set when the consignment is closed."""

    consignment = models.ForeignKey(Consignment, on_delete=models.PROTECT, related_name="manifest")
    logistic_unit = models.ForeignKey(
        LogisticUnit, null=True, blank=True, on_delete=models.PROTECT, related_name="items"
    )
    epc_hex = models.CharField(max_length=MAX_EPC_DIGITS)
    epc_uri = models.CharField(max_length=160, db_index=True)
    gtin = models.CharField(max_length=14, blank=True)
    description = models.CharField(max_length=200, blank=True)
    hs_code = models.CharField(max_length=10, blank=True)
    origin = models.CharField(max_length=2, blank=True)
    tid = models.CharField(max_length=MAX_TID_DIGITS, blank=True)
    released_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["consignment", "epc_hex"], name="item_once_per_consignment"),
            # A returnable tag may travel again, but never in two open consignments at once.
            models.UniqueConstraint(
                fields=["epc_hex"], condition=models.Q(released_at__isnull=True), name="item_in_one_open_consignment"
            ),
        ]

    def __str__(self) -> str:
        return self.epc_uri
