"""
What custody itself keeps: who may take what; handoffs, refusals and approvals; officers' acts; and the zones that
cameras watch.
"""

from custody.models.approvals import Approval, ApprovalReason, Document, Purpose
from custody.models.authorisations import Authorisation, Employment, Licence, WithdrawalReason
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
    "Document",
    "EarlierSession",
    "Employment",
    "Findings",
    "Handoff",
    "HandoffState",
    "Intervention",
    "InterventionState",
    "Licence",
    "Purpose",
    "Reason",
    "Refused",
    "WithdrawalReason",
    "Zone",
    "ZoneAlert",
    "ZoneEvent",
]
