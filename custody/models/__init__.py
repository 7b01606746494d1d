"""What custody itself keeps: handoffs with their refusals, officers' acts, passages of borders, and watched zones."""

from custody.models.handoffs import OPEN_STATES, EarlierSession, Handoff, HandoffState, Refused
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
from custody.models.zones import Camera, CameraCoverage, Zone, ZoneAlert, ZoneEvent

__all__ = [
    "DECISIONS",
    "OPEN_STATES",
    "Act",
    "Advice",
    "Camera",
    "CameraCoverage",
    "Crossing",
    "DocumentType",
    "EarlierSession",
    "Exemption",
    "Findings",
    "Handoff",
    "HandoffState",
    "Intervention",
    "InterventionState",
    "Passage",
    "PassageDirection",
    "PassageState",
    "Reason",
    "Refused",
    "WithoutFace",
    "Zone",
    "ZoneAlert",
    "ZoneEvent",
]
