"""Ten wrong passwords, then a wait: for that user name from that address, and for nobody else."""

import time
from datetime import timedelta

import pytest
from django.core.cache import caches
from django.test import Client

from accounts import login_brake
from accounts.models import User

LOCKED = "10 wrong passwords were given for beto. Wait 15 minutes"


@pytest.fixture(autouse=True)
def no_tries_yet():
    caches["logins"].clear()
    yield
    caches["logins"].clear()


def log_in(client: Client, password: str, *, page: str = "/login/", address: str = "10.0.0.7", username: str = "beto"):
    return client.post(
        page, {"username": username, "password": password}, REMOTE_ADDR=address, HTTP_REFERER=f"http://testserver{page}"
    )


def guess_ten_times(client: Client, **how: str) -> None:
    for number in range(10):
        assert "Please enter a correct username" in log_in(client, f"guess {number}", **how).content.decode()


def test_after_ten_wrong_passwords_the_right_one_waits_too(client: Client, beto: User) -> None:
    guess_ten_times(client)
    answer = log_in(client, "beto's password")
    assert answer.status_code == 302
    assert answer["Location"] == "http://testserver/login/"
    assert LOCKED in client.get("/login/").content.decode()
    assert "_auth_user_id" not in client.session


def test_the_admin_has_the_same_brake(client: Client, beto: User) -> None:
    guess_ten_times(client)
    log_in(client, "beto's password", page="/admin/login/")
    assert LOCKED in client.get("/login/").content.decode()


def test_another_address_and_another_account_are_not_held_up(client: Client, beto: User, ana: User) -> None:
    guess_ten_times(client)
    assert log_in(client, "beto's password", address="10.0.0.8").status_code == 302
    assert "_auth_user_id" in client.session
    client.logout()
    log_in(client, "ana's password", username="ana")
    assert "_auth_user_id" in client.session


def test_a_right_password_forgets_the_wrong_ones(client: Client, beto: User) -> None:
    for _ in range(2):
        for number in range(9):
            log_in(client, f"guess {number}")
        log_in(client, "beto's password")
        assert "_auth_user_id" in client.session
        client.logout()


def test_the_lock_ends_and_is_not_prolonged_by_trying(
    client: Client, beto: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login_brake, "LOCKED_FOR", timedelta(seconds=2))
    guess_ten_times(client)
    time.sleep(1)
    log_in(client, "beto's password")
    assert "_auth_user_id" not in client.session
    time.sleep(1.2)
    log_in(client, "beto's password")
    assert "_auth_user_id" in client.session


def test_capitals_do_not_make_another_account(client: Client, beto: User) -> None:
    guess_ten_times(client, username="Beto")
    log_in(client, "beto's password")
    assert "_auth_user_id" not in client.session
