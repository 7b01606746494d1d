"""
The goods and what readers said of them: places, parties, consignments with their manifests, raw reports, tag reads.

Constraints stand in the database. Rows are written by the services of this app alone; a raw report's bytes are the
evidence, and the reads beside it are an index into them.
"""

import uuid

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from shipments.epc import MAX_EPC_DIGITS

NO_EVENT_NUMBER = -1
"""Stands for "the reader sent none": NULLs would never conflict, and the same read would be stored twice."""

NO_ANTENNA = 0


class Site(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    code = models.CharField(max_length=16, unique=True)
    name = models.CharField(max_length=120)
    gln = models.CharField(max_length=13, unique=True)
    company_prefix_length = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["code"]
        constraints = [
            models.CheckConstraint(condition=~models.Q(code=""), name="site_has_a_code"),
            models.CheckConstraint(
                condition=models.Q(company_prefix_length__gte=6, company_prefix_length__lte=12),
                name="site_prefix_length_6_to_12",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.name}"


class Direction(models.TextChoices):
    IN = "in", _("In")
    OUT = "out", _("Out")
    THROUGH = "through", _("Through")


class ReadPoint(models.Model):
    """A door, a gate or a conveyor where tags are read, named by its SGLN."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="read_points")
    name = models.CharField(max_length=120)
    sgln = models.CharField(max_length=100, unique=True)
    direction = models.CharField(max_length=8, choices=Direction.choices)

    class Meta:
        ordering = ["site", "name"]
        constraints = [
            models.UniqueConstraint(fields=["site", "name"], name="read_point_name_once_per_site"),
            models.CheckConstraint(
                condition=models.Q(direction__in=Direction.values), name="read_point_direction_is_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.site.code} {self.name}"


class Reader(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    read_point = models.ForeignKey(ReadPoint, on_delete=models.PROTECT, related_name="readers")
    name = models.CharField(max_length=120, unique=True)
    dialect = models.CharField(max_length=32, blank=True, help_text=_("Tried first; the body's shape decides."))
    enabled = models.BooleanField(default=True)
    last_seen_at = models.DateTimeField(null=True, blank=True)
    last_report_at = models.DateTimeField(null=True, blank=True, help_text=_("Last report that was no heartbeat."))

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ReaderCredential(models.Model):
    """A user name and password of one reader. The password is random, shown once, and kept as a keyed digest."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    reader = models.ForeignKey(Reader, on_delete=models.CASCADE, related_name="credentials")
    username = models.CharField(max_length=40, unique=True)
    digest = models.CharField(max_length=64)
    created_at = models.DateTimeField(db_default=Now())
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.username


class Party(models.Model):
    """An organisation that sends, receives or carries goods. Never a person."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200)
    gln = models.CharField(max_length=13, blank=True)

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "parties"
        constraints = [
            models.UniqueConstraint(fields=["gln"], condition=~models.Q(gln=""), name="party_gln_once"),
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


class LogisticUnit(models.Model):
    """A pallet or a case under an SSCC; ``epc_hex`` is empty where it carries no tag of its own."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    consignment = models.ForeignKey(Consignment, on_delete=models.PROTECT, related_name="units")
    sscc = models.CharField(max_length=18, unique=True)
    epc_hex = models.CharField(max_length=MAX_EPC_DIGITS, blank=True)

    class Meta:
        ordering = ["sscc"]
        constraints = [
            models.UniqueConstraint(fields=["epc_hex"], condition=~models.Q(epc_hex=""), name="unit_epc_once"),
        ]

    def __str__(self) -> str:
        return self.sscc


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


class RawReport(models.Model):
    """
    What a reader posted, byte for byte (after Content-Encoding is undone), once per reader and digest.

    The same bytes again are a re-delivery: counted in ``deliveries``, stored no second time.
    """

    id = models.BigAutoField(primary_key=True)
    reader = models.ForeignKey(Reader, on_delete=models.PROTECT, related_name="reports", db_index=False)
    read_point = models.ForeignKey(ReadPoint, on_delete=models.PROTECT, related_name="reports", db_index=False)
    session = models.ForeignKey(
        "ReadSession",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="reports",
        help_text=_("Written when the session is frozen: the one session whose document holds this report."),
    )
    body = models.BinaryField()
    sha256 = models.CharField(max_length=64)
    content_type = models.CharField(max_length=100, blank=True)
    dialect = models.CharField(max_length=32, blank=True)
    received_at = models.DateTimeField()
    last_received_at = models.DateTimeField()
    deliveries = models.PositiveBigIntegerField(default=1)
    events = models.PositiveIntegerField(default=0)
    reads_new = models.PositiveIntegerField(default=0)
    reads_known = models.PositiveIntegerField(default=0)
    quarantined = models.PositiveIntegerField(default=0)
    other_events = models.PositiveIntegerField(default=0)
    gaps = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["reader", "sha256"], name="report_once_per_reader")]
        indexes = [models.Index(fields=["read_point", "received_at"], name="report_by_place_and_time")]

    def __str__(self) -> str:
        return f"{self.reader} {self.sha256[:12]}"


class TagRead(models.Model):
    """One sighting of one tag by one antenna, in the reader's own words and in ours."""

    id = models.BigAutoField(primary_key=True)
    reader = models.ForeignKey(Reader, on_delete=models.PROTECT, related_name="reads", db_index=False)
    report = models.ForeignKey(RawReport, on_delete=models.PROTECT, related_name="reads")
    epc_hex = models.CharField(max_length=MAX_EPC_DIGITS)
    antenna = models.PositiveSmallIntegerField(default=NO_ANTENNA)
    read_at_ns = models.BigIntegerField(help_text=_("Nanoseconds since 1970, as parsed from the reader's own time."))
    reader_time = models.CharField(max_length=40, help_text=_("The reader's time exactly as sent."))
    rssi_cdbm = models.IntegerField(null=True, blank=True)
    event_number = models.BigIntegerField(default=NO_EVENT_NUMBER)
    tid = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            # Time before EPC: a reader's reads then land side by side in the index, however many lie behind them.
            models.UniqueConstraint(
                fields=["reader", "read_at_ns", "epc_hex", "antenna", "event_number"], name="read_stored_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.epc_hex} at {self.reader_time}"


class QuarantinedEvent(models.Model):
    """One event of a report that could not be used, and why; the report's bytes keep the whole of it."""

    report = models.ForeignKey(RawReport, on_delete=models.PROTECT, related_name="quarantined_events")
    position = models.PositiveIntegerField(help_text=_("Counted from 0 within the report."))
    reason = models.CharField(max_length=40)
    excerpt = models.CharField(max_length=500)

    class Meta:
        ordering = ["report", "position"]
        constraints = [models.UniqueConstraint(fields=["report", "position"], name="quarantined_once_per_position")]

    def __str__(self) -> str:
        return f"{self.reason} at {self.position}"


class CoverageGap(models.Model):
    """A reader's own admission that it dropped events: between ``first`` and ``last`` a missing tag proves little."""

    reader = models.ForeignKey(Reader, on_delete=models.PROTECT, related_name="gaps", db_index=False)
    report = models.ForeignKey(RawReport, on_delete=models.PROTECT, related_name="coverage_gaps")
    first_ns = models.BigIntegerField()
    last_ns = models.BigIntegerField()
    purged = models.BigIntegerField()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["reader", "first_ns", "last_ns", "purged"], name="gap_stored_once"),
        ]

    def __str__(self) -> str:
        return f"{self.reader} lost {self.purged}"


class ReadSession(models.Model):
    """A span of time in which a read point's reads count for one purpose; frozen into a document for good."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    read_point = models.ForeignKey(ReadPoint, on_delete=models.PROTECT, related_name="read_sessions")
    opened_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    opened_at = models.DateTimeField()
    frozen_at = models.DateTimeField(null=True, blank=True)
    document_sha256 = models.CharField(max_length=64, blank=True)
    reports_root = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ["-opened_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["read_point"],
                condition=models.Q(frozen_at__isnull=True),
                name="one_open_session_per_read_point",
            ),
            models.CheckConstraint(
                condition=models.Q(frozen_at__isnull=True, document_sha256="", reports_root="")
                | (models.Q(frozen_at__isnull=False) & ~models.Q(document_sha256="") & ~models.Q(reports_root="")),
                name="session_frozen_with_its_document",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.read_point} {self.opened_at:%Y-%m-%d %H:%M:%S}"
