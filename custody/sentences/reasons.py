"""Why something was refused, by the code that its entry holds."""

from typing import Any

from django.utils.translation import gettext_lazy

REASONS = {
    "face_mismatch": gettext_lazy("the face did not match"),
    "liveness_failed": gettext_lazy("the head turns that were asked for were not seen"),
    "photo_resubmitted": gettext_lazy("a photo was shown that was seen before"),
    "same_person_both_sides": gettext_lazy("the same person stood on both sides"),
    "wrong_consignment": gettext_lazy("a tag of another shipment was read"),
    "declined": gettext_lazy("it was declined"),
    "shipment_held": gettext_lazy("customs held the shipment"),
    "shipment_seized": gettext_lazy("customs had seized the shipment"),
    "unauthorised_custodian": gettext_lazy("nobody had authorised them to take it"),
}

# What did not fit in an authorisation, in the place of the reason above.
MISFITS = {
    "no_authorisation": gettext_lazy("they had no authorisation"),
    "nothing_declared": gettext_lazy("nothing was declared, and they may take certain commodities alone"),
    "commodity_not_covered": gettext_lazy("no authorisation of theirs covers what was declared"),
    "authorisation_altered": gettext_lazy("their authorisation was not what its entry says"),
    "authorisation_withdrawn": gettext_lazy("their authorisation had been withdrawn"),
    "authorisation_not_begun": gettext_lazy("their authorisation had not begun"),
    "authorisation_expired": gettext_lazy("their authorisation had ended"),
    "licence_expired": gettext_lazy("the licence or badge behind their authorisation had expired"),
    "site_not_covered": gettext_lazy("their authorisation is for another site"),
    "route_not_covered": gettext_lazy("their authorisation is for another route"),
    "outside_hours": gettext_lazy("it was outside the hours of their authorisation"),
}


def why(body: dict[str, Any]) -> Any:
    """Say why the handoff of the entry's body was refused, as far as this version knows the code."""
    code = body["code"]
    return MISFITS.get(body.get("reason", "")) or REASONS.get(code, code)
