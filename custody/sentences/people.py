"""What happened to people and to the evidence about them."""

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from biometrics.models import EvidenceKind, EvidenceLook
from custody.directory import Directory
from custody.sentences.sentence import Sentence


def _enrolment(body: dict[str, Any], subject: str, directory: Directory) -> str:
    count = len(body["photos"])
    return ngettext(
        "%(person)s was enrolled from %(count)s photo, with consent.",
        "%(person)s was enrolled from %(count)s photos, with consent.",
        count,
    ) % {"person": directory.person(subject), "count": count}


def _erasure(body: dict[str, Any], subject: str, directory: Directory) -> str:
    count = len(body["destroyed"])
    if body["scope"] == "person":
        return ngettext(
            "Everything held about a person was erased: %(n)s value here, and the key. Nothing opens any more.",
            "Everything held about a person was erased: %(n)s values here, and the key. Nothing opens any more.",
            count,
        ) % {"n": count}
    if body.get("key") == "destroyed":
        return ngettext(
            "The last value about a traveller was destroyed by the retention rule %(rule)s, and the key.",
            "The last %(n)s values about a traveller were destroyed by the retention rule %(rule)s, and the key.",
            count,
        ) % {"n": count, "rule": body["rule"]}
    return ngettext(
        "%(n)s value about %(person)s was destroyed by the retention rule %(rule)s.",
        "%(n)s values about %(person)s were destroyed by the retention rule %(rule)s.",
        count,
    ) % {"n": count, "person": directory.person(subject), "rule": body["rule"]}


def _evidence_opened(body: dict[str, Any], subject: str, directory: Directory) -> str:
    return _("%(by)s looked at evidence about %(person)s (%(kind)s). Reason: %(reason)s.") % {
        "by": directory.account(body["by"]),
        "person": directory.person(subject),
        "kind": EvidenceKind(body["evidence_kind"]).label,
        "reason": EvidenceLook.Reason(body["reason"]).label,
    }


def _disclosure(body: dict[str, Any], subject: str, directory: Directory) -> str:
    opened = len(body["commitments"])
    return ngettext(
        "%(by)s opened %(n)s piece of evidence for the case %(reason)s.",
        "%(by)s opened %(n)s pieces of evidence for the case %(reason)s.",
        opened,
    ) % {"by": directory.account(body["by"]), "n": opened, "reason": body["reason"]}


def _duplicate_decided(body: dict[str, Any], subject: str, directory: Directory) -> str:
    sentence = (
        _("%(by)s decided that %(person)s and %(other)s are one person.")
        if body["decision"] == "same"
        else _("%(by)s decided that %(person)s and %(other)s are two persons.")
    )
    return sentence % {
        "by": directory.account(body["decided_by"]),
        "person": directory.person(body["person"]),
        "other": directory.person(body["other"]),
    }


def _consent_withdrawn(body: dict[str, Any], subject: str, directory: Directory) -> str:
    return _("%(person)s withdrew the consent to comparing the face.") % {"person": directory.person(body["person"])}


def _watchlist_changed(body: dict[str, Any], subject: str, directory: Directory) -> str:
    sentences = {
        "proposed": _("%(by)s proposed a face for the watchlist."),
        "confirmed": _("%(by)s confirmed a face on the watchlist, as the second officer."),
        "removed": _("%(by)s took a face off the watchlist."),
    }
    return sentences[body["action"]] % {"by": directory.account(body["by"])}


def _watchlist_lead(body: dict[str, Any], subject: str, directory: Directory) -> str:
    if body["action"] == "found":
        return _("A face resembled one on the watchlist: a lead to an officer, and no more than that.")
    sentence = (
        _("%(by)s decided on a lead of the watchlist: it is the same person.")
        if body["decision"] == "confirmed"
        else _("%(by)s decided on a lead of the watchlist: they are two persons.")
    )
    return sentence % {"by": directory.account(body["by"])}


SENTENCES = {
    "enrolment": Sentence(gettext_lazy("Enrolment"), _enrolment, "fingerprint", "plain"),
    "duplicate_decided": Sentence(
        gettext_lazy("Decision on a face on two records"), _duplicate_decided, "user-check", "warn"
    ),
    "consent_withdrawn": Sentence(gettext_lazy("Withdrawn consent"), _consent_withdrawn, "ban", "warn"),
    "erasure": Sentence(gettext_lazy("Erasure"), _erasure, "trash", "warn"),
    "evidence_opened": Sentence(gettext_lazy("Look at evidence"), _evidence_opened, "eye", "warn"),
    "disclosure": Sentence(gettext_lazy("Disclosure"), _disclosure, "eye", "warn"),
    "watchlist_changed": Sentence(gettext_lazy("Change of the watchlist"), _watchlist_changed, "eye", "warn"),
    "watchlist_lead": Sentence(gettext_lazy("Lead of the watchlist"), _watchlist_lead, "eye", "warn"),
}
