"""The menu: each account sees the pages that its role may open."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.roles import Capability

# Label, URL name, icon, and the capabilities of which one opens the page.
PAGES = (
    (_("Handoffs"), "handoffs", "arrows-exchange", (Capability.HAND_OFF,)),
    (_("Shipments"), "shipments", "package", (Capability.SEE_GOODS,)),
    (_("People"), "people", "users", (Capability.SEE_PEOPLE,)),
    (_("Watchlist"), "watchlist", "eye", (Capability.KEEP_WATCHLIST,)),
    (_("Places"), "places", "building-warehouse", (Capability.MANAGE_GOODS,)),
    ("EPCIS", "captures", "upload", (Capability.CAPTURE_EVENTS,)),
    (_("Refusals"), "refusals", "ban", (Capability.SEE_REFUSALS,)),
    (_("Ledger"), "ledger", "link", (Capability.READ_LEDGER,)),
    (_("Retention"), "retention", "hourglass", (Capability.SEE_RETENTION,)),
    (_("Verification"), "verification", "shield-check", (Capability.VERIFY_LEDGER,)),
)


def navigation(request: HttpRequest) -> dict[str, Any]:
    """Context processor: ``nav``, a list of ``{url, label, icon, active}``."""
    user = getattr(request, "user", None)
    if not isinstance(user, User):
        return {"nav": []}
    items: list[dict[str, Any]] = []
    for label, name, icon, capabilities in PAGES:
        if any(user.may(capability) for capability in capabilities):
            url = reverse(name)
            items.append({"url": url, "label": label, "icon": icon, "active": False})
    # The longest address that the page stands under: /ledger/verification/ is not under "Ledger".
    here = max(
        (item for item in items if request.path.startswith(item["url"])), key=lambda i: len(i["url"]), default=None
    )
    if here is not None:
        here["active"] = True
    return {"nav": items}
