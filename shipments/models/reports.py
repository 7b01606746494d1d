"""What readers said: their reports byte for byte, and the reads, faults and gaps in them."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from shipments.epc import MAX_EPC_DIGITS
from shipments.models.anchors import ReportAnchor
from shipments.models.places import ReadPoint
from shipments.models.readers import Reader

NO_EVENT_NUMBER = -1
"""Stands for "the reader sent none": NULLs would never conflict, and the same read would be stored twice."""

NO_ANTENNA = 0


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
    anchor = models.ForeignKey(
        ReportAnchor,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="reports",
        db_index=False,
        help_text=_("Written once, by the sweep that bound this report into the ledger."),
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
        indexes = [
            models.Index(fields=["read_point", "received_at"], name="report_by_place_and_time"),
            # Only what waits is in it: as small after ten million reports as after ten.
            models.Index(fields=["id"], condition=models.Q(anchor__isnull=True), name="report_not_anchored"),
        ]

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
    statement = models.ForeignKey(
        "ledger.Statement", null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["reader", "first_ns", "last_ns", "purged"], name="gap_stored_once"),
        ]
        indexes = [
            models.Index(fields=["id"], condition=models.Q(statement__isnull=True), name="gap_not_anchored"),
        ]

    def __str__(self) -> str:
        return f"{self.reader} lost {self.purged}"
