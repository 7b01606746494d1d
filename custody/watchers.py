"""Who outside this system watches the log, as the pages tell it: its witnesses, and the timestamp authority."""

from dataclasses import dataclass

from ledger.errors import VerifierKeyMissing
from ledger.timestamping import TimestampReport, timestamp_report
from ledger.witnessing import WitnessReport, witness_report


@dataclass(frozen=True)
class Watchers:
    """``trouble`` says why nobody can be named; empty where all is well."""

    witnesses: list[WitnessReport]
    timestamps: TimestampReport | None
    trouble: str = ""


def watchers() -> Watchers:
    """Read who watches the log, and how far each has come."""
    try:
        return Watchers(witness_report(), timestamp_report())
    except VerifierKeyMissing as error:
        return Watchers([], None, error.sentence)
