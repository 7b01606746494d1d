"""
The goods and what readers said of them: places, parties, consignments with their manifests, raw reports, tag reads.

Constraints stand in the database. Rows are written by the services of this app alone; a raw report's bytes are the
evidence, and the reads beside it are an index into them.
"""

from shipments.models.anchors import ReportAnchor
from shipments.models.consignments import Consignment, Party
from shipments.models.places import Direction, ReadPoint, Site
from shipments.models.reader_alerts import AlertCode, ReaderAlert
from shipments.models.readers import SILENT_AFTER_S, Antenna, CredentialKind, Reader, ReaderCredential
from shipments.models.reports import NO_ANTENNA, NO_EVENT_NUMBER, CoverageGap, QuarantinedEvent, RawReport, TagRead
from shipments.models.sessions import ReadSession
from shipments.models.units import LogisticUnit, ManifestItem

__all__ = [
    "NO_ANTENNA",
    "NO_EVENT_NUMBER",
    "SILENT_AFTER_S",
    "AlertCode",
    "Antenna",
    "Consignment",
    "CoverageGap",
    "CredentialKind",
    "Direction",
    "LogisticUnit",
    "ManifestItem",
    "Party",
    "QuarantinedEvent",
    "RawReport",
    "ReadPoint",
    "ReadSession",
    "Reader",
    "ReaderAlert",
    "ReaderCredential",
    "ReportAnchor",
    "Site",
    "TagRead",
]
