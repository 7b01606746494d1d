"""Tell the trace of a person, and what several shipments have in common: as data, and in sentences."""

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from custody.tracing.grading import GRADE_NAMES
from custody.tracing.patterns import Candidate, Pattern
from custody.tracing.persons import CustodyOf, PersonTrace
from custody.tracing.telling import Naming, act_as_data, person_as_data, takeover_as_data
from ledger.tlog.times import format_time


def trace_of_person_as_data(trace: PersonTrace, naming: Naming) -> dict[str, Any]:
    return {
        **person_as_data(trace.person.pk.urn, naming),
        "sentences": tell_person(trace, naming),
        "shipments": trace.shipments,
        "shipments_total": trace.shipments_total,
        "shipments_with_losses": trace.with_losses,
        "custody": [
            {
                "shipment": one.shipment.reference,
                "takeover": takeover_as_data(one.takeover, naming),
                "until": takeover_as_data(one.until, naming) if one.until else None,
                "lost": [
                    {"epc": epc, "grade": window.graded.grade.value, "custodians": window.custodians}
                    for epc, window in one.lost
                ],
            }
            for one in trace.custody
        ],
        "refused": [act_as_data(one, naming) | {"code": one.body.get("code", "")} for one in trace.refused],
        "acts": [act_as_data(one, naming) for one in trace.acts],
        "zone_alerts": [
            {
                "alert": alert.pk.urn,
                "code": alert.code,
                "entry": alert.statement.entry_id,
                "zone": alert.event.zone_id.urn,
                "raised_at": format_time(alert.raised_at),
                "decision": alert.decision,
            }
            for alert in trace.alerts
        ],
        "broken": list(trace.broken),
    }


def tell_person(trace: PersonTrace, naming: Naming) -> list[str]:
    name = naming.person(trace.person.pk.urn)
    told = [
        ngettext(
            "%(person)s is named in the custody of %(n)s shipment; traced are the newest %(traced)s.",
            "%(person)s is named in the custody of %(n)s shipments; traced are the newest %(traced)s.",
            trace.shipments_total,
        )
        % {"person": name, "n": trace.shipments_total, "traced": trace.shipments}
    ]
    told += [tell_custody(one, name) for one in trace.custody]
    told += [
        _("Entry %(entry)s: %(sentence)s") % {"entry": one.index, "sentence": naming.act(one)} for one in trace.refused
    ]
    told += [
        _("Entry %(entry)s: %(sentence)s") % {"entry": one.index, "sentence": naming.act(one)} for one in trace.acts
    ]
    told += [
        _("Alert of a zone (%(code)s), entry %(entry)s.") % {"code": alert.code, "entry": alert.statement.entry_id}
        for alert in trace.alerts
    ]
    return told + list(trace.broken)


def tell_custody(one: CustodyOf, name: str) -> str:
    facts = {
        "person": name,
        "shipment": one.shipment.reference,
        "entry": one.takeover.told.index,
        "since": f"{one.takeover.accepted_at:%Y-%m-%d %H:%M} UTC",
        "until": f"{one.until.accepted_at:%Y-%m-%d %H:%M} UTC" if one.until else _("now"),
    }
    sentence = (
        _("%(person)s held custody of %(shipment)s during %(since)s – %(until)s (entry %(entry)s).") % facts
    )  # fmt: skip
    if not one.lost:
        return sentence + " " + _("Nothing says that goods were lost meanwhile.")
    grades = sorted({str(GRADE_NAMES[window.graded.grade]).lower() for _epc, window in one.lost})
    count = len(one.lost)
    lost = ngettext(
        "%(n)s tag was lost in a window of which this is a part; grade: %(grades)s.",
        "%(n)s tags were lost in windows of which this is a part; grades: %(grades)s.",
        count,
    ) % {"n": count, "grades": ", ".join(grades)}
    return f"{sentence} {lost}"


def pattern_as_data(pattern: Pattern, naming: Naming) -> dict[str, Any]:
    return {
        "shipments": [{"shipment": trace.chain.shipment.reference, "lost": trace.lost} for trace in pattern.traces],
        "without_loss": list(pattern.without_loss),
        "with_losses": pattern.drawn,
        "population": pattern.population,
        "candidates_looked_at": pattern.looked_at,
        "candidates": [
            {
                "kind": one.kind,
                **(person_as_data(one.key, naming) if one.kind == "person" else {one.kind: one.key}),
                "in_windows": one.hits,
                "in_all": one.base,
                # As text: what is computed by floating point has no place in anything that might be signed.
                "chance": f"{one.chance:.3g}",
                "corrected": f"{one.corrected:.3g}",
                "stands_out": one.stands_out,
                "grade": one.grade.value,
                "sentence": tell_candidate(one, pattern, naming),
            }
            for one in pattern.candidates
        ],
        "sentences": tell_pattern(pattern, naming),
    }


def tell_pattern(pattern: Pattern, naming: Naming) -> list[str]:
    told = []
    if pattern.without_loss:
        told.append(
            _("Nothing was lost in %(shipments)s: they do not count.") % {"shipments": ", ".join(pattern.without_loss)}
        )
    if not pattern.standing_out:
        told.append(
            _("Nobody and nothing is in these windows more often than chance explains: no reason to name anybody.")
        )
    told += [tell_candidate(one, pattern, naming) for one in pattern.standing_out]
    if pattern.standing_out:
        told.append(_("This is a lead and proves nothing of anybody: people of one shift share its windows."))
    return told


def candidate_name(one: Candidate, naming: Naming) -> str:
    if one.kind == "person":
        return naming.person(one.key)
    return naming.place(one.key) if one.kind == "read_point" else naming.directory.site(one.key)


def tell_candidate(one: Candidate, pattern: Pattern, naming: Naming) -> str:
    return _(
        "%(who)s: in the windows of %(hits)s of %(drawn)s shipments with losses; in %(base)s of all %(population)s. "
        "So many or more by chance: %(chance)s, corrected for %(looked)s candidates %(corrected)s."
    ) % {
        "who": candidate_name(one, naming),
        "hits": one.hits,
        "drawn": pattern.drawn,
        "base": one.base,
        "population": pattern.population,
        "chance": f"{one.chance:.2g}",
        "looked": pattern.looked_at,
        "corrected": f"{one.corrected:.2g}",
    }
