"""
What is kept for how long, as data: each rule names evidence, the moment from which its time runs, and the hours.

An operator sets other hours by ``BIOMETRICS_RETENTION``, a JSON object ``{"matched_probes": 720}``; nothing else moves.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Case, DateTimeField, Exists, F, Max, OuterRef, Q, QuerySet, Subquery, When
from django.db.models.functions import Least
from django.utils.translation import gettext_lazy as _

from biometrics.models import (
    Consent,
    DocumentMatch,
    DuplicateReview,
    Evidence,
    EvidenceHold,
    EvidenceKind,
    LivenessChallenge,
    PersonKind,
    PresentedDocument,
    Template,
    TemplatePhoto,
    Verification,
    WatchlistEntry,
    WatchlistLead,
)

DAY = 24
# Longer than a century is a slip of the keyboard.
MAX_HOURS = 100 * 365 * DAY

_FACES = (
    EvidenceKind.PHOTO,
    EvidenceKind.DOCUMENT,
    EvidenceKind.TEMPLATE,
    EvidenceKind.PROBE,
    EvidenceKind.DESCRIPTOR,
    EvidenceKind.TRANSCRIPT,
    EvidenceKind.FRAME,
)
_ENROLMENT = (EvidenceKind.PHOTO, EvidenceKind.DOCUMENT, EvidenceKind.TEMPLATE)
_CAPTURED = (EvidenceKind.PROBE, EvidenceKind.DESCRIPTOR, EvidenceKind.TRANSCRIPT)
_ENROLLING = "enrolment:"

# Evidence that the rule is about, each with ``since``: the moment from which its time runs.
Covers = Callable[[], QuerySet[Any]]


@dataclass(frozen=True)
class Rule:
    code: str
    sentence: Any
    hours: int
    covers: Covers
    most: int = MAX_HOURS
    """The hours that an operator may set at most."""

    @property
    def after(self) -> timedelta:
        return timedelta(hours=self.hours)

    def kept(self) -> QuerySet[Any]:
        """What the rule covers, holds left aside: ``since`` says from when its time runs."""
        return self.covers().filter(destroyed_at=None, person__erased_at=None)

    def due(self, *, at: datetime) -> QuerySet[Any]:
        """What the rule destroys at that moment; nothing of a person on whom a hold stands."""
        return self.kept().filter(since__lte=at - self.after).exclude(person__in=_held())


def _held() -> QuerySet[EvidenceHold, Any]:
    return EvidenceHold.objects.filter(lifted_at=None).values("person")


def _evidence() -> QuerySet[Evidence]:
    return Evidence.objects.annotate(since=F("created_at"))


def _of_exempt() -> QuerySet[Evidence]:
    return _evidence().filter(person__exempt=True, kind__in=_FACES)


def _of(verifications: QuerySet[Verification]) -> Q:
    """The probe, its descriptor, what the camera called itself, and the transcript of the challenge before it."""
    named = Q()
    for field in ("probe", "descriptor", "camera", "challenge__transcript"):
        named |= Q(pk__in=verifications.exclude(**{field: None}).values(field))
    return named


def _matched() -> QuerySet[Verification]:
    """Matches, and the first captures that a second one confirmed."""
    return Verification.objects.filter(
        Q(outcome=Verification.Outcome.MATCH) | Q(second_capture__outcome=Verification.Outcome.MATCH)
    )


def _unmatched_probes() -> QuerySet[Evidence]:
    unmatched = Verification.objects.exclude(pk__in=_matched().values("pk"))
    return _evidence().filter(_of(unmatched)).exclude(pk__in=_probes_of_leads())


def _matched_probes() -> QuerySet[Evidence]:
    enrolled = LivenessChallenge.objects.filter(
        outcome=LivenessChallenge.Outcome.PASSED, context__startswith=_ENROLLING
    ).exclude(transcript=None)
    of_matched = _evidence().filter(_of(_matched()) | Q(pk__in=enrolled.values("transcript")))
    return of_matched.exclude(pk__in=_probes_of_leads())


def _failed_challenges() -> QuerySet[Evidence]:
    failed = LivenessChallenge.objects.filter(outcome=LivenessChallenge.Outcome.FAILED).exclude(transcript=None)
    return _evidence().filter(pk__in=failed.values("transcript"))


def _decided_duplicates() -> QuerySet[Evidence]:
    decided = DuplicateReview.objects.exclude(state=DuplicateReview.State.PENDING)
    moment = decided.filter(capture=OuterRef("pk")).values("decided_at")[:1]
    captures = Evidence.objects.filter(pk__in=decided.values("capture"))
    return captures.exclude(pk__in=TemplatePhoto.objects.values("evidence")).annotate(since=Subquery(moment))


def _probes_of_leads() -> QuerySet[WatchlistLead, Any]:
    """What an officer has yet to decide on, or confirmed: a rule of its own, whatever the comparison said."""
    return WatchlistLead.objects.exclude(state=WatchlistLead.State.DISMISSED).values("probe")


def _confirmed_leads() -> QuerySet[Evidence]:
    confirmed = WatchlistLead.objects.filter(state=WatchlistLead.State.CONFIRMED)
    still_open = WatchlistLead.objects.filter(state=WatchlistLead.State.OPEN)
    moment = confirmed.filter(probe=OuterRef("pk")).order_by().values("probe").annotate(at=Max("decided_at"))
    probes = Evidence.objects.filter(pk__in=confirmed.values("probe")).exclude(pk__in=still_open.values("probe"))
    return probes.annotate(since=Subquery(moment.values("at")[:1]))


def _ended_watchlist() -> QuerySet[Evidence]:
    ended = WatchlistEntry.objects.filter(subject=OuterRef("person")).values(
        at=Case(When(removed_at=None, then=F("expires_at")), default=Least("removed_at", "expires_at"))
    )
    of_watched = Evidence.objects.filter(person__kind=PersonKind.WATCHLISTED)
    return of_watched.annotate(since=Subquery(ended[:1], output_field=DateTimeField()))


def _withdrawn_enrolments() -> QuerySet[Evidence]:
    standing = Consent.objects.filter(person=OuterRef("person"), withdrawn_at=None)
    last = Consent.objects.filter(person=OuterRef("person")).order_by("-withdrawn_at").values("withdrawn_at")[:1]
    of_templates = Q(
        kind=EvidenceKind.DESCRIPTOR, pk__in=TemplatePhoto.objects.exclude(descriptor=None).values("descriptor")
    )
    captures = DuplicateReview.objects.filter(state=DuplicateReview.State.PENDING).values("capture")
    found = Evidence.objects.filter(of_templates | Q(kind__in=_ENROLMENT)).exclude(person__kind=PersonKind.WATCHLISTED)
    return found.exclude(pk__in=captures).annotate(since=Subquery(last)).filter(~Exists(standing))


def _unattached() -> QuerySet[Evidence]:
    """Captured and never used: what a crash, a refusal or a search of a group left."""
    named = (
        _of(Verification.objects.all())
        | Q(pk__in=LivenessChallenge.objects.exclude(transcript=None).values("transcript"))
        | Q(pk__in=TemplatePhoto.objects.exclude(descriptor=None).values("descriptor"))
        | Q(pk__in=DuplicateReview.objects.values("capture"))
        | Q(pk__in=_probes_of_leads())
        | Q(pk__in=Template.objects.exclude(document=None).values("document"))
        | Q(pk__in=DocumentMatch.objects.values("probe"))
    )
    abandoned = LivenessChallenge.objects.filter(outcome=LivenessChallenge.Outcome.PASSED, verification=None)
    abandoned = abandoned.exclude(transcript=None).exclude(context__startswith=_ENROLLING)
    abandoned = abandoned.exclude(context__in=PresentedDocument.objects.values("context"))
    captured = Q(kind__in=_CAPTURED) & ~named & ~Q(person__kind=PersonKind.UNKNOWN)
    return _evidence().filter(Q(pk__in=abandoned.values("transcript")) | captured)


def _zone_frames() -> QuerySet[Evidence]:
    """Frames with an alert, and the descriptors by which a stranger in the next frame is the same one."""
    of_strangers = Q(kind=EvidenceKind.DESCRIPTOR, person__kind=PersonKind.UNKNOWN)
    return _evidence().filter(Q(kind=EvidenceKind.FRAME) | of_strangers).exclude(pk__in=_probes_of_leads())


def _of_documents(documents: QuerySet[PresentedDocument]) -> QuerySet[Evidence]:
    """Numbers, portraits and live photos; of a traveller without a name whatever is sealed under the key besides."""
    matches = DocumentMatch.objects.filter(document__in=documents)
    challenges = LivenessChallenge.objects.filter(context__in=documents.values("context")).exclude(transcript=None)
    named = Q(pk__in=challenges.values("transcript")) | Q(
        person__kind=PersonKind.TRAVELLER, person__in=documents.values("person")
    )
    for rows, fields in ((documents, ("number", "portrait")), (matches, ("probe", "portrait", "camera"))):
        for field in fields:
            named |= Q(pk__in=rows.exclude(**{field: None}).values(field))
    return _evidence().filter(named)


def _exempt_passages() -> QuerySet[Evidence]:
    return _of_documents(PresentedDocument.objects.filter(exempt=True))


def _passages() -> QuerySet[Evidence]:
    undisputed = PresentedDocument.objects.filter(exempt=False, disputed=False)
    return _of_documents(undisputed).exclude(pk__in=_probes_of_leads())


def _disputed_passages() -> QuerySet[Evidence]:
    disputed = PresentedDocument.objects.filter(exempt=False, disputed=True)
    return _of_documents(disputed).exclude(pk__in=_probes_of_leads())


# A purge comes every five minutes, and after a night without one at the start: an hour is left for it.
_TWELVE_HOURS_LESS_ONE = 11

RULES = (
    Rule("exempt_person", _("Photos of people who are exempt from face comparison"), 12, _of_exempt),
    Rule("unmatched_probes", _("Probes that did not match, with their descriptors"), 12, _unmatched_probes),
    Rule("failed_challenges", _("Transcripts of challenges that were not passed"), 12, _failed_challenges),
    Rule("unattached_captures", _("Captures that no verification used"), 12, _unattached),
    Rule("decided_duplicates", _("Captures of duplicates that an officer decided"), 12, _decided_duplicates),
    Rule("consent_withdrawn", _("Enrolments whose consent was withdrawn"), 0, _withdrawn_enrolments),
    Rule("matched_probes", _("Probes that matched, with their descriptors"), 90 * DAY, _matched_probes),
    Rule("confirmed_leads", _("Probes that an officer confirmed as a watchlist lead"), 90 * DAY, _confirmed_leads),
    Rule(
        "exempt_passages",
        _("What exempt travellers showed at a border crossing, and the key to it"),
        _TWELVE_HOURS_LESS_ONE,
        _exempt_passages,
        most=_TWELVE_HOURS_LESS_ONE,
    ),
    Rule("passages", _("What travellers showed at a border crossing"), 14 * DAY, _passages),
    Rule(
        "disputed_passages",
        _("What travellers showed who were not matched, not let pass, or resembled a watchlisted face"),
        90 * DAY,
        _disputed_passages,
    ),
    Rule("zone_frames", _("Frames of zone cameras that raised an alert"), 30 * DAY, _zone_frames),
    Rule("watchlist_ended", _("Watchlist evidence that expired or was removed"), 30 * DAY, _ended_watchlist),
)


def read_rules() -> tuple[Rule, ...]:
    """
    Return the rules with the hours that the operator set.

    :raises ImproperlyConfigured: naming what of ``BIOMETRICS_RETENTION`` cannot be
    """
    if not settings.BIOMETRICS_RETENTION:
        return RULES
    try:
        hours = json.loads(settings.BIOMETRICS_RETENTION)
    except ValueError:
        raise ImproperlyConfigured("BIOMETRICS_RETENTION is not JSON") from None
    if not isinstance(hours, dict):
        raise ImproperlyConfigured("BIOMETRICS_RETENTION is not a JSON object of rules and hours")
    most = {rule.code: rule.most for rule in RULES}
    for code in hours.keys() - most.keys():
        raise ImproperlyConfigured(f"BIOMETRICS_RETENTION names the rule {code!r}, which there is not")
    for code, given in hours.items():
        if type(given) is not int or not 0 <= given <= most[code]:
            raise ImproperlyConfigured(f"BIOMETRICS_RETENTION: {code} takes whole hours from 0 to {most[code]}")
    return tuple(replace(rule, hours=hours.get(rule.code, rule.hours)) for rule in RULES)
