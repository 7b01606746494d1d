"""What custody itself keeps: handoffs with their refusals, officers' acts, zones, and discrepancies."""

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
from custody.models.handoffs import OPEN_STATES, EarlierSession, Handoff, HandoffState, Refused
from custody.models.interventions import Act, Findings, Intervention, InterventionState, Reason
from custody.models.zones import Camera, CameraCoverage, Zone, ZoneAlert, ZoneEvent

__all__ = [
    "OPEN_STATES",
    "Act",
    "Camera",
    "CameraCoverage",
    "CheckCursor",
    "Discrepancy",
    "DiscrepancyStep",
    "EarlierSession",
    "Findings",
    "Handoff",
    "HandoffState",
    "Intervention",
    "InterventionState",
    "LastSighting",
    "Outcome",
    "PlannedPlace",
    "PlannedRoute",
    "Reason",
    "Refused",
    "SiteWatch",
    "StepTaken",
    "Zone",
    "ZoneAlert",
    "ZoneEvent",
]
