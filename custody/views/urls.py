from django.urls import path

from custody.views import audit, browser_verification, epcis, handoffs, home, opening, refusals, verification

urlpatterns = [
    path("", home.home, name="home"),
    path("handoffs/", handoffs.handoff_list, name="handoffs"),
    path("handoffs/new/", opening.new, name="handoff_new"),
    path("handoffs/<uuid:handoff_id>/", handoffs.handoff, name="handoff"),
    path("handoffs/<uuid:handoff_id>/tags/", handoffs.tags, name="handoff_tags"),
    path("handoffs/<uuid:handoff_id>/scan/", handoffs.scan, name="handoff_scan"),
    path("handoffs/<uuid:handoff_id>/reconcile/", handoffs.reconcile, name="handoff_reconcile"),
    path("handoffs/<uuid:handoff_id>/read-again/", handoffs.read_again, name="handoff_read_again"),
    path("handoffs/<uuid:handoff_id>/face/", handoffs.face, name="handoff_face"),
    path("handoffs/<uuid:handoff_id>/accept/", handoffs.accept, name="handoff_accept"),
    path("handoffs/<uuid:handoff_id>/refuse/", handoffs.refuse, name="handoff_refuse"),
    path("handoffs/<uuid:handoff_id>/cancel/", handoffs.cancel, name="handoff_cancel"),
    path("refusals/", refusals.refusal_list, name="refusals"),
    path("ledger/", audit.entries, name="ledger"),
    path("ledger/<int:index>/", audit.entry, name="entry"),
    path("ledger/<int:index>/note", audit.note, name="entry_note"),
    path("ledger/attachments/<str:sha256>", audit.attachment, name="attachment"),
    path("ledger/verification/", verification.verification, name="verification"),
    path("ledger/verification/in-browser/", browser_verification.verify_in_browser, name="verify_in_browser"),
    path("ledger/verification/<uuid:run_id>/progress/", verification.progress, name="verification_progress"),
    path("ledger/verification/<uuid:run_id>/cancel/", verification.cancel, name="verification_cancel"),
    path("shipments/<uuid:consignment_id>/epcis", epcis.shipment_document, name="shipment_epcis"),
    path("shipments/<uuid:consignment_id>/timeline/", audit.shipment_timeline, name="shipment_timeline"),
]
