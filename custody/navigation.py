"""The menu: each account sees the pages that its role may open, under a few headings that fit a narrow bar."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.roles import Capability

# Heading, icon, and its pages: label, URL name, icon, and the capabilities of which one opens the page.
GROUPS = (
    (
        _("Handoffs"),
        "arrows-exchange",
        ((_("Handoffs"), "handoffs", "arrows-exchange", (Capability.HAND_OFF,)),),
    ),
    (
        _("Goods"),
        "package",
        (
            (_("Shipments"), "shipments", "package", (Capability.SEE_GOODS,)),
            (_("Declarations"), "declarations", "file-certificate", (Capability.SEE_GOODS,)),
            (_("Places"), "places", "building-warehouse", (Capability.MANAGE_GOODS,)),
            (_("Crossings"), "crossings", "map-pin", (Capability.MANAGE_GOODS,)),
            ("EPCIS", "captures", "upload", (Capability.CAPTURE_EVENTS,)),
            (_("Reader alerts"), "reader_alerts", "antenna", (Capability.WATCH_READERS,)),
            (_("Quarantine"), "quarantine", "alert-triangle", (Capability.WATCH_READERS,)),
        ),
    ),
    (
        _("People"),
        "users",
        (
            (_("People"), "people", "users", (Capability.SEE_PEOPLE,)),
            (_("Authorisations"), "authorisations", "id-badge-2", (Capability.SEE_AUTHORISATIONS,)),
            (_("Watchlist"), "watchlist", "eye", (Capability.KEEP_WATCHLIST,)),
            (_("Retention"), "retention", "hourglass", (Capability.SEE_RETENTION,)),
        ),
    ),
    (
        _("Oversight"),
        "gavel",
        (
            (_("Officer wanted"), "approvals", "user-check", (Capability.SEE_REFUSALS,)),
            (_("Discrepancies"), "discrepancies", "scale", (Capability.SEE_DISCREPANCIES,)),
            (_("Refusals"), "refusals", "ban", (Capability.SEE_REFUSALS,)),
            (_("Zones"), "zones", "camera", (Capability.WATCH_ZONES, Capability.MANAGE_ZONES)),
            (_("Interventions"), "interventions", "gavel", (Capability.INTERVENE,)),
            (_("Passages"), "passages", "truck-delivery", (Capability.SEE_PASSAGES,)),
        ),
    ),
    (
        _("Ledger"),
        "link",
        (
            (_("Ledger"), "ledger", "link", (Capability.READ_LEDGER,)),
            (_("Traces"), "traces", "route", (Capability.READ_LEDGER,)),
            (_("Verification"), "verification", "shield-check", (Capability.VERIFY_LEDGER,)),
        ),
    ),
)


def navigation(request: HttpRequest) -> dict[str, Any]:
    """
    Context processor: ``nav``, a list of ``{label, icon, active, items}``, each item ``{url, label, icon, active}``.

    A heading of which the account may open one page alone is that page.
    """
    user = getattr(request, "user", None)
    if not isinstance(user, User):
        return {"nav": []}
    groups: list[dict[str, Any]] = []
    for label, icon, pages in GROUPS:
        items = [
            {"url": reverse(name), "label": page, "icon": its, "active": False}
            for page, name, its, capabilities in pages
            if any(user.may(capability) for capability in capabilities)
        ]
        if items:
            groups.append({"label": label, "icon": icon, "active": False, "items": items})
    _mark(groups, request.path)
    return {"nav": groups}


def _mark(groups: list[dict[str, Any]], path: str) -> None:
    """Mark the page that stands under ``path``, and its heading, by the longest address: /ledger/verification/ is not
    under "Ledger"."""
    under = [
        (len(item["url"]), item, group) for group in groups for item in group["items"] if path.startswith(item["url"])
    ]
    if under:
        _length, item, group = max(under, key=lambda found: found[0])
        item["active"] = group["active"] = True
