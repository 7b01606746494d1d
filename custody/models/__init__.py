"""
What custody itself keeps: who may take what; handoffs, refusals and approvals; officers' acts; the zones that cameras
watch; and discrepancies.
"""

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
from custody.models.zones import Camera, CameraCoverage, Zone, ZoneAlert, ZoneEvent

__all__ = [
    "FACE_REFUSALS",
    "OPEN_STATES",
    "Act",
    "Approval",
    "ApprovalReason",
    "Authorisation",
    "Camera",
    "CameraCoverage",
    "CheckCursor",
    "Discrepancy",
    "DiscrepancyStep",
    "Document",
    "EarlierSession",
    "Employment",
    "Findings",
    "Handoff",
    "HandoffState",
    "Intervention",
    "InterventionState",
    "LastSighting",
    "Licence",
    "Outcome",
    "PlannedPlace",
    "PlannedRoute",
    "Purpose",
    "Reason",
    "Refused",
    "SiteWatch",
    "StepTaken",
    "WithdrawalReason",
    "Zone",
    "ZoneAlert",
    "ZoneEvent",
]
