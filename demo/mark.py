"""
Whose database is this? The demo's commands change passwords and entries, so they ask twice: a mark in the demo's
folder, and the log's own name in entry 0, which no real log has.

The mark is there from the first row that the demo makes on, and says "made" only once its passwords were told.
"""

from django.conf import settings
from django.core.management import CommandError

from ledger.models import Entry
from ledger.tlog import note
from ledger.tlog.errors import NoteMalformed

ORIGIN = "demo.invalid/"
_MADE, _UNFINISHED = "made\n", "unfinished\n"


def mark_unfinished() -> None:
    settings.DEMO_MARK.write_text(_UNFINISHED)


def mark_made() -> None:
    settings.DEMO_MARK.write_text(_MADE)


def is_unfinished() -> bool:
    """Tell whether the making of the demo world was begun and never came to its end."""
    return settings.DEMO_MARK.exists() and settings.DEMO_MARK.read_text() == _UNFINISHED


def is_demo_database() -> bool:
    """Tell whether the mark is there and entry 0 is of the demo's log."""
    return settings.DEMO_MARK.exists() and _origin().startswith(ORIGIN)


def require_demo_database() -> None:
    """:raises CommandError: unless :func:`is_demo_database`"""
    if not is_demo_database():
        raise CommandError(
            "This is not the demo's database, and nothing was changed. The demo's has the mark "
            f"{settings.DEMO_MARK} ({'there' if settings.DEMO_MARK.exists() else 'missing'}) and a log whose name "
            f"begins with {ORIGIN} (found: {_origin() or 'an empty log'})."
        )


def _origin() -> str:
    """Read the log's name off entry 0, from its signature line: `tamper` may have spoilt the text above it."""
    first = Entry.objects.filter(index=0).first()
    if first is None:
        return ""
    try:
        return note.parse(bytes(first.note)).signatures[0].name
    except NoteMalformed:
        return "unreadable"
