"""
The other factor beside the face: a PIN that the person knows or a badge that the person carries.

A try is counted before the PIN is looked at, so that guesses sent at once cannot share one. No hash protects a million
PINs by its cost: each is keyed first with a secret that is not in the database, and the hash suits a busy dock.
"""

import base64
import hashlib
import hmac
import re
import secrets
from datetime import timedelta
from pathlib import Path
from typing import Literal

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from django.conf import settings
from django.db import transaction
from django.db.models import Case, DateTimeField, F, Value, When
from django.utils import timezone

from accounts.secret_files import read_or_make
from biometrics.errors import (
    BadgeRefused,
    PinNotSet,
    PinRefused,
    PinTooWeak,
    SecondFactorLocked,
    SecondFactorMissing,
)
from biometrics.holds import require_not_erased
from biometrics.models import Badge, Person, Pin
from biometrics.people import display_name

PIN_DIGITS = (6, 12)
MAX_TRIES = 5
LOCKED_FOR = timedelta(minutes=15)

_BADGE_BYTES = 16
# OWASP's least for Argon2id: 19 MiB, two passes, one lane.
PIN_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_RUNS = ("01234567890123456789", "98765432109876543210")


def set_pin(*, person: Person, pin: str) -> None:
    """
    Set the person's PIN; the one before it, its tries and its lock are gone.

    :raises PinTooWeak: if it is not 6 to 12 digits, or they are all the same or in a row
    :raises PersonErased:
    """
    require_not_erased(person)
    least, most = PIN_DIGITS
    # [0-9]: \d would take the digits of every script, which no keypad of ours types again.
    if not re.fullmatch(rf"[0-9]{{{least},{most}}}", pin) or len(set(pin)) == 1 or any(pin in run for run in _RUNS):
        raise PinTooWeak(least=least, most=most)
    Pin.objects.update_or_create(
        person=person,
        defaults={"hash": PIN_HASHER.hash(_keyed(pin)), "tries": 0, "locked_until": None, "set_at": timezone.now()},
    )


def issue_badge(*, person: Person) -> str:
    """
    Issue a badge and return its code to print: shown this once, only its digest is kept. Older badges end.

    :raises PersonErased:
    """
    require_not_erased(person)
    code = base64.b32encode(secrets.token_bytes(_BADGE_BYTES)).decode("ascii").rstrip("=")
    with transaction.atomic():
        Badge.objects.filter(person=person, revoked_at=None).update(revoked_at=timezone.now())
        Badge.objects.create(person=person, digest=_digest(code))
    return "-".join(code[at : at + 5] for at in range(0, len(code), 5))


def find_by_badge(code: str) -> Person | None:
    """Tell whose valid badge this is."""
    badge = Badge.objects.select_related("person").filter(digest=_digest(code), revoked_at=None).first()
    return badge.person if badge else None


def check_second_factor(*, person: Person, pin: str = "", badge: str = "") -> Literal["pin", "badge"]:
    """
    Confirm the person by badge or, where no badge is given, by PIN; return which of them did.

    Call outside a transaction: a wrong try must stay counted when what it was for is rolled back.

    :raises SecondFactorRefused: second_factor_refused
    :raises SecondFactorLocked: after five wrong PINs, for fifteen minutes
    """
    if badge:
        if find_by_badge(badge) != person:
            raise BadgeRefused(name=display_name(person))
        return "badge"
    if pin:
        _check_pin(person, pin)
        return "pin"
    raise SecondFactorMissing(name=display_name(person))


def _check_pin(person: Person, pin: str) -> None:
    now = timezone.now()
    of_person = Pin.objects.filter(person=person)
    of_person.filter(locked_until__lte=now).update(tries=0, locked_until=None)
    # One UPDATE takes a try and, with the last one, locks: guesses sent at once share no try and skip no lock.
    last = When(tries=MAX_TRIES - 1, then=Value(now + LOCKED_FOR))
    taken = of_person.filter(tries__lt=MAX_TRIES).update(
        tries=F("tries") + 1, locked_until=Case(last, default=None, output_field=DateTimeField())
    )
    row = of_person.first()
    if row is None:
        raise PinNotSet(name=display_name(person))
    if not taken:
        raise _locked(person, row)
    if _matches(pin, row.hash):
        of_person.filter(hash=row.hash).update(tries=0, locked_until=None)
        return
    if row.tries >= MAX_TRIES:
        raise _locked(person, row)
    raise PinRefused(name=display_name(person), left=MAX_TRIES - row.tries)


def _matches(pin: str, stored: str) -> bool:
    try:
        return PIN_HASHER.verify(stored, _keyed(pin))
    except VerifyMismatchError:
        return False


def _keyed(pin: str) -> bytes:
    key = read_or_make(Path(settings.SECOND_FACTOR_KEY_FILE))
    return hmac.digest(bytes.fromhex(key), pin.encode(), "sha256")


def _locked(person: Person, row: Pin) -> SecondFactorLocked:
    left = (row.locked_until or timezone.now()) - timezone.now()
    return SecondFactorLocked(name=display_name(person), minutes=max(1, -(-left // timedelta(minutes=1))))


def _digest(code: str) -> str:
    # Scanners and people add spaces, dashes and small letters.
    return hashlib.sha256(re.sub(r"[\s-]", "", code).upper().encode("utf-8")).hexdigest()
