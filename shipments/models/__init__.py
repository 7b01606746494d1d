"""
The goods and what readers said of them: places, parties, consignments with their manifests, raw reports, tag reads.

Constraints stand in the database. Rows are written by the services of this app alone; a raw report's bytes are the
evidence, and the reads beside it are an index into them.
"""

from shipments.models.anchors import ReportAnchor
from shipments.models.consignments import Consignment, Party
from shipments.models.declarations import Declaration, DeclarationKind, DeclarationVersion, DeclaredNumber, GoodsItem
from shipments.models.epcis import CaptureJob, EpcisEpc, EpcisEvent, EpcisProjection, EpcisTransaction
from shipments.models.places import Direction, ReadPoint, Site
from shipments.models.reader_alerts import AlertCode, ReaderAlert
from shipments.models.readers import SILENT_AFTER_S, Antenna, CredentialKind, Reader, ReaderCredential
from shipments.models.reports import NO_ANTENNA, NO_EVENT_NUMBER, CoverageGap, QuarantinedEvent, RawReport, TagRead
from shipments.models.seals import MAX_SEAL_NUMBER, Seal, SealAct, SealClass, SealEvent, SealState
from shipments.models.sessions import (
    ReadSession,
    SessionPurpose,
    SmoothingPolicy,
    TriggerDoes,
    TriggerEvent,
    TriggerOutcome,
    TriggerRule,
)
from shipments.models.units import LogisticUnit, ManifestItem

__all__ = [
    "MAX_SEAL_NUMBER",
    "NO_ANTENNA",
    "NO_EVENT_NUMBER",
    "SILENT_AFTER_S",
    "AlertCode",
    "Antenna",
    "CaptureJob",
    "Consignment",
    "CoverageGap",
    "CredentialKind",
    "Declaration",
    "DeclarationKind",
    "DeclarationVersion",
    "DeclaredNumber",
    "Direction",
    "EpcisEpc",
    "EpcisEvent",
    "EpcisProjection",
    "EpcisTransaction",
    "GoodsItem",
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
    "Seal",
    "SealAct",
    "SealClass",
    "SealEvent",
    "SealState",
    "SessionPurpose",
    "Site",
    "SmoothingPolicy",
    "TagRead",
    "TriggerDoes",
    "TriggerEvent",
    "TriggerOutcome",
    "TriggerRule",
]
