"""How far each check has come."""

from custody.models import CheckCursor


def lock_cursor(name: str, *, begin: int = 0) -> CheckCursor:
    """Return the cursor of a check, locked until the transaction ends; the first time it stands at ``begin``."""
    CheckCursor.objects.get_or_create(name=name, defaults={"position": begin})
    # Two processes at once would find the same things twice over: the second waits, and goes on behind the first.
    return CheckCursor.objects.select_for_update().get(name=name)
