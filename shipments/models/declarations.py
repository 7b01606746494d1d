"""
What was declared to customs of a consignment: declarations, their versions, and the goods in each.

A version is written once and never changed; its document, in the ledger's attachments, is the evidence, and the rows
here are an index into it. A correction is a later version.
"""

import uuid

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from ledger.models import Statement
from shipments.models.consignments import Consignment, Party


class DeclarationKind(models.TextChoices):
    EXPORT = "export", _("Export")
    IMPORT = "import", _("Import")
    TRANSIT = "transit", _("Transit")
    REEXPORT = "reexport", _("Re-export")
    TEMPORARY_STORAGE = "temporary_storage", _("Temporary storage")


class Declaration(models.Model):
    """What one party declares of one consignment for one procedure. ``version`` is the number of the newest one."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    consignment = models.ForeignKey(Consignment, on_delete=models.PROTECT, related_name="declarations")
    kind = models.CharField(max_length=20, choices=DeclarationKind.choices)
    lrn = models.CharField(max_length=22, db_index=True, help_text=_("Local reference number: the declarant's own."))
    version = models.PositiveIntegerField(default=1)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["consignment", "kind", "lrn"], name="declaration_lrn_once_per_shipment"),
            models.CheckConstraint(
                condition=models.Q(kind__in=DeclarationKind.values), name="declaration_kind_is_known"
            ),
            models.CheckConstraint(condition=~models.Q(lrn=""), name="declaration_has_an_lrn"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.lrn}"


class DeclarationVersion(models.Model):
    """A declaration as it was submitted at one time, by one person; ``number`` counts from 1."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    declaration = models.ForeignKey(Declaration, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    attempt = models.UUIDField(unique=True)
    mrn = models.CharField(max_length=18, blank=True, db_index=True)
    office = models.CharField(max_length=17, blank=True)
    declarant = models.ForeignKey(Party, on_delete=models.PROTECT, related_name="+")
    representative = models.ForeignKey(Party, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    importer = models.ForeignKey(Party, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    exporter = models.ForeignKey(Party, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    gross_g = models.BigIntegerField()
    items = models.PositiveIntegerField(help_text=_("How many goods items it has."))
    warnings = models.JSONField(default=list, blank=True)
    changes = models.JSONField(default=list, blank=True, help_text=_("What differs from the version before."))
    submitted_at = models.DateTimeField()
    submitted_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    person = models.UUIDField(help_text=_("Who submitted it, by the identifier of a person on file."))
    document_sha256 = models.CharField(max_length=64)
    statement = models.OneToOneField(Statement, on_delete=models.PROTECT, related_name="declaration_version")

    class Meta:
        ordering = ["declaration", "number"]
        constraints = [
            models.UniqueConstraint(fields=["declaration", "number"], name="declaration_version_once"),
            models.CheckConstraint(condition=models.Q(number__gt=0), name="declaration_version_from_one"),
            models.CheckConstraint(condition=models.Q(gross_g__gt=0), name="declaration_mass_is_positive"),
            models.CheckConstraint(condition=~models.Q(document_sha256=""), name="declaration_has_its_document"),
        ]

    def __str__(self) -> str:
        return f"version {self.number} of {self.declaration_id}"


class GoodsItem(models.Model):
    """Goods under one commodity code in one version. Masses in grams, values in the currency's minor unit."""

    version = models.ForeignKey(DeclarationVersion, on_delete=models.PROTECT, related_name="goods")
    number = models.PositiveSmallIntegerField()
    hs_code = models.CharField(max_length=10, db_index=True)
    hs_edition = models.CharField(max_length=4)
    description = models.CharField(max_length=512)
    packages = models.PositiveIntegerField(default=0)
    package_kind = models.CharField(max_length=2, blank=True)
    marks = models.CharField(max_length=512, blank=True)
    gross_g = models.BigIntegerField()
    net_g = models.BigIntegerField(null=True, blank=True)
    value_minor = models.BigIntegerField(null=True, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    origin = models.CharField(max_length=2, blank=True)
    procedure = models.CharField(max_length=7, blank=True)

    class Meta:
        ordering = ["version", "number"]
        constraints = [
            models.UniqueConstraint(fields=["version", "number"], name="goods_item_once_per_version"),
            models.CheckConstraint(condition=models.Q(gross_g__gt=0), name="goods_item_mass_is_positive"),
            models.CheckConstraint(
                condition=models.Q(value_minor__isnull=True, currency="")
                | (models.Q(value_minor__gte=0) & ~models.Q(currency="")),
                name="goods_item_value_has_a_currency",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.number}: {self.hs_code}"


class DeclaredNumber(models.Model):
    """A number that a version names: a transport document (with its type), a container or a seal."""

    class Sort(models.TextChoices):
        DOCUMENT = "document", _("Transport document")
        CONTAINER = "container", _("Container")
        SEAL = "seal", _("Seal")

    version = models.ForeignKey(DeclarationVersion, on_delete=models.PROTECT, related_name="numbers")
    sort = models.CharField(max_length=9, choices=Sort.choices)
    document_type = models.CharField(max_length=5, blank=True)
    number = models.CharField(max_length=70, db_index=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["version", "sort", "document_type", "number"], name="declared_number_once_per_version"
            ),
            models.CheckConstraint(
                condition=models.Q(sort="document") & ~models.Q(document_type="")
                | models.Q(sort__in=["container", "seal"], document_type=""),
                name="declared_number_type_is_a_documents",
            ),
        ]

    def __str__(self) -> str:
        return self.number
