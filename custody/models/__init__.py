"""
What custody itself keeps: who may take what, handoffs with their refusals, officers' acts, and the zones that cameras
watch.
"""

from custody.models.authorisations import Authorisation, Employment, Licence, WithdrawalReason
from custody.models.handoffs import OPEN_STATES, EarlierSession, Handoff, HandoffState, Refused
from custody.models.interventions import Act, Findings, Intervention, InterventionState, Reason
from custody.models.zones import Camera, CameraCoverage, Zone, ZoneAlert, ZoneEvent

__all__ = [
    "OPEN_STATES",
    "Act",
    "Authorisation",
    "Camera",
    "CameraCoverage",
    "EarlierSession",
    "Employment",
    "Findings",
    "Handoff",
    "HandoffState",
    "Intervention",
    "InterventionState",
    "Licence",
    "Reason",
    "Refused",
    "WithdrawalReason",
    "Zone",
    "ZoneAlert",
    "ZoneEvent",
]
