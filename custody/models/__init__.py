"""What custody keeps: handoffs with their refusals, officers' acts, what others do by their face, watched zones."""

from custody.models.acts_by_face import ActByFace, ActState, Attendance, DeclarationDraft
from custody.models.handoffs import OPEN_STATES, EarlierSession, Handoff, HandoffState, Refused
from custody.models.interventions import Act, Findings, Intervention, InterventionState, Reason
from custody.models.zones import Camera, CameraCoverage, Zone, ZoneAlert, ZoneEvent

__all__ = [
    "OPEN_STATES",
    "Act",
    "ActByFace",
    "ActState",
    "Attendance",
    "Camera",
    "CameraCoverage",
    "DeclarationDraft",
    "EarlierSession",
    "Findings",
    "Handoff",
    "HandoffState",
    "Intervention",
    "InterventionState",
    "Reason",
    "Refused",
    "Zone",
    "ZoneAlert",
    "ZoneEvent",
]
