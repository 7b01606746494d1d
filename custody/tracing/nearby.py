"""Which shipments were handed over at a site around a moment: where somebody was seen who should not have been."""

from datetime import datetime, timedelta

from custody.models import Handoff, HandoffState
from shipments.models import Consignment, Site

AROUND = timedelta(days=1)
MOST = 5


def shipments_near(*, site: Site, at: datetime) -> list[Consignment]:
    """Return the newest shipments that were handed over at the site within a day of the moment."""
    handed = (
        Handoff.objects.filter(
            read_point__site=site,
            state=HandoffState.ACCEPTED,
            closed_at__gte=at - AROUND,
            closed_at__lte=at + AROUND,
        )
        .select_related("consignment")
        .order_by("-closed_at")[: MOST * 4]
    )
    return list(dict.fromkeys(one.consignment for one in handed))[:MOST]
