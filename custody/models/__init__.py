"""
What custody itself keeps: who may take what, handoffs with their refusals, officers' acts, passages of borders, and the
zones that cameras watch.
"""

from custody.models.authorisations import Authorisation, Employment, Licence, WithdrawalReason
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
    "Authorisation",
    "Camera",
    "CameraCoverage",
    "Crossing",
    "DocumentType",
    "EarlierSession",
    "Employment",
    "Exemption",
    "Findings",
    "Handoff",
    "HandoffState",
    "Intervention",
    "InterventionState",
    "Licence",
    "Passage",
    "PassageDirection",
    "PassageState",
    "Reason",
    "Refused",
    "WithdrawalReason",
    "WithoutFace",
    "Zone",
    "ZoneAlert",
    "ZoneEvent",
]
