"""A trace drawn to scale: lanes of bars in thousandths of the time shown. Numbers alone; the page draws them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from custody.tracing.chains import Chain
from custody.tracing.tags import Window
from custody.tracing.telling import Naming

# A moment must be seen, and touched, on a telephone.
LEAST = 6


@dataclass(frozen=True)
class Bar:
    start: int
    width: int
    title: str
    mark: str = ""


@dataclass(frozen=True)
class Lane:
    name: str
    bars: Sequence[Bar] = field(default_factory=tuple)


@dataclass(frozen=True)
class Bars:
    since: datetime
    until: datetime
    lanes: Sequence[Lane]


def draw(chain: Chain, windows: Sequence[Window], naming: Naming) -> Bars | None:
    """Draw who held custody, the windows in which goods were lost, and what is known of them; None without handoffs."""
    takeovers = chain.takeovers
    if not takeovers:
        return None
    since = takeovers[0].opened_at
    last = max(one.accepted_at for one in takeovers)
    # The present custodian's part is open: a tenth of the whole stands for it.
    until = last + max((last - since) / 10, timedelta(seconds=1))

    def bar(begin: datetime | None, end: datetime, title: str, mark: str = "") -> Bar:
        whole = (until - since).total_seconds()
        first = 0 if begin is None else round((begin - since).total_seconds() / whole * 1000)
        final = round((end - since).total_seconds() / whole * 1000)
        first = min(max(first, 0), 1000 - LEAST)
        return Bar(first, max(min(final, 1000) - first, LEAST), title, mark)

    ends = [one.accepted_at for one in takeovers[1:]] + [until]
    custody = [
        bar(one.accepted_at, end, naming.person(one.to)) for one, end in zip(takeovers, ends, strict=True)
    ]  # fmt: skip
    custody.insert(0, bar(None, takeovers[0].accepted_at, _("the consignor"), "before"))
    lost = [bar(one.since, one.until, _("Lost in this window"), "loss") for one in windows]
    gaps = {gap for window in windows for gap in window.gaps}
    seen = {(act.index, act.acted_at) for window in windows for act in window.acts}
    reads = {(one.reader, one.first_at, one.last_at) for window in windows for one in window.raw_reads}
    alerts = {(alert.entry, alert.first_seen_at) for window in windows for alert in window.alerts}
    lanes = [
        Lane(_("Custody"), custody),
        Lane(_("Lost"), lost),
        Lane(_("Readers’ gaps"), [bar(gap.since, gap.until, gap.reader, "gap") for gap in gaps]),
        Lane(_("Acts"), [bar(at, at, _("Entry %(n)s") % {"n": index}, "act") for index, at in sorted(seen)]),
        Lane(_("Raw reads"), [bar(first, end, reader, "read") for reader, first, end in sorted(reads)]),
        Lane(_("Zone alerts"), [bar(at, at, _("Entry %(n)s") % {"n": entry}, "alert") for entry, at in alerts]),
    ]
    return Bars(since, until, [lane for lane in lanes if lane.bars])
