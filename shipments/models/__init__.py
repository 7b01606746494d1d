"""
The goods and what readers said of them: places, parties, consignments with their manifests, raw reports, tag reads.

Constraints stand in the database. Rows are written by the services of this app alone; a raw report's bytes are the
evidence, and the reads beside it are an index into them.
"""

from shipments.models.consignments import Consignment, Party
from shipments.models.epcis import CaptureJob, EpcisEpc, EpcisEvent, EpcisProjection, EpcisTransaction
from shipments.models.places import Direction, ReadPoint, Site
from shipments.models.readers import Reader, ReaderCredential
from shipments.models.reports import NO_ANTENNA, NO_EVENT_NUMBER, CoverageGap, QuarantinedEvent, RawReport, TagRead
from shipments.models.sessions import ReadSession
from shipments.models.units import LogisticUnit, ManifestItem

__all__ = [
    "NO_ANTENNA",
    "NO_EVENT_NUMBER",
    "CaptureJob",
    "Consignment",
    "CoverageGap",
    "Direction",
    "EpcisEpc",
    "EpcisEvent",
    "EpcisProjection",
    "EpcisTransaction",
    "LogisticUnit",
    "ManifestItem",
    "Party",
    "QuarantinedEvent",
    "RawReport",
    "ReadPoint",
    "ReadSession",
    "Reader",
    "ReaderCredential",
    "Site",
    "TagRead",
]
