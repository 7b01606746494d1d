"""
Lay out what one entry holds, section by section, in the words of the reader: a module for each subject.

It reads the sealed body alone and looks names up beside it. A part of an unknown shape is left to the raw text.
"""

from custody.directory import Directory
from custody.facts import (
    authorisations,
    declarations,
    discrepancies,
    exceptions,
    faces,
    goods,
    handoffs,
    log,
    officers,
    passages,
    people,
    reads,
)
from custody.facts.fact import Parts, Section
from custody.narrative import Line
from ledger.tlog.errors import TlogError

# In the order in which the sections of an entry are shown.
PARTS: Parts = (
    declarations.PARTS
    | authorisations.PARTS
    | handoffs.PARTS
    | passages.PARTS
    | officers.PARTS
    | faces.PARTS
    | reads.PARTS
    | exceptions.PARTS
    | goods.PARTS
    | people.PARTS
    | log.PARTS
    | discrepancies.PARTS
)


def lay_out(line: Line) -> list[Section]:
    """Return the sections of an entry's body; none where it cannot be read."""
    directory = Directory()
    sections = []
    for part, write in PARTS.items():
        # The kinds that have no such part, and those whose shape this version does not know, are left out alike.
        try:
            if part in line.body and (section := write(line, directory)) is not None:
                sections.append(section)
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, TlogError):
            continue
    return sections
