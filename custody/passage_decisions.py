"""
What the machine advises on a passage, and what the officer decides: both stand in the entry, with who decided.

An officer may pass somebody against the advice, with a note and a second factor; not past a hold or a seizure, and
nobody whose face was never shown and whose document was not checked by eye.
"""

from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from biometrics.document_match import keep_as_disputed
from biometrics.models import EvidenceKind, PersonKind, Verification
from biometrics.second_factor import check_second_factor
from biometrics.vault import seal_evidence
from custody import passage_errors as errors
from custody.authorisations import UnauthorisedCustodian, require_authorised
from custody.interventions import ShipmentHeld, ShipmentSeized, require_free
from custody.models import DECISIONS, Advice, Passage, PassageState
from custody.passage_entries import submit_passage
from custody.passages import lock_passage, officer_of, require_none_under_way, require_open
from custody.travel_documents import is_expired

MAX_NOTE = 500

FINDINGS = {
    "face_mismatch": gettext_lazy("The face does not match the document."),
    "face_not_compared": gettext_lazy("The face was not compared."),
    "document_expired": gettext_lazy("The document has expired."),
    "shipment_held": gettext_lazy("Customs holds the shipment."),
    "shipment_seized": gettext_lazy("Customs has seized the shipment."),
    "unauthorised_custodian": gettext_lazy("Not authorised for the declared goods."),
    "watchlisted": gettext_lazy("The face resembles one on the watchlist: a lead, and no more than that."),
}
# With these alone the machine says: look closer.
_LEADS = frozenset({"watchlisted"})


@dataclass(frozen=True)
class Finding:
    """One thing that speaks against letting somebody pass. ``sentence`` may name people: it is for a screen alone."""

    code: str
    reason_code: str = ""
    sentence: str = field(default="", compare=False)

    def body(self) -> dict[str, str]:
        return {"code": self.code} | ({"reason_code": self.reason_code} if self.reason_code else {})


@dataclass(frozen=True)
class Advised:
    """What speaks against letting somebody pass, and by which authorisations they may carry the goods."""

    findings: tuple[Finding, ...]
    authorisation: tuple[str, ...] = ()

    @property
    def advice(self) -> Advice:
        if not self.findings:
            return Advice.PASS
        return Advice.REFER if {one.code for one in self.findings} <= _LEADS else Advice.REFUSE


def advise(passage: Passage, *, at: datetime | None = None, lock: bool = False) -> Advised:
    """
    Tell what the machine makes of a passage now.

    :param lock: keep what it rests on from changing before the caller's transaction ends
    """
    at = at or timezone.now()
    codes = []
    if not passage.without_face:
        if passage.match is None:
            codes.append("face_not_compared")
        elif passage.match.outcome != Verification.Outcome.MATCH:
            codes.append("face_mismatch")
    if is_expired(passage.document_expires_on, on=at.date()):
        codes.append("document_expired")
    if passage.document.matches.filter(leads__isnull=False).exists():
        codes.append("watchlisted")
    findings = [Finding(code, sentence=str(FINDINGS[code])) for code in codes]
    authorisation: tuple[str, ...] = ()
    if passage.consignment is not None:
        try:
            require_free(passage.consignment)
        except (ShipmentHeld, ShipmentSeized) as stopped:
            findings.append(Finding(stopped.code, sentence=str(FINDINGS[stopped.code])))
        known = passage.traveller if passage.traveller.kind != PersonKind.TRAVELLER else None
        try:
            authorisation = tuple(
                require_authorised(
                    person=known,
                    employer=passage.carrier,
                    consignment=passage.consignment,
                    site=passage.crossing.read_point.site,
                    at=at,
                    lock=lock,
                ).body()
            )
        except UnauthorisedCustodian as refused:
            findings.append(Finding(refused.code, refused.reason_code, refused.sentence))
    return Advised(tuple(findings), authorisation)


def needs_second_factor(passage: Passage, decision: str, advised: Advised) -> bool:
    """The officer vouches in the place of the face or against the advice: their account alone is not enough then."""
    return bool(passage.without_face) or (decision == PassageState.PASSED and bool(advised.findings))


def decide_passage(
    *,
    passage: Passage,
    decision: str,
    by: User,
    note: str = "",
    pin: str = "",
    badge: str = "",
    document_checked: bool = False,
) -> Passage:
    """
    Record what the officer decides, once, and submit the entry in the same transaction.

    :param decision: passed, refused or referred
    :param note: sealed under the traveller's key; needed where the decision goes against the advice
    :param pin: or ``badge``, the officer's own: needed in the place of a face, and to pass somebody against the advice
    :param document_checked: the officer held the document against the traveller by eye: needed to pass without a face
    :raises PassageNotYours, OfficerNotOnFile, PassageClosed, PassageExpired, ComparisonUnderWay, PassageRefused:
    :raises ShipmentHeld, ShipmentSeized: nobody passes with a shipment that customs keeps
    :raises FaceNotCompared, DocumentNotChecked, NoteMissing, SecondFactorRefused, SecondFactorLocked, FindingsChanged:
    """
    officer = officer_of(by)
    note = " ".join(note.split())
    if decision not in DECISIONS:
        known = ", ".join(str(one) for one in DECISIONS)
        raise errors.PassageRefused(problem=_("a decision is one of: %(known)s.") % {"known": known})
    if len(note) > MAX_NOTE or not note.isprintable():
        problem = _("a note has at most %(limit)s characters that can be printed.") % {"limit": MAX_NOTE}
        raise errors.PassageRefused(problem=problem)
    require_open(passage, by)
    seen = advise(passage)
    _require_possible(passage, decision, seen, note, document_checked)
    # Outside the transaction: a PIN takes time, and a wrong one must stay counted.
    factor = ""
    if needs_second_factor(passage, decision, seen):
        factor = check_second_factor(person=officer, pin=pin, badge=badge)
    with transaction.atomic():
        passage = lock_passage(passage)
        require_open(passage, by)
        require_none_under_way(passage)
        passage.closed_at = timezone.now()
        advised = advise(passage, at=passage.closed_at, lock=True)
        # What was not there when the officer looked, or when they gave their PIN for it, was not decided on.
        if advised.findings != seen.findings or (needs_second_factor(passage, decision, advised) and not factor):
            raise errors.FindingsChanged
        _require_possible(passage, decision, advised, note, document_checked)
        passage.state, passage.officer = PassageState(decision), officer
        passage.advice, passage.findings = advised.advice, [one.body() for one in advised.findings]
        passage.document_checked = bool(passage.without_face) and document_checked
        if note:
            passage.note = seal_evidence(person=passage.traveller, kind=EvidenceKind.NOTE, value=note.encode())
        if advised.findings or passage.state != PassageState.PASSED:
            keep_as_disputed(document=passage.document)
        passage.statement = submit_passage(passage, second_factor=factor, authorisation=advised.authorisation)
        passage.save()
    return passage


def _require_possible(passage: Passage, decision: str, advised: Advised, note: str, document_checked: bool) -> None:
    if decision == PassageState.PASSED:
        if passage.consignment is not None:
            require_free(passage.consignment)
        if not passage.without_face and not passage.face_attempts:
            raise errors.FaceNotCompared
        if passage.without_face and not document_checked:
            raise errors.DocumentNotChecked
    against = bool(advised.findings) == (decision == PassageState.PASSED)
    if against and not note:
        raise errors.NoteMissing(limit=MAX_NOTE)
