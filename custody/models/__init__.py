"""
What custody itself keeps: who may take what; handoffs, refusals and approvals; officers' acts, and
what others do by their face; passages of borders; the zones that cameras watch; and discrepancies.
"""

from custody.models.acts_by_face import ActByFace, ActState, Attendance, DeclarationDraft
from custody.models.approvals import Approval, ApprovalReason, Document, Purpose
from custody.models.authorisations import Authorisation, Employment, Licence, WithdrawalReason
from custody.models.discrepancies import (
    CheckCursor,
    Discrepancy,
    DiscrepancyStep,
    LastSighting,
    Outcome,
    PlannedPlace,
    PlannedRoute,
    SiteWatch,
    StepTaken,
)
from custody.models.handoffs import FACE_REFUSALS, OPEN_STATES, EarlierSession, Handoff, HandoffState, Refused
from custody.models.interventions import Act, Findings, Intervention, InterventionState, Reason
from custody.models.passages import (
    DECISIONS,
    Advice,
    Crossing,
    DocumentType,
    Exemption,
    Passage,
    PassageDirection,
    PassageState,
    WithoutFace,
)
from custody.models.tracing import PersonTraced
from custody.models.zones import Camera, CameraCoverage, Zone, ZoneAlert, ZoneEvent

__all__ = [
    "DECISIONS",
    "FACE_REFUSALS",
    "OPEN_STATES",
    "Act",
    "ActByFace",
    "ActState",
    "Advice",
    "Approval",
    "ApprovalReason",
    "Attendance",
    "Authorisation",
    "Camera",
    "CameraCoverage",
    "CheckCursor",
    "Crossing",
    "DeclarationDraft",
    "Discrepancy",
    "DiscrepancyStep",
    "Document",
    "DocumentType",
    "EarlierSession",
    "Employment",
    "Exemption",
    "Findings",
    "Handoff",
    "HandoffState",
    "Intervention",
    "InterventionState",
    "LastSighting",
    "Licence",
    "Outcome",
    "Passage",
    "PassageDirection",
    "PassageState",
    "PersonTraced",
    "PlannedPlace",
    "PlannedRoute",
    "Purpose",
    "Reason",
    "Refused",
    "SiteWatch",
    "StepTaken",
    "WithdrawalReason",
    "WithoutFace",
    "Zone",
    "ZoneAlert",
    "ZoneEvent",
]
