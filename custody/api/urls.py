from django.urls import path

from custody.api import cameras, choices, handoffs, interventions, ledger, zones

urlpatterns = [
    path("receivers", choices.Receivers.as_view()),
    path("read-points", choices.ReadPoints.as_view()),
    path("handoffs", handoffs.Handoffs.as_view()),
    path("handoffs/<uuid:handoff_id>", handoffs.HandoffDetail.as_view()),
    path("handoffs/<uuid:handoff_id>/reconcile", handoffs.Reconcile.as_view()),
    path("handoffs/<uuid:handoff_id>/read-again", handoffs.ReadAgain.as_view()),
    path("handoffs/<uuid:handoff_id>/challenge", handoffs.Challenge.as_view()),
    path("handoffs/<uuid:handoff_id>/face", handoffs.Face.as_view()),
    path("handoffs/<uuid:handoff_id>/accept", handoffs.Accept.as_view()),
    path("handoffs/<uuid:handoff_id>/refuse", handoffs.Refuse.as_view()),
    path("handoffs/<uuid:handoff_id>/cancel", handoffs.Cancel.as_view()),
    path("cameras/<uuid:camera_id>/frames", cameras.CameraFrames.as_view(), name="camera-frames"),
    path("shipments/<uuid:consignment_id>/interventions", interventions.ShipmentInterventions.as_view()),
    path("interventions/<uuid:intervention_id>/challenge", interventions.Challenge.as_view()),
    path("interventions/<uuid:intervention_id>/face", interventions.Face.as_view()),
    path("interventions/<uuid:intervention_id>/cancel", interventions.Cancel.as_view()),
    path("zones", zones.Zones.as_view()),
    path("zones/<uuid:zone_id>/presence", zones.Presence.as_view()),
    path("zone-alerts", zones.Alerts.as_view()),
    path("zone-alerts/<uuid:alert_id>/decide", zones.Decide.as_view()),
    path("ledger/entries/<int:index>", ledger.EntryNote.as_view()),
    path("ledger/verifications", ledger.Verifications.as_view()),
    path("ledger/verifications/<uuid:run_id>", ledger.VerificationDetail.as_view()),
]
