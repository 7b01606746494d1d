"""
Tell a trace: as data for programs, and in sentences for people. "Held custody during", never "took".

Persons are identifiers, and names beside them only for whoever may see people.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.models import User
from accounts.roles import Capability
from custody.directory import Directory
from custody.sentences import SENTENCES
from custody.tracing.chains import Chain, TakeOver, Told
from custody.tracing.evidence import NearAlert, RawReads, ReaderGap
from custody.tracing.grading import GRADE_NAMES
from custody.tracing.tags import Held, TagTrace, Window
from custody.tracing.windows import State
from ledger.tlog.times import format_time

STATE_NAMES = {
    State.SEEN: gettext_lazy("seen"),
    State.NOT_SEEN: gettext_lazy("not seen"),
    State.OTHER_CHIP: gettext_lazy("another chip answered under its number"),
    State.INFERRED: gettext_lazy("inferred by the unit it lay in, not read"),
    State.SKEWED: gettext_lazy("read by a clock that was wrong"),
    State.UNEXPECTED: gettext_lazy("read, and not on the manifest"),
    State.NOT_LISTED: gettext_lazy("not on the manifest then"),
    State.UNKNOWN: gettext_lazy("not known"),
}

FACTORS = {"pin": gettext_lazy("PIN"), "badge": gettext_lazy("badge"), "passkey": gettext_lazy("passkey")}


class Naming:
    """The names that one reader may see, each looked up once."""

    def __init__(self, reader: User | None) -> None:
        self.may_see_people = reader is not None and reader.may(Capability.SEE_PEOPLE)
        self.directory = Directory()

    def person(self, urn: str) -> str:
        """The name, or the identifier for whoever may not see names."""
        if not urn:
            return _("the consignor")
        return self.directory.person(urn) if self.may_see_people else urn.removeprefix("urn:uuid:")

    def place(self, sgln: str) -> str:
        return self.directory.place(sgln)

    def act(self, told: Told) -> str:
        """What an entry says; for whoever may not see names its kind and who, as identifiers."""
        known = SENTENCES.get(told.kind)
        if known is None:
            return told.kind
        if not self.may_see_people:
            by = _(" by %(person)s") % {"person": self.person(told.person)} if told.person else ""
            code = told.body.get("code") or told.body.get("findings") or told.body.get("state") or ""
            return f"{known.name}{by}" + (f": {code}" if code else "")
        try:
            return str(known.write(told.body, "", self.directory))
        except (KeyError, TypeError, ValueError, AttributeError):
            return str(known.name)


def tag_as_data(trace: TagTrace, naming: Naming) -> dict[str, Any]:
    """The whole trace of a tag, as the API and ``--json`` answer it."""
    data: dict[str, Any] = {
        "epc": trace.epc_hex,
        "uri": trace.uri,
        "shipment": trace.chain.shipment.reference,
        "shipment_id": str(trace.chain.shipment.pk),
        "lost": trace.window is not None,
        "sentences": tell_tag(trace, naming),
        "handoffs": [{"state": word.state.value, **takeover_as_data(word.takeover, naming)} for word in trace.words],
        "lapses": [one.told.index for one in trace.lapses],
        "read_elsewhere": [reads_as_data(one) for one in trace.elsewhere],
        "also_in": list(trace.also_in),
        **chain_as_data(trace.chain),
    }
    if trace.window is not None:
        data["window"] = window_as_data(trace.window, naming)
    return data


def chain_as_data(chain: Chain) -> dict[str, Any]:
    return {
        "entries": [one.index for one in chain.told],
        "broken": list(chain.broken),
        "rows_that_differ": list(chain.rows),
        "waiting_to_be_sealed": chain.pending,
    }


def window_as_data(window: Window, naming: Naming) -> dict[str, Any]:
    return {
        "grade": window.graded.grade.value,
        "doubts": [doubt.value for doubt in window.graded.doubts],
        "reasons": window.graded.reasons,
        "since": _time(window.since),
        "until": _time(window.until),
        "narrowed_to": {"at": _time(window.narrowed_to), "grade": "inferred"} if window.narrowed_to else None,
        "swapped": window.swapped,
        "last_good": takeover_as_data(window.last_good, naming) if window.last_good else None,
        "first_bad": takeover_as_data(window.first_bad, naming),
        "confirmed_by": window.confirmed.told.index if window.confirmed else None,
        "custody": [_held_as_data(held, naming) for held in window.held],
        "acts": [act_as_data(act, naming) for act in window.acts],
        "opened_by_others": [act.index for act in window.opened],
        "raw_reads": [reads_as_data(one) for one in window.raw_reads],
        "read_elsewhere": [reads_as_data(one) for one in window.elsewhere],
        "read_afterwards": [reads_as_data(one) for one in window.afterwards],
        "reader_gaps": [_gap_as_data(gap) for gap in window.gaps],
        "zone_alerts": [_alert_as_data(alert) for alert in window.alerts],
    }


def person_as_data(urn: str, naming: Naming) -> dict[str, Any]:
    if not urn:
        return {"role": "consignor"}
    named = {"person": urn}
    return named | {"name": naming.person(urn)} if naming.may_see_people else named


def takeover_as_data(takeover: TakeOver, naming: Naming) -> dict[str, Any]:
    face, reads = takeover.face, takeover.told.body["reads"]
    data: dict[str, Any] = {
        "entry": takeover.told.index,
        "to": person_as_data(takeover.to, naming),
        "from": person_as_data(takeover.released_by, naming),
        "site": takeover.site,
        "read_point": takeover.read_point,
        "reconciled_at": _time(takeover.reconciled_at),
        "accepted_at": _time(takeover.accepted_at),
        "reads": {name: reads[name] for name in ("expected", "seen", "inferred", "grade") if name in reads}
        | {"clean_sessions": takeover.clean_sessions, "gaps": takeover.lost_reads},
        "seals": list(takeover.seals),
        "second_factor": takeover.told.body.get("second_factor", ""),
    }
    if face:
        names = ("verification", "outcome", "distance_e4", "threshold_e4", "target_fmr")
        data["face"] = {name: face[name] for name in names if name in face}
        data["face"]["liveness"] = face.get("liveness", {}).get("outcome", "")
    for part in ("weight", "dual_control", "exceptions", "exceptions_approved"):
        if part in takeover.told.body:
            data[part] = takeover.told.body[part]
    return data


def act_as_data(act: Told, naming: Naming) -> dict[str, Any]:
    data = {"entry": act.index, "kind": act.kind, "at": _time(act.acted_at), "sentence": naming.act(act)}
    return data | ({"by": person_as_data(act.person, naming)} if act.person else {})


def reads_as_data(one: RawReads) -> dict[str, Any]:
    return {
        "reader": one.reader,
        "site": one.site,
        "read_point": one.read_point,
        "first_at": _time(one.first_at),
        "last_at": _time(one.last_at),
        "reads": one.reads,
        "bound": one.bound,
        "entry": one.entry,
    }


def _held_as_data(held: Held, naming: Naming) -> dict[str, Any]:
    return person_as_data(held.person, naming) | {
        "since": _time(held.since),
        "until": _time(held.until),
        "entry": held.takeover.told.index if held.takeover else None,
    }


def _gap_as_data(gap: ReaderGap) -> dict[str, Any]:
    return {
        "kind": gap.kind,
        "reader": gap.reader,
        "read_point": gap.read_point,
        "since": _time(gap.since),
        "until": _time(gap.until),
        "entry": gap.entry,
        "grade": "inconclusive",
    }


def _alert_as_data(alert: NearAlert) -> dict[str, Any]:
    return {
        "alert": alert.alert,
        "entry": alert.entry,
        "code": alert.code,
        "zone": alert.zone,
        "site": alert.site,
        "first_seen_at": _time(alert.first_seen_at),
        "decision": alert.decision,
        "fault": alert.fault,
        "person": alert.person,
    }


def _time(moment: datetime | None) -> str | None:
    return format_time(moment) if moment else None


def tell_tag(trace: TagTrace, naming: Naming) -> list[str]:
    """The trace of a tag in sentences, the finding first."""
    told = [] if trace.window is None else tell_window(trace.window, naming)
    if trace.window is None:
        told.append(tell_not_lost(trace))
    if trace.lapses:
        told.append(
            _("At entry %(entries)s it was not read, which did not mean that it was gone: it was seen later.")
            % {"entries": ", ".join(str(one.told.index) for one in trace.lapses)}
            if trace.last_seen and trace.last_seen.told.seq > trace.lapses[-1].told.seq
            else _("At entry %(entries)s it was not read.")
            % {"entries": ", ".join(str(one.told.index) for one in trace.lapses)}
        )
    if trace.elsewhere:
        told.append(tell_elsewhere(trace.elsewhere, naming))
    told += tell_chain(trace.chain)
    if trace.also_in:
        told.append(_("The tag was also on the manifest of %(shipments)s.") % {"shipments": ", ".join(trace.also_in)})
    return told


def tell_not_lost(trace: TagTrace) -> str:
    """What is known of a tag of which nothing says that it was lost."""
    seen = trace.last_seen
    if trace.words and all(word.state in (State.NOT_LISTED, State.UNEXPECTED) for word in trace.words):
        return _(
            "No handoff of this shipment counted the tag among its own, though its manifest names it now. Search every "
            "handoff: manage.py trace_tag --whole-log."
        )
    if seen is None:
        return _("No handoff says that this tag was lost, and none that it was seen.")
    return _("Nothing says that this tag was lost: it was seen last at entry %(entry)s, on %(at)s.") % {
        "entry": seen.told.index,
        "at": _shown(seen.reconciled_at),
    }


def tell_window(window: Window, naming: Naming) -> list[str]:
    """The window, who held custody during it, the grade and why."""
    bad = {
        "entry": window.first_bad.told.index,
        "at": _shown(window.first_bad.reconciled_at),
        "place": naming.place(window.first_bad.read_point),
    }
    if window.last_good is None:
        told = [_("Never seen; not seen on %(at)s at %(place)s (entry %(entry)s).") % bad]
    else:
        good = window.last_good
        told = [
            _("Last seen on %(at)s at %(place)s (entry %(entry)s).")
            % {"entry": good.told.index, "at": _shown(good.reconciled_at), "place": naming.place(good.read_point)},
            (_("Another chip answered under its number on %(at)s at %(place)s (entry %(entry)s).") if window.swapped
             else _("Not seen on %(at)s at %(place)s (entry %(entry)s).")) % bad,
        ]  # fmt: skip
    told += [_tell_held(held, naming) for held in window.held]
    told.append(_("Grade: %(grade)s.") % {"grade": str(GRADE_NAMES[window.graded.grade]).lower()})
    told += window.graded.reasons
    if window.narrowed_to:
        told.append(
            _("A raw read of %(at)s narrows the window: what follows from it is inferred.")
            % {"at": _shown(window.narrowed_to)}
        )
    told += [
        _("In the window, entry %(entry)s: %(sentence)s") % {"entry": act.index, "sentence": naming.act(act)}
        for act in window.acts
    ]
    for alert in window.alerts:
        told.append(
            _("Alert of a zone there (%(code)s) on %(at)s, entry %(entry)s.")
            % {"code": alert.code, "at": _shown(alert.first_seen_at), "entry": alert.entry}
        )
    for gap in window.gaps:
        sentence = (
            _("%(reader)s lost reads between %(since)s and %(until)s: inconclusive for what it would have shown.")
            if gap.kind == "overflow"
            else _("%(reader)s was silent from %(since)s to %(until)s: inconclusive for what it would have shown.")
        )
        told.append(sentence % {"reader": gap.reader, "since": _shown(gap.since), "until": _shown(gap.until)})
    return told


def _tell_held(held: Held, naming: Naming) -> str:
    facts = {"person": naming.person(held.person), "until": _shown(held.until)}
    if held.since is None:
        return _("The consignor held the goods until %(until)s.") % facts
    sentence = _("%(person)s held custody during %(since)s – %(until)s.") % {**facts, "since": _shown(held.since)}
    if held.takeover is None:
        return sentence + " " + _("The goods had been counted, and not been accepted yet.")
    return sentence + " " + tell_identity(held.takeover)


def tell_identity(takeover: TakeOver) -> str:
    """How it is known who took custody."""
    face = takeover.face
    if not face:
        return _("Verified without a face (entry %(entry)s).") % {"entry": takeover.told.index}
    factor = takeover.told.body.get("second_factor", "")
    facts = {
        "entry": takeover.told.index,
        "distance": face.get("distance_e4", 0) / 10_000,
        "threshold": face.get("threshold_e4", 0) / 10_000,
        "fmr": face.get("target_fmr", ""),
        "factor": FACTORS.get(factor, factor),
    }
    live = face.get("liveness", {}).get("outcome") == "passed"
    sentence = (
        _("Verified by face (%(distance).4f within %(threshold).4f at %(fmr)s), live, and %(factor)s; entry %(entry)s.")
        if live
        else _(
            "Verified by face (%(distance).4f within %(threshold).4f at %(fmr)s), liveness not checked, and "
            "%(factor)s; entry %(entry)s."
        )
    )
    return sentence % facts


def tell_elsewhere(reads: Sequence[RawReads], naming: Naming) -> str:
    places = sorted({naming.place(one.read_point) for one in reads})
    first = min(one.first_at for one in reads)
    bound = sorted({str(one.entry) for one in reads if one.entry is not None})
    sentence = _(
        "Its number was read at %(places)s, from %(at)s on, where its shipment was not handed over: a copy of the tag "
        "is suspected."
    ) % {"places": "; ".join(places), "at": _shown(first)}
    if bound:
        sentence += " " + _("These raw reads are bound by entry %(entries)s.") % {"entries": ", ".join(bound)}
    return sentence


def tell_chain(chain: Chain) -> list[str]:
    """What does not hold of the shipment's entries, and where rows say something else."""
    told = [*chain.broken, *chain.rows]
    if chain.pending:
        told.append(
            ngettext(
                "%(n)s statement about the shipment waits to be sealed and is not counted here.",
                "%(n)s statements about the shipment wait to be sealed and are not counted here.",
                chain.pending,
            )
            % {"n": chain.pending}
        )
    return told


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
