"""Trace one tag: the window in which it was lost, who held custody in it, and what is known of that time."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from django.utils.translation import gettext_lazy as _

from custody.tracing.chains import Chain, TakeOver, Told, read_chain
from custody.tracing.evidence import (
    NearAlert,
    RawReads,
    ReaderGap,
    chip_was_told,
    opened_by_others,
    raw_reads,
    reader_gaps,
    readers_elsewhere,
    sites_of,
    zone_alerts,
)
from custody.tracing.grading import Doubt, Graded, grade_window
from custody.tracing.windows import Observed, Span, State, find_span
from refusals import Refusal
from shipments.epc import decode_epc
from shipments.finding import bare_code, printable
from shipments.models import Consignment, ManifestItem

# Reading and acceptance lie minutes apart; with more between them the releaser had time with goods that were counted.
ACCEPTED_WITHIN = timedelta(minutes=15)
# For so long behind the window it is looked whether the tag was read again after all.
LOOKED_BEHIND = timedelta(days=1)


class TagUnknown(Refusal):
    code = "tag_unknown"
    message = _(
        "No manifest holds the tag “%(tag)s”. Check the number, or search every sealed handoff for it: "
        "manage.py trace_tag --whole-log."
    )
    status = 404


@dataclass(frozen=True)
class Held:
    """Who held custody in a part of a window; ``person`` is empty before the first handoff."""

    person: str
    since: datetime | None
    until: datetime
    takeover: TakeOver | None


@dataclass(frozen=True)
class Window:
    """
    The window in which a tag was lost. ``last_good`` is None where no handoff saw it.

    :param narrowed_to: the newest raw read before the end, where it is later than ``last_good``; a row, and inferred
    """

    last_good: TakeOver | None
    first_bad: TakeOver
    confirmed: TakeOver | None
    swapped: bool
    held: Sequence[Held]
    graded: Graded
    acts: Sequence[Told] = ()
    opened: Sequence[Told] = ()
    raw_reads: Sequence[RawReads] = ()
    elsewhere: Sequence[RawReads] = ()
    afterwards: Sequence[RawReads] = ()
    gaps: Sequence[ReaderGap] = ()
    alerts: Sequence[NearAlert] = ()
    narrowed_to: datetime | None = None

    @property
    def since(self) -> datetime | None:
        """When it was seen last: its reading, which lies before the acceptance."""
        return self.last_good.reconciled_at if self.last_good else None

    @property
    def until(self) -> datetime:
        return self.first_bad.reconciled_at

    @property
    def custodians(self) -> list[str]:
        """The persons in the window, each once, in their order."""
        return list(dict.fromkeys(held.person for held in self.held if held.person))


@dataclass(frozen=True)
class Word:
    """What one handoff says of the tag."""

    takeover: TakeOver
    state: State


@dataclass(frozen=True)
class TagTrace:
    """``window`` is None where nothing says that the tag was lost; ``elsewhere`` is told all the same."""

    epc_hex: str
    uri: str
    chain: Chain
    words: Sequence[Word]
    window: Window | None
    lapses: Sequence[TakeOver] = ()
    elsewhere: Sequence[RawReads] = ()
    also_in: Sequence[str] = field(default_factory=tuple)

    @property
    def last_seen(self) -> TakeOver | None:
        seen = [word.takeover for word in self.words if word.state == State.SEEN]
        return seen[-1] if seen else None


def trace_tag(*, tag: str, shipment: Consignment | None = None) -> TagTrace:
    """
    Trace the tag through the shipment that holds it: the open one, else the newest.

    :param tag: EPC in hex or as a URI
    :raises EpcMalformed, TagUnknown:
    """
    epc_hex, uri = read_tag(tag)
    also_in: list[str] = []
    if shipment is None:
        shipments = _shipments_of(epc_hex, uri)
        if not shipments:
            raise TagUnknown(tag=printable(tag))
        shipment, also_in = shipments[0], [one.reference for one in shipments[1:]]
    return trace_in(read_chain(shipment), epc_hex, uri, also_in=also_in)


def read_tag(tag: str) -> tuple[str, str]:
    """Return EPC and URI of a tag as it was typed or scanned. :raises EpcMalformed, TagUnknown:"""
    code = bare_code(tag)
    if code.lower().startswith("urn:epc:id:"):
        item = ManifestItem.objects.filter(epc_uri=code).order_by("-id").first()
        if item is None:
            raise TagUnknown(tag=printable(tag))
        return item.epc_hex, item.epc_uri
    epc = decode_epc(code.rpartition(".x")[2] if code.startswith("urn:epc:raw:") else code)
    return epc.hex, epc.uri


def _shipments_of(epc_hex: str, uri: str) -> list[Consignment]:
    # By the URI: it has an index over closed shipments too.
    items = ManifestItem.objects.filter(epc_uri=uri, epc_hex=epc_hex).select_related("consignment").order_by("-id")
    found = [item.consignment for item in items]
    return sorted(found, key=lambda one: one.closed_at is not None)


def trace_in(chain: Chain, epc_hex: str, uri: str, *, also_in: Sequence[str] = ()) -> TagTrace:
    """Trace a tag through a chain that was read."""
    words = [Word(one, one.reads.of(epc_hex)) for one in chain.takeovers]
    span = find_span([Observed(word.state, word.takeover.clean_sessions) for word in words])
    if span is None:
        elsewhere = _elsewhere_of_a_journey(chain, epc_hex)
        lapses = [word.takeover for word in words if word.state in (State.NOT_SEEN, State.OTHER_CHIP)]
        return TagTrace(epc_hex, uri, chain, words, None, lapses=lapses, elsewhere=elsewhere, also_in=also_in)
    window, doubts = _window(chain, words, span, epc_hex)
    around = look_around(chain, window, [epc_hex])
    window = _with_surroundings(chain, window, doubts, around, epc_hex)
    lapses = [words[place].takeover for place in span.lapses]
    return TagTrace(
        epc_hex, uri, chain, words, window, lapses=lapses, elsewhere=window.elsewhere, also_in=also_in
    )  # fmt: skip


def find_losses(chain: Chain) -> dict[str, Window]:
    """Return the window of every tag that the shipment lost, with one look around for tags of the same window."""
    listed = dict.fromkeys(epc for one in chain.takeovers for epc in one.reads.states)
    found: dict[str, tuple[Window, set[Doubt]]] = {}
    of_window: dict[tuple[int, int], list[str]] = {}
    for epc_hex in listed:
        words = [Word(one, one.reads.of(epc_hex)) for one in chain.takeovers]
        span = find_span([Observed(word.state, word.takeover.clean_sessions) for word in words])
        if span is not None:
            found[epc_hex] = window, _ = _window(chain, words, span, epc_hex)
            good = window.last_good.told.seq if window.last_good else -1
            of_window.setdefault((good, window.first_bad.told.seq), []).append(epc_hex)
    losses: dict[str, Window] = {}
    for epcs in of_window.values():
        around = look_around(chain, found[epcs[0]][0], epcs)
        for epc_hex in epcs:
            losses[epc_hex] = _with_surroundings(chain, *found[epc_hex], around, epc_hex)
    return losses


def _window(chain: Chain, words: Sequence[Word], span: Span, epc_hex: str) -> tuple[Window, set[Doubt]]:
    """The window as the shipment's own entries have it, and what they say against it."""
    takeovers = chain.takeovers
    good = takeovers[span.last_good] if span.last_good is not None else None
    bad, end = takeovers[span.first_bad], takeovers[span.ends]
    held = _held(takeovers, span)
    persons = [one.person for one in held if one.person]
    acts = chain.between(good.told.seq if good else -1, bad.told.seq)
    opened = opened_by_others(acts, persons)
    doubts = {
        *_doubts_of_chain(chain, words, span),
        *_doubts_of_acts(acts, opened, bad),
        *_doubts_of_custody(good, bad, held, span, epc_hex),
    }
    window = Window(
        last_good=good,
        first_bad=bad,
        confirmed=None if span.confirmed is None else end,
        swapped=span.swapped,
        held=held,
        graded=grade_window(doubts),
        acts=acts,
        opened=opened,
    )
    return window, doubts


def _held(takeovers: Sequence[TakeOver], span: Span) -> list[Held]:
    end = takeovers[span.ends]
    held: list[Held] = []
    if span.last_good is None:
        first = takeovers[0]
        held.append(Held("", None, first.accepted_at, None))
        places: Sequence[int] = range(span.ends)
    else:
        places = range(span.last_good, span.ends)
        good = takeovers[span.last_good]
        # The goods were counted before custody passed: for that long the releaser still held it.
        if good.accepted_at - good.reconciled_at > ACCEPTED_WITHIN:
            held.append(Held(good.released_by, good.reconciled_at, good.accepted_at, None))
    for place in places:
        held.append(
            Held(
                takeovers[place].to,
                takeovers[place].accepted_at,
                takeovers[place + 1].accepted_at if place + 1 < len(takeovers) else end.accepted_at,
                takeovers[place],
            )
        )
    return held


def _doubts_of_chain(chain: Chain, words: Sequence[Word], span: Span) -> set[Doubt]:
    doubts = set()
    if chain.broken:
        doubts.add(Doubt.CHAIN_BROKEN)
    if chain.rows:
        doubts.add(Doubt.ROW_DIFFERS)
    begins = span.last_good or 0
    if any(word.state == State.UNKNOWN or word.takeover.reads.fault for word in words[begins : span.ends + 1]):
        doubts.add(Doubt.READS_UNREADABLE)
    return doubts


def _doubts_of_custody(
    good: TakeOver | None, bad: TakeOver, held: Sequence[Held], span: Span, epc_hex: str
) -> set[Doubt]:
    doubts = set()
    persons = {one.person for one in held}
    if good is None:
        doubts.add(Doubt.NEVER_SEEN)
    elif span.swapped and not chip_was_told(good, epc_hex):
        doubts.add(Doubt.CHIP_NOT_TOLD)
    if not any(persons):
        doubts.add(Doubt.NOBODY_NAMED)
    elif len(persons) > 1:
        doubts.add(Doubt.SEVERAL_CUSTODIANS)
    if good is not None and good.accepted_at - good.reconciled_at > ACCEPTED_WITHIN:
        doubts.add(Doubt.ACCEPTED_LATE)
    if any(one.takeover is not None and not one.takeover.face_matched for one in held):
        doubts.add(Doubt.NO_FACE)
    if span.confirmed is None:
        doubts.add(Doubt.LOST_READS if bad.lost_reads else Doubt.ONE_SESSION)
    return doubts


def _doubts_of_acts(acts: Sequence[Told], opened: Sequence[Told], bad: TakeOver) -> set[Doubt]:
    doubts = set()
    if opened:
        doubts.add(Doubt.OPENED_BY_OTHERS)
    # A refusal within the very handoff that ends the window is part of that end: a face that matched at the second try.
    ending = bad.told.body.get("handoff")
    if any(act.kind == "handoff_refused" and act.body.get("handoff") != ending for act in acts):
        doubts.add(Doubt.REFUSED_ATTEMPT)
    if any(act.kind == "seal_checked" and act.body.get("state") == "intact" for act in acts):
        doubts.add(Doubt.SEAL_INTACT)
    return doubts


@dataclass(frozen=True)
class Surroundings:
    """What rows and other chains say of a window, and of some tags in it."""

    gaps: Sequence[ReaderGap]
    alerts: Sequence[NearAlert]
    reads: Mapping[str, Sequence[RawReads]]


def look_around(chain: Chain, window: Window, epcs: Sequence[str]) -> Surroundings:
    """Look at readers, zones and raw reads in a window, once for all the tags that were lost in it."""
    good, bad = window.last_good, window.first_bad
    since = good.reconciled_at if good else (chain.told[0].sealed_at if chain.told else bad.opened_at)
    ends = [one for one in (good, bad) if one is not None]
    return Surroundings(
        reader_gaps(read_points=sorted({one.read_point for one in ends}), since=since, until=bad.reconciled_at),
        zone_alerts(sites=sorted({one.site for one in ends}), since=since, until=bad.reconciled_at),
        raw_reads(epcs=epcs, since=since, until=bad.reconciled_at + LOOKED_BEHIND),
    )


def _with_surroundings(chain: Chain, window: Window, doubts: set[Doubt], around: Surroundings, epc_hex: str) -> Window:
    good, bad = window.last_good, window.first_bad
    # The sessions of the last sighting are that sighting.
    reads = [one for one in around.reads.get(epc_hex, ()) if not (good and one.session in good.sessions)]
    inside = [one for one in reads if one.first_at <= bad.reconciled_at]
    afterwards = [one for one in reads if one.last_at > bad.reconciled_at]
    own_sites = sites_of(chain)
    elsewhere = [one for one in reads if one.site not in own_sites]
    doubts = doubts | _doubts_of_reads(window, inside, afterwards, own_sites) | _doubts_of_gaps(bad, around.gaps)
    if elsewhere:
        doubts.add(Doubt.SEEN_ELSEWHERE)
    if any(alert.stands for alert in around.alerts):
        doubts.add(Doubt.STRANGER_NEAR)
    return replace(
        window,
        graded=grade_window(doubts),
        raw_reads=inside,
        elsewhere=elsewhere,
        afterwards=afterwards,
        gaps=around.gaps,
        alerts=around.alerts,
        narrowed_to=max((one.last_at for one in inside if one.last_at < bad.opened_at), default=None),
    )


def _doubts_of_reads(
    window: Window, inside: Sequence[RawReads], afterwards: Sequence[RawReads], own_sites: Collection[str]
) -> set[Doubt]:
    # By its number alone a swapped tag goes on being read; it is another chip all the same.
    if window.swapped:
        return set()
    doubts = set()
    if any(one.session and one.session in window.first_bad.sessions for one in inside):
        doubts.add(Doubt.READ_WEAKLY)
    if any(one.site in own_sites for one in afterwards):
        doubts.add(Doubt.SEEN_AFTERWARDS)
    return doubts


def _doubts_of_gaps(bad: TakeOver, gaps: Sequence[ReaderGap]) -> set[Doubt]:
    doubts = set()
    for gap in gaps:
        at_the_end = gap.read_point == bad.read_point and gap.until >= bad.opened_at
        # Lost reads at the end are in the handoff's own numbers: such a session does not count as having missed a tag.
        if at_the_end and gap.kind == "silent":
            doubts.add(Doubt.READER_SILENT)
        elif not at_the_end:
            doubts.add(Doubt.GAP_IN_WINDOW)
    return doubts


def _elsewhere_of_a_journey(chain: Chain, epc_hex: str) -> list[RawReads]:
    """Reads of a tag that was not lost, at sites where its shipment never was: a copy, or a reader that is not where
    it is said to be."""
    if not chain.takeovers:
        return []
    first, last = chain.takeovers[0], chain.takeovers[-1]
    reads = raw_reads(
        epcs=[epc_hex],
        since=first.opened_at,
        until=last.reconciled_at + LOOKED_BEHIND,
        readers=readers_elsewhere(sites_of(chain)),
    )
    return reads.get(epc_hex, [])
