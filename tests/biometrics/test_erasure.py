"""
Erasure: nothing of the person is left in any file, and the ledger holds as before.

The bytes are sought in the database's real files, before and after: what is not found before proves nothing after.
"""

import sqlite3
import threading
import uuid
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.urls import reverse

from accounts.models import User
from biometrics.directory import open_names
from biometrics.disclosure import open_evidence_commitment
from biometrics.erasure import erase_person
from biometrics.errors import (
    BadgeRefused,
    ErasureNotAllowed,
    ErasureRightUnknown,
    EvidenceDestroyed,
    HeldByAuthority,
    PersonErased,
    PersonKeyMissing,
    PinNotSet,
)
from biometrics.holds import lift_hold, place_hold
from biometrics.looks import look_at
from biometrics.models import (
    Badge,
    Evidence,
    EvidenceKind,
    LivenessChallenge,
    Person,
    PersonKey,
    Pin,
    Template,
    WatchlistEntry,
)
from biometrics.people import display_name
from biometrics.second_factor import check_second_factor, issue_badge, set_pin
from biometrics.vault import make_person_key, open_evidence, seal_evidence
from ledger.disclosure import disclose
from ledger.models import Statement
from ledger.own_policy import own_policy
from ledger.sealing import seal_all
from ledger.tlog import canonical
from ledger.tlog.commitment import opens
from ledger.verification import verify_log

on_sqlite = pytest.mark.skipif("connection.vendor != 'sqlite'", reason="the bytes of SQLite's files")
on_postgresql = pytest.mark.skipif("connection.vendor != 'postgresql'", reason="the bytes of PostgreSQL's files")


def entries() -> list[dict]:
    return [canonical.decode(bytes(row.body)) for row in Statement.objects.filter(kind="erasure").order_by("pk")]


# What ends ----------------------------------------------------------------------------------------------------------


def test_nothing_opens_any_more_and_the_rows_say_why(enrolled: Person, carla: User) -> None:
    rows = list(enrolled.evidence.all())
    assert {row.kind for row in rows} >= {"name", "photo", "template", "document", "descriptor"}
    erased = erase_person(person=enrolled, erased_by=carla, right="erasure")
    assert erased.erased_at is not None
    for row in enrolled.evidence.all():
        assert (bytes(row.ciphertext), bytes(row.nonce), row.destroyed_for) == (b"", b"", "erasure")
        with pytest.raises(EvidenceDestroyed):
            open_evidence(row)
        assert open_evidence_commitment(row.commitment) is None
    assert not PersonKey.objects.filter(person=enrolled).exists()


def test_the_name_is_gone_from_every_screen(enrolled: Person, lucia: Person, carla: User) -> None:
    erased = erase_person(person=enrolled, erased_by=carla, right="erasure")
    assert display_name(erased) == "Erased person"
    assert open_names([erased, lucia]) == {erased.pk: "Erased person", lucia.pk: "Lucía Ibáñez"}


def test_template_consent_pin_badge_challenge_and_account_end(enrolled: Person, carla: User) -> None:
    account = User.objects.create_user("ignacio", password="ignacio's password")
    Person.objects.filter(pk=enrolled.pk).update(user=account)
    set_pin(person=enrolled, pin="280519")
    code = issue_badge(person=enrolled)
    LivenessChallenge.objects.create(
        person=enrolled, context="handoff:1", nonce="n", turns=[], issued_to=carla, expires_at="2030-01-01T00:00Z"
    )
    erased = erase_person(person=enrolled, erased_by=carla, right="purpose_ended")
    assert not Template.objects.filter(person=erased, active=True).exists()
    assert not erased.consents.filter(withdrawn_at=None).exists()
    assert not Pin.objects.filter(person=erased).exists()
    assert not Badge.objects.filter(person=erased).exists()
    with pytest.raises(PinNotSet):
        check_second_factor(person=erased, pin="280519")
    with pytest.raises(BadgeRefused):
        check_second_factor(person=erased, badge=code)
    for act in (lambda: set_pin(person=erased, pin="280519"), lambda: issue_badge(person=erased)):
        with pytest.raises(PersonErased):
            act()
    assert erased.challenges.get().failed_for == "person_erased"
    account.refresh_from_db()
    assert not account.is_active


def test_the_entry_names_the_right_and_what_opens_nothing_any_more(enrolled: Person, carla: User) -> None:
    commitments = sorted(enrolled.evidence.values_list("commitment", flat=True))
    kinds: dict[str, int] = {}
    for kind in enrolled.evidence.values_list("kind", flat=True):
        kinds[kind] = kinds.get(kind, 0) + 1
    erase_person(person=enrolled, erased_by=carla, right="erasure")
    [entry] = entries()
    assert sorted(entry.pop("destroyed")) == commitments
    assert entry == {
        "person": enrolled.pk.urn,
        "scope": "person",
        "right": "erasure",
        "by": carla.pk.urn,
        "kinds": kinds,
        "parts": 1,
        "part": 1,
    }


def test_what_one_entry_does_not_hold_stands_in_several(ignacio: Person, carla: User) -> None:
    for _ in range(1003):
        seal_evidence(person=ignacio, kind=EvidenceKind.NOTE, value=b"x")
    erase_person(person=ignacio, erased_by=carla, right="erasure")
    assert [(entry["part"], entry["parts"], len(entry["destroyed"])) for entry in entries()] == [
        (1, 3, 500),
        (2, 3, 500),
        (3, 3, 4),
    ]


def test_somebody_on_the_watchlist_is_erased_the_same_way(olga: User, carla: User) -> None:
    subject = Person.objects.create(kind="watchlisted", registered_by=olga)
    make_person_key(person=subject)
    reason, template = (
        seal_evidence(person=subject, kind=kind, value=b"x") for kind in (EvidenceKind.NOTE, EvidenceKind.TEMPLATE)
    )
    WatchlistEntry.objects.create(
        subject=subject, reason=reason, authority="Court, 7/26", k=1, template=template, proposed_by=olga,
        expires_at="2040-01-01T00:00Z",
    )  # fmt: skip
    erase_person(person=subject, erased_by=carla, right="unlawful")
    entry = WatchlistEntry.objects.get()
    assert (entry.removed_by, entry.removed_at is not None) == (carla, True)
    assert not Evidence.objects.filter(person=subject, destroyed_at=None).exists()


# What stops it ------------------------------------------------------------------------------------------------------


def test_a_hold_stops_it_and_nothing_is_touched(enrolled: Person, carla: User, olga: User) -> None:
    hold = place_hold(person=enrolled, authority="Juzgado 3, 118/2026", placed_by=olga)
    with pytest.raises(HeldByAuthority, match="Juzgado 3"):
        erase_person(person=enrolled, erased_by=carla, right="erasure")
    assert display_name(Person.objects.get(pk=enrolled.pk)).startswith("Ignacio")
    assert not Evidence.objects.exclude(destroyed_at=None).exists()
    lift_hold(hold=hold, lifted_by=olga)
    erase_person(person=enrolled, erased_by=carla, right="erasure")


def test_only_an_administrator_erases_once_and_by_a_right_of_the_list(ignacio, ana, beto, olga, carla) -> None:
    for user in (ana, beto, olga):
        with pytest.raises(ErasureNotAllowed):
            erase_person(person=ignacio, erased_by=user, right="erasure")
    with pytest.raises(ErasureRightUnknown):
        erase_person(person=ignacio, erased_by=carla, right="because")
    erase_person(person=ignacio, erased_by=carla, right="erasure")
    with pytest.raises(PersonErased):
        erase_person(person=ignacio, erased_by=carla, right="erasure")
    with pytest.raises(PersonErased):
        place_hold(person=ignacio, authority="Court, 1", placed_by=olga)
    assert len(entries()) == 1


def test_a_crash_half_way_leaves_everything(enrolled: Person, carla: User, monkeypatch) -> None:
    def crash(drafts):
        raise OSError("killed")

    monkeypatch.setattr("biometrics.erasure.submit_all", crash)
    with pytest.raises(OSError, match="killed"):
        erase_person(person=enrolled, erased_by=carla, right="erasure")
    assert display_name(Person.objects.get(pk=enrolled.pk)).startswith("Ignacio")
    assert enrolled.templates.filter(active=True).exists()


@pytest.mark.django_db(transaction=True)
def test_what_is_sealed_while_the_erasure_runs_is_destroyed_or_refused(ignacio: Person, carla: User) -> None:
    sealing, erased = threading.Event(), threading.Event()

    def seal_slowly() -> None:
        try:
            with transaction.atomic():
                seal_evidence(person=ignacio, kind=EvidenceKind.PROBE, value=b"just captured")
                sealing.set()
                # The erasure must not get past us: it is still at it when this wait ends.
                assert not erased.wait(1)
        finally:
            connection.close()

    slow = threading.Thread(target=seal_slowly)
    slow.start()
    assert sealing.wait(20)
    erase_person(person=ignacio, erased_by=carla, right="erasure")
    erased.set()
    slow.join()
    assert Evidence.objects.filter(person=ignacio, kind="probe").count() == 1
    assert not Evidence.objects.filter(person=ignacio, destroyed_at=None).exists()
    with pytest.raises(PersonKeyMissing):
        seal_evidence(person=ignacio, kind=EvidenceKind.PROBE, value=b"too late")


# The bytes ----------------------------------------------------------------------------------------------------------


def marks(person: Person) -> dict[str, bytes]:
    """A piece of every ciphertext, of every nonce and of the wrapped key, as they stand in the files."""
    found = {}
    for row in person.evidence.all():
        ciphertext = bytes(row.ciphertext)
        # A long one is on several pages: its beginning, a piece of its middle and its end.
        for at in sorted({0, len(ciphertext) // 2, len(ciphertext) - 24}):
            found[f"{row.kind} {row.pk} at {at}"] = ciphertext[at : at + 24]
        found[f"nonce of {row.pk}"] = bytes(row.nonce)
    key = PersonKey.objects.get(person=person)
    return found | {"key": bytes(key.wrapped), "key's nonce": bytes(key.nonce)}


def still_in(files: list[Path], sought: dict[str, bytes]) -> set[str]:
    contents = [file.read_bytes() for file in files if file.exists()]
    return {name for name, mark in sought.items() if any(mark in content for content in contents)}


def plain(person: Person) -> dict[str, bytes]:
    values = {f"plain {row.kind} {row.pk}": open_evidence(row) for row in person.evidence.all()}
    return {name: value[:64] for name, value in values.items()}


@pytest.fixture
def crowd(transactional_db, beto: User, photos: Path) -> list[Person]:
    """Others around, before and after: pages that fill, split and are merged again."""
    from biometrics.people import register_person
    from tests.biometrics.conftest import CONSENT

    made = []
    photo = (photos / "biden.jpg").read_bytes()
    for number in range(12):
        other = register_person(name=f"Somebody {number}", kind="driver", registered_by=beto, consent=CONSENT)
        seal_evidence(person=other, kind=EvidenceKind.PHOTO, value=photo[: 900 * (number + 1)])
        made.append(other)
    return made


@on_sqlite
@pytest.mark.django_db(transaction=True)
def test_no_byte_is_left_in_database_write_ahead_log_or_later_backup(
    crowd: list[Person], enrolled: Person, carla: User, tmp_path: Path
) -> None:
    seal_evidence(person=enrolled, kind=EvidenceKind.PROBE, value=b"a probe of some length" * 999)
    set_pin(person=enrolled, pin="280519")
    issue_badge(person=enrolled)
    factors = {
        "PIN": Pin.objects.get().hash.encode(),
        "badge": Badge.objects.get().digest.encode(),
    }
    sought, in_the_clear = marks(enrolled) | factors, plain(enrolled)
    database = Path(connection.settings_dict["NAME"])
    files = [database, database.with_name(f"{database.name}-wal")]
    assert files[1].stat().st_size > 0
    assert still_in(files, sought) == set(sought)
    assert still_in(files, in_the_clear) == set()

    erase_person(person=enrolled, erased_by=carla, right="erasure")

    assert still_in(files, sought | in_the_clear) == set()
    assert files[1].stat().st_size == 0
    backup, copied = tmp_path / "into.sqlite3", tmp_path / "copied.sqlite3"
    with connection.cursor() as cursor:
        cursor.execute("VACUUM INTO %s", [str(backup)])
    source, target = sqlite3.connect(database), sqlite3.connect(copied)
    source.backup(target)
    target.close()
    source.close()
    assert copied.stat().st_size > 100_000
    assert still_in([backup, copied], sought | in_the_clear) == set()
    names = open_names(crowd)
    assert len(names) == len(crowd)
    # The store of last signed checkpoints, the keys: whatever else the product writes.
    rest = [path for path in database.parent.rglob("*") if path.is_file()]
    assert len(rest) > 2
    assert still_in(rest, sought | in_the_clear) == set()


@on_sqlite
@pytest.mark.django_db(transaction=True)
def test_a_reader_delays_the_clearing_and_the_next_purge_does_it(enrolled: Person, carla: User, monkeypatch) -> None:
    from biometrics import remains
    from biometrics.retention import purge_due

    remains.clear_remains()
    monkeypatch.setattr(remains, "_WAIT_MS", 100)
    sought = marks(enrolled)
    database = Path(connection.settings_dict["NAME"])
    files = [database, database.with_name(f"{database.name}-wal")]
    reader = sqlite3.connect(database, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM biometrics_evidence").fetchone()
    erase_person(person=enrolled, erased_by=carla, right="erasure")
    assert still_in(files, sought)
    reader.execute("COMMIT")
    reader.close()
    purge_due()
    assert still_in(files, sought) == set()


@on_sqlite
@pytest.mark.django_db(transaction=True)
def test_the_connections_overwrite_what_they_delete() -> None:
    with connection.cursor() as cursor:
        assert cursor.execute("PRAGMA secure_delete").fetchone() == (1,)


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_no_byte_is_left_in_the_rewritten_tables(crowd: list[Person], enrolled: Person, carla: User) -> None:
    from biometrics.remains import TABLES, rewrite_tables

    def files() -> list[Path]:
        found = []
        with connection.cursor() as cursor:
            cursor.execute("CHECKPOINT")
            cursor.execute("SHOW data_directory")
            folder = Path(cursor.fetchone()[0])
            for table in TABLES:
                cursor.execute(
                    "SELECT pg_relation_filepath(oid) FROM pg_class WHERE oid = %s::regclass OR oid ="
                    " (SELECT reltoastrelid FROM pg_class WHERE oid = %s::regclass)",
                    [table, table],
                )
                found += [folder / row[0] for row in cursor.fetchall()]
        return found

    sought = marks(enrolled)
    try:
        before = files()
        readable = all(file.exists() for file in before)
    except Exception as error:
        pytest.skip(f"the server's files cannot be read here: {error}")
    if not readable:
        pytest.skip("the server's files are on another machine")
    assert {name for name in sought if not name.startswith("nonce")} - still_in(before, sought) == set()
    erase_person(person=enrolled, erased_by=carla, right="erasure")
    rewrite_tables()
    # The files before are unlinked or emptied by the checkpoint.
    assert still_in([*before, *files()], sought) == set()
    assert len(open_names(crowd)) == len(crowd)


# The ledger ---------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_the_ledger_verifies_and_what_was_disclosed_before_still_opens(enrolled, carla: User, olga: User) -> None:
    seal_all()
    template = enrolled.templates.get().evidence
    [opening] = disclose([template.commitment], by=olga, reason="File 7/26")
    erase_person(person=enrolled, erased_by=carla, right="erasure")
    seal_all()
    assert verify_log(policy=own_policy()).intact
    # The bundle is out of the house: what it opened, it opens. The house itself opens nothing any more.
    assert opens(opening.commitment, salt=opening.salt, value=opening.value)
    from ledger.disclosure import CommitmentNotOpened

    with pytest.raises(CommitmentNotOpened):
        disclose([template.commitment], by=olga, reason="File 7/26")


@pytest.mark.django_db(transaction=True)
def test_the_ledgers_page_tells_looks_and_erasure_without_a_name(client, enrolled, carla, olga, ana) -> None:
    look_at(evidence=enrolled.evidence.filter(kind="photo")[0], looked_by=olga, reason="quality_check")
    erase_person(person=enrolled, erased_by=carla, right="erasure")
    seal_all()
    client.force_login(ana)
    page = client.get(reverse("ledger")).content.decode()
    assert "olga looked at evidence about Erased person (Enrolment photo)" in page
    assert "Everything held about a person was erased" in page
    assert "Ignacio" not in page


# Command and pages --------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_the_command_erases_by_identifier(ignacio: Person, carla: User, beto: User, capsys) -> None:
    with pytest.raises(CommandError, match="no person"):
        call_command("erase_person", str(uuid.uuid4()), "--right", "erasure", "--as", "carla")
    with pytest.raises(CommandError, match="An administrator may"):
        call_command("erase_person", str(ignacio.pk), "--right", "erasure", "--as", "beto")
    call_command("erase_person", str(ignacio.pk), "--right", "erasure", "--as", "carla", "--rewrite-tables")
    assert "Erased" in capsys.readouterr().out
    assert display_name(Person.objects.get(pk=ignacio.pk)) == "Erased person"
    with pytest.raises(CommandError, match="was erased on"):
        call_command("erase_person", str(ignacio.pk), "--right", "erasure", "--as", "carla")


def test_the_page_takes_a_typed_confirmation(client, ignacio: Person, carla: User, beto: User, olga: User) -> None:
    address = reverse("person_erase", args=[ignacio.pk])
    for user in (beto, olga):
        client.force_login(user)
        assert client.get(address).status_code == 403
    client.force_login(carla)
    assert b"Ignacio Peralta" in client.get(address).content
    word = str(ignacio.pk)[:8]
    for typed in ("", "erase", word[:-1]):
        assert client.post(address, {"right": "erasure", "confirm": typed}).status_code == 422
    assert client.post(address, {"right": "no", "confirm": word}).status_code == 422
    assert PersonKey.objects.filter(person=ignacio).exists()
    answer = client.post(address, {"right": "erasure", "confirm": word})
    assert answer.status_code == 302
    assert not PersonKey.objects.filter(person=ignacio).exists()
    assert b"Ignacio" not in client.get(reverse("person", args=[ignacio.pk])).content


def test_the_page_says_who_holds_it(client, ignacio: Person, carla: User, olga: User) -> None:
    place_hold(person=ignacio, authority="Juzgado 3, 118/2026", placed_by=olga)
    client.force_login(carla)
    answer = client.post(
        reverse("person_erase", args=[ignacio.pk]), {"right": "erasure", "confirm": str(ignacio.pk)[:8]}
    )
    assert answer.status_code == 422
    assert b"Juzgado 3" in answer.content
    assert PersonKey.objects.filter(person=ignacio).exists()


def test_an_officer_places_and_lifts_a_hold_on_the_page(client, ignacio: Person, olga: User, carla: User) -> None:
    address = reverse("person_holds", args=[ignacio.pk])
    client.force_login(carla)
    assert client.post(address, {"authority": "Court, 1"}).status_code == 403
    client.force_login(olga)
    client.post(address, {"authority": "Court, 1"})
    hold = ignacio.holds.get()
    assert (hold.placed_by, hold.lifted_at) == (olga, None)
    assert b"Court, 1" in client.get(reverse("person_evidence", args=[ignacio.pk])).content
    client.post(address, {"lift": str(hold.pk)})
    hold.refresh_from_db()
    assert hold.lifted_by == olga


def test_a_program_erases_too(client, ignacio: Person, carla: User, olga: User) -> None:
    address = f"/api/v1/people/{ignacio.pk}/erasure"
    client.force_login(olga)
    assert client.post(address, {"right": "erasure"}).status_code == 403
    client.force_login(carla)
    assert client.post(address, {}).status_code == 400
    answer = client.post(address, {"right": "erasure"})
    assert answer.status_code == 200
    assert answer.json()["person"] == str(ignacio.pk)
    assert client.post(address, {"right": "erasure"}).json()["code"] == "person_erased"
