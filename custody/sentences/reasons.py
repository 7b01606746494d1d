"""Why something was refused, by the code that its entry holds."""

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
}
