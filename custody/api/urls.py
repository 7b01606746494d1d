from django.urls import path

from custody.api import choices, handoffs, ledger, seals, units

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
    path("shipments/<uuid:consignment_id>/units", units.ShipmentUnits.as_view()),
    path("shipments/<uuid:consignment_id>/tags", units.ShipmentTag.as_view()),
    path("shipments/<uuid:consignment_id>/seals", seals.ShipmentSeals.as_view()),
    path("units/<uuid:unit_id>/pack", units.Pack.as_view()),
    path("units/<uuid:unit_id>/unpack", units.Unpack.as_view()),
    path("units/<uuid:unit_id>/tag", units.Tag.as_view()),
    path("seals/<uuid:seal_id>/check", seals.Check.as_view()),
    path("seals/<uuid:seal_id>/break", seals.Break.as_view()),
    path("seals/<uuid:seal_id>/replace", seals.Replace.as_view()),
    path("ledger/entries/<int:index>", ledger.EntryNote.as_view()),
    path("ledger/verifications", ledger.Verifications.as_view()),
    path("ledger/verifications/<uuid:run_id>", ledger.VerificationDetail.as_view()),
]
