from django.urls import path

from custody.api import choices, declarations, handoffs, ledger, manifests

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
    path("shipments/<uuid:consignment_id>/declarations", declarations.ShipmentDeclarations.as_view()),
    path("declarations", declarations.Declarations.as_view()),
    path("declarations/<uuid:declaration_id>/versions", declarations.Versions.as_view()),
    path("declarations/<uuid:declaration_id>/versions/<int:number>", declarations.Version.as_view()),
    path("manifests", manifests.Manifests.as_view()),
    path("ledger/entries/<int:index>", ledger.EntryNote.as_view()),
    path("ledger/verifications", ledger.Verifications.as_view()),
    path("ledger/verifications/<uuid:run_id>", ledger.VerificationDetail.as_view()),
]
