"""What custody itself keeps: handoffs with their refusals, and the zones that cameras watch."""

from custody.models.handoffs import OPEN_STATES, EarlierSession, Handoff, HandoffState, Refused
from custody.models.zones import Camera, CameraCoverage, Zone, ZoneAlert, ZoneEvent

__all__ = [
    "OPEN_STATES",
    "Camera",
    "CameraCoverage",
    "EarlierSession",
    "Handoff",
    "HandoffState",
    "Refused",
    "Zone",
    "ZoneAlert",
    "ZoneEvent",
]
