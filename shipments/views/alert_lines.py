"""An alert about a reader in a sentence, from its codes and numbers."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from shipments.models import AlertCode, Reader, ReaderAlert

ICONS = {
    AlertCode.CLOCK_SKEW: "clock",
    AlertCode.UNAUTHENTICATED: "lock",
    AlertCode.CLAIM_MISMATCH: "id-badge-2",
    AlertCode.OVERFLOW: "trash",
    AlertCode.SILENT: "wifi-off",
}

TURNED_AWAY = {
    "no_credential": gettext_lazy("no credential was sent"),
    "header_malformed": gettext_lazy("the credential could not be read"),
    "unknown": gettext_lazy("nobody has that credential"),
    "too_long": gettext_lazy("the credential was longer than any of ours"),
    "wrong_secret": gettext_lazy("the password or token was wrong"),
    "revoked": gettext_lazy("the credential is revoked"),
    "expired": gettext_lazy("the credential has expired"),
    "reader_off": gettext_lazy("the reader is switched off"),
    "wrong_signature": gettext_lazy("the signature did not fit the report"),
    "signature_too_old": gettext_lazy("the signature was too old, or from the future"),
    "secret_not_opened": gettext_lazy("its signing secret cannot be opened here: issue another"),
    "certificate_malformed": gettext_lazy("the certificate could not be read"),
}


@dataclass(frozen=True)
class AlertLine:
    """An alert as it is shown."""

    alert: ReaderAlert
    sentence: str
    icon: str


def tell_alerts(alerts: Iterable[ReaderAlert]) -> list[AlertLine]:
    """Describe a page of alerts; readers that they name beside their own are looked up together."""
    shown = list(alerts)
    named = {pk for alert in shown if (pk := _claimed_reader(alert)) is not None}
    names = {reader.pk: reader.name for reader in Reader.objects.filter(pk__in=named)} if named else {}
    return [AlertLine(alert, _tell(alert, names), ICONS.get(AlertCode(alert.code), "antenna")) for alert in shown]


def _tell(alert: ReaderAlert, names: dict[uuid.UUID, str]) -> str:
    facts: dict[str, Any] = alert.facts
    try:
        return _SENTENCES[AlertCode(alert.code)](alert, facts, names)
    except (KeyError, TypeError, ValueError):
        return alert.get_code_display()


def _claimed_reader(alert: ReaderAlert) -> uuid.UUID | None:
    if alert.code != AlertCode.CLAIM_MISMATCH or alert.facts.get("claim") != "address":
        return None
    try:
        return uuid.UUID(alert.facts.get("claimed", ""))
    except ValueError:
        return None


def _clock(alert: ReaderAlert, facts: dict[str, Any], names: dict[uuid.UUID, str]) -> str:
    skew_ms = int(facts["skew_ms"])
    seconds = number_format(max(1, round(abs(skew_ms) / 1000)), force_grouping=True)
    if skew_ms > 0:
        return _("Its clock is %(seconds)s seconds ahead of ours. Set it, by NTP.") % {"seconds": seconds}
    return _("Its clock is %(seconds)s seconds behind ours. Set it, by NTP.") % {"seconds": seconds}


def _turned_away(alert: ReaderAlert, facts: dict[str, Any], names: dict[uuid.UUID, str]) -> str:
    told = {"address": facts["address"], "reason": TURNED_AWAY.get(facts["reason"], facts["reason"])}
    if "credential" in facts:
        told["credential"] = facts["credential"]
        return _("%(address)s was turned away as %(credential)s: %(reason)s.") % told
    return _("%(address)s was turned away: %(reason)s.") % told


def _claim(alert: ReaderAlert, facts: dict[str, Any], names: dict[uuid.UUID, str]) -> str:
    if facts["claim"] == "hostname":
        return _("Its report says that it comes from %(claimed)s. See where its credential is entered.") % facts
    if facts["claim"] == "site":
        return _("Its report says that it stands at the site %(claimed)s. See where its credential is entered.") % facts
    claimed = _claimed_reader(alert)
    told = {"reader": names.get(claimed, _("no reader of ours")) if claimed else _("no reader of ours")}
    if facts.get("site") == "other":
        return (
            _("Its credential was used at the address of %(reader)s, at another site. See where it is entered.") % told
        )
    return _("Its credential was used at the address of %(reader)s. See where it is entered.") % told


def _lost(alert: ReaderAlert, facts: dict[str, Any], names: dict[uuid.UUID, str]) -> str:
    lost = int(facts["purged"])
    return ngettext(
        "It dropped %(n)s event before it could send it. A tag not read then may have been there.",
        "It dropped %(n)s events before it could send them. A tag not read then may have been there.",
        lost,
    ) % {"n": number_format(lost, force_grouping=True)}


def _silent(alert: ReaderAlert, facts: dict[str, Any], names: dict[uuid.UUID, str]) -> str:
    minutes = max(1, int(facts["silent_s"]) // 60)
    return ngettext(
        "Nothing came from it for %(n)s minute. See whether it has power and network.",
        "Nothing came from it for %(n)s minutes. See whether it has power and network.",
        minutes,
    ) % {"n": minutes}


_SENTENCES = {
    AlertCode.CLOCK_SKEW: _clock,
    AlertCode.UNAUTHENTICATED: _turned_away,
    AlertCode.CLAIM_MISMATCH: _claim,
    AlertCode.OVERFLOW: _lost,
    AlertCode.SILENT: _silent,
}
