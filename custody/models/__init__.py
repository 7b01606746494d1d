"""What custody itself keeps: handoffs with their refusals, officers' acts, and the zones that cameras watch."""

from custody.models.handoffs import OPEN_STATES, EarlierSession, Handoff, HandoffState, Refused
from custody.models.interventions import Act, Findings, Intervention, InterventionState, Reason
from custody.models.tracing import PersonTraced
from custody.models.zones import Camera, CameraCoverage, Zone, ZoneAlert, ZoneEvent

__all__ = [
    "OPEN_STATES",
    "Act",
    "Camera",
    "CameraCoverage",
    "EarlierSession",
    "Findings",
    "Handoff",
    "HandoffState",
    "Intervention",
    "InterventionState",
    "PersonTraced",
    "Reason",
    "Refused",
    "Zone",
    "ZoneAlert",
    "ZoneEvent",
]
