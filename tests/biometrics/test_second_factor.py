"""PIN and badge: five wrong tries lock, and a badge is known by its digest alone."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from biometrics.errors import PinTooWeak, SecondFactorLocked, SecondFactorRefused
from biometrics.models import Badge, Person, Pin
from biometrics.second_factor import check_second_factor, find_by_badge, issue_badge, set_pin


@pytest.fixture
def with_pin(ignacio: Person) -> Person:
    set_pin(person=ignacio, pin="604193")
    return ignacio


def wrong(person: Person, times: int) -> list[str]:
    codes = []
    for _ in range(times):
        with pytest.raises((SecondFactorRefused, SecondFactorLocked)) as refused:
            check_second_factor(person=person, pin="111112")
        codes.append(refused.value.code)
    return codes


def test_the_right_pin_confirms_and_is_not_stored(with_pin: Person) -> None:
    assert check_second_factor(person=with_pin, pin="604193") == "pin"
    assert "604193" not in Pin.objects.get().hash


@pytest.mark.parametrize(
    "pin", ["", "12345", "1234567890123", "12a456", "٣٣٣١٢٤", "000000", "123456", "987654", " 604193"]
)
def test_a_weak_pin_is_not_taken(ignacio: Person, pin: str) -> None:
    with pytest.raises(PinTooWeak):
        set_pin(person=ignacio, pin=pin)
    assert not Pin.objects.exists()


def test_five_wrong_pins_lock_even_the_right_one_out_for_fifteen_minutes(with_pin: Person) -> None:
    assert wrong(with_pin, 5) == ["second_factor_refused"] * 4 + ["second_factor_locked"]
    with pytest.raises(SecondFactorLocked) as locked:
        check_second_factor(person=with_pin, pin="604193")
    assert "15 minutes" in locked.value.sentence
    assert locked.value.status == 429
    left = Pin.objects.get().locked_until - timezone.now()
    assert timedelta(minutes=14, seconds=50) < left <= timedelta(minutes=15)

    Pin.objects.update(locked_until=timezone.now() - timedelta(seconds=1))
    assert check_second_factor(person=with_pin, pin="604193") == "pin"
    assert wrong(with_pin, 4) == ["second_factor_refused"] * 4


@pytest.mark.django_db(transaction=True)
def test_guesses_sent_at_once_get_no_more_than_five_tries(with_pin: Person) -> None:
    if connection.is_in_memory_db():
        pytest.skip("threads need a test database in a file")
    at_once = threading.Barrier(12)

    def guess(number: int) -> str:
        try:
            at_once.wait()
            check_second_factor(person=with_pin, pin=f"11111{number % 9}2")
        except (SecondFactorRefused, SecondFactorLocked) as refused:
            return refused.code
        finally:
            connection.close()
        return "confirmed"

    with ThreadPoolExecutor(12) as pool:
        codes = list(pool.map(guess, range(12)))
    assert codes.count("second_factor_refused") <= 4
    assert codes.count("second_factor_locked") >= 8
    row = Pin.objects.get()
    assert row.tries == 5
    assert row.locked_until is not None


def test_a_right_pin_forgets_the_wrong_ones(with_pin: Person) -> None:
    for _ in range(3):
        wrong(with_pin, 4)
        assert check_second_factor(person=with_pin, pin="604193") == "pin"


def test_a_wrong_pin_says_how_many_tries_are_left(with_pin: Person) -> None:
    with pytest.raises(SecondFactorRefused) as refused:
        check_second_factor(person=with_pin, pin="111112")
    assert refused.value.facts["left"] == 4
    assert "Ignacio Peralta Quintanilla" in refused.value.sentence


def test_the_lock_of_one_is_not_the_lock_of_another_and_a_badge_still_serves(with_pin: Person, lucia: Person) -> None:
    set_pin(person=lucia, pin="604193")
    code = issue_badge(person=with_pin)
    wrong(with_pin, 5)
    assert check_second_factor(person=lucia, pin="604193") == "pin"
    assert check_second_factor(person=with_pin, badge=code) == "badge"


def test_a_badge_is_found_however_it_is_typed_and_only_its_digest_is_kept(ignacio: Person) -> None:
    code = issue_badge(person=ignacio)
    assert re.fullmatch(r"(?:[A-Z2-7]{5}-){5}[A-Z2-7]", code)
    for typed in (code, code.lower(), code.replace("-", ""), f" {code.replace('-', ' ')}\n"):
        assert find_by_badge(typed) == ignacio
    assert code.replace("-", "") not in str(Badge.objects.values())


def test_a_new_badge_ends_the_old_one(ignacio: Person) -> None:
    old, new = issue_badge(person=ignacio), issue_badge(person=ignacio)
    assert find_by_badge(old) is None
    assert check_second_factor(person=ignacio, badge=new) == "badge"
    with pytest.raises(SecondFactorRefused):
        check_second_factor(person=ignacio, badge=old)


@pytest.mark.parametrize("given", [{}, {"pin": "604193"}, {"badge": "AAAAA-BBBBB"}, {"badge": "\u0000é"}])
def test_what_was_never_issued_is_refused(ignacio: Person, given: dict[str, str]) -> None:
    with pytest.raises(SecondFactorRefused) as refused:
        check_second_factor(person=ignacio, **given)
    assert (refused.value.code, refused.value.status) == ("second_factor_refused", 403)


def test_a_badge_of_somebody_else_is_refused(ignacio: Person, lucia: Person) -> None:
    code = issue_badge(person=lucia)
    with pytest.raises(SecondFactorRefused):
        check_second_factor(person=ignacio, badge=code)
