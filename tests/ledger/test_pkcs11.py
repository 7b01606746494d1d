"""The signing key in a hardware module: SoftHSM2 is the module, everything else is real."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from io import StringIO
from pathlib import Path

import pkcs11
import pytest
from django.core.management import CommandError, call_command

from ledger.errors import SigningKeyMissing, SigningKeyUnreadable
from ledger.keys import begin_rotation, finish_rotation, load_signer, load_vkey, load_vkeys, next_signer, pkcs11_store
from ledger.models import Statement
from ledger.own_policy import own_policy
from ledger.sealing import seal_all
from ledger.tlog.note import open_note, sign
from ledger.tlog.policy import Policy
from ledger.verification import verify_log

MODULE = next(
    (
        str(path)
        for folder in ("/usr/lib/softhsm", "/usr/lib/x86_64-linux-gnu/softhsm", "/usr/lib64/pkcs11")
        if (path := Path(folder, "libsofthsm2.so")).exists()
    ),
    "",
)
PIN = "the-auditors-never-see-this"


@pytest.fixture(scope="module")
def module(tmp_path_factory) -> str:
    """SoftHSM2 reads its configuration once per process, so that one folder serves every test of this file."""
    if not (MODULE and shutil.which("softhsm2-util")):
        if os.environ.get("CI") == "true":
            pytest.fail("SoftHSM2 is not installed: apt-get install softhsm2")
        pytest.skip("SoftHSM2 is not installed: apt-get install softhsm2")
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    configuration = folder / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = str(configuration)
    for token in ("custody", "another"):
        subprocess.run(
            ["softhsm2-util", "--init-token", "--free", "--label", token, "--pin", PIN, "--so-pin", "so-pin-of-it"],
            check=True,
            capture_output=True,
        )
    return MODULE


@pytest.fixture(autouse=True)
def token(settings, module, tmp_path):
    settings.LEDGER_KEY_STORE = "pkcs11"
    settings.LEDGER_PKCS11_MODULE = module
    settings.LEDGER_PKCS11_TOKEN = "custody"
    settings.LEDGER_PKCS11_LABEL = tmp_path.name
    settings.LEDGER_PKCS11_PIN = PIN
    yield
    pkcs11_store._sessions.clear()
    pkcs11_store._refused.clear()
    pkcs11_store._reset(module)


def test_the_key_is_made_in_the_token_and_signs_what_anybody_can_verify(settings):
    signer = load_signer(may_create=True)
    assert load_signer().vkey == load_vkey() == signer.vkey
    assert open_note(sign("text\n", load_signer()), signer.verifier).text == "text\n"
    assert not settings.LEDGER_KEY_FILE.exists()


def test_the_key_does_not_leave_the_token(settings):
    load_signer(may_create=True)
    (session,) = pkcs11_store._sessions.values()
    (key,) = session.get_objects(
        {
            pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY,
            pkcs11.Attribute.LABEL: settings.LEDGER_PKCS11_LABEL,
        }
    )
    assert key[pkcs11.Attribute.EXTRACTABLE] is False
    assert key[pkcs11.Attribute.SENSITIVE] is True
    with pytest.raises(pkcs11.AttributeSensitive):
        key[pkcs11.Attribute.VALUE]


@pytest.mark.django_db
def test_a_log_is_sealed_and_verified_with_it(submit_one):
    submit_one()
    seal_all()
    submit_one()
    seal_all()
    verdict = verify_log(policy=own_policy())
    assert (verdict.status, verdict.entries) == ("intact_unwitnessed", 3)


@pytest.mark.django_db
def test_one_key_of_the_token_hands_over_to_another(submit_one, settings):
    submit_one()
    seal_all()
    old = load_vkey()
    call_command("ledger_key", "rotate", stdout=StringIO(), stderr=StringIO())
    submit_one()
    seal_all()
    assert load_vkey() != old
    for policy in (own_policy(), Policy.pin(settings.LEDGER_ORIGIN, old)):
        verdict = verify_log(policy=policy)
        assert (verdict.status, verdict.entries) == ("intact_unwitnessed", 4)


@pytest.mark.django_db
def test_a_token_that_went_away_leaves_the_statement_pending(submit_one, settings):
    submit_one()
    seal_all()
    submit_one()
    pin, settings.LEDGER_PKCS11_PIN = settings.LEDGER_PKCS11_PIN, "a-wrong-pin"
    pkcs11_store._sessions.clear()
    pkcs11_store._reset(settings.LEDGER_PKCS11_MODULE)
    with pytest.raises(SigningKeyUnreadable):
        seal_all()
    assert Statement.objects.filter(entry__isnull=True).count() == 1
    settings.LEDGER_PKCS11_PIN = pin
    seal_all()
    assert not Statement.objects.filter(entry__isnull=True).exists()
    assert verify_log(policy=own_policy()).intact


def test_encrypting_files_is_for_files():
    with pytest.raises(CommandError, match="should be file and is 'pkcs11'"):
        call_command("ledger_key", "encrypt")


def test_without_a_key_none_is_made_unasked():
    with pytest.raises(SigningKeyMissing, match="pkcs11:token=custody;object="):
        load_signer()
    assert next_signer() is None


# The library itself complains, into the void, that the session of an operation is gone.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_lost_session_is_opened_again():
    signer = load_signer(may_create=True)
    (session,) = pkcs11_store._sessions.values()
    session.close()
    assert open_note(sign("text\n", signer), signer.verifier)


def test_a_forked_process_signs_too_and_so_does_its_parent_afterwards():
    signer = load_signer(may_create=True)
    inlet, outlet = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(outlet, sign("of the child\n", signer))
        finally:
            os._exit(0)
    os.close(outlet)
    with os.fdopen(inlet, "rb") as file:
        signed = file.read()
    os.waitpid(child, 0)
    assert open_note(signed, signer.verifier).text == "of the child\n"
    assert open_note(sign("of the parent\n", signer), signer.verifier)


def test_a_process_forked_while_a_thread_was_signing_does_not_wait_for_that_thread():
    signer = load_signer(may_create=True)
    held, done = threading.Event(), threading.Event()

    def hold():
        with pkcs11_store._lock:
            held.set()
            done.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(60)
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        code = 1
        try:
            sign("of the child\n", signer)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    done.set()
    thread.join()
    assert os.waitstatus_to_exitcode(status) == 0


def test_many_processes_that_start_at_once_make_one_key_in_the_token(settings, tmp_path):
    program = "import django; django.setup(); from ledger.keys import load_signer as l; print(l(may_create=True).vkey)"
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "custody.settings",
        "CUSTODY_VAR": str(tmp_path / "var"),
        "CUSTODY_DEMO": "0",
        "LEDGER_ORIGIN": settings.LEDGER_ORIGIN,
        "LEDGER_KEY_FILE": str(settings.LEDGER_KEY_FILE),
        "LEDGER_KEY_STORE": "pkcs11",
        "LEDGER_PKCS11_MODULE": settings.LEDGER_PKCS11_MODULE,
        "LEDGER_PKCS11_TOKEN": settings.LEDGER_PKCS11_TOKEN,
        "LEDGER_PKCS11_LABEL": settings.LEDGER_PKCS11_LABEL,
        "LEDGER_PKCS11_PIN": PIN,
    }
    started = [
        subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert {process.communicate(timeout=60)[0] for process in started} == {f"{load_vkey()}\n"}
    assert load_signer().vkey == load_vkey()


def test_a_token_that_another_process_is_writing_is_asked_again(monkeypatch):
    """SoftHSM2 answers so while somebody's login rewrites its files."""
    vkey = load_signer(may_create=True).vkey
    pkcs11_store._forget_all()
    lib = pkcs11.lib
    refused = [
        pkcs11.exceptions.GeneralError,
        pkcs11.exceptions.NoSuchToken,
        pkcs11.exceptions.UserPinNotInitialized,
    ]

    def busy(module):
        if refused:
            raise refused.pop()
        return lib(module)

    monkeypatch.setattr(pkcs11, "lib", busy)
    assert load_signer().vkey == vkey
    assert not refused


def test_a_token_that_stays_so_is_told(monkeypatch):
    load_signer(may_create=True)
    pkcs11_store._forget_all()
    monkeypatch.setattr(pkcs11_store, "_PAUSE_SECONDS", 0)
    asked = []

    def broken(module):
        asked.append(module)
        raise pkcs11.exceptions.GeneralError

    monkeypatch.setattr(pkcs11, "lib", broken)
    with pytest.raises(SigningKeyUnreadable, match="GeneralError"):
        load_signer()
    assert len(asked) < 12


def test_a_rotation_retires_the_old_key_in_the_token():
    old = load_signer(may_create=True)
    new = begin_rotation()
    assert begin_rotation().vkey == new.vkey == next_signer().vkey
    assert load_signer().vkey == old.vkey
    finish_rotation(5)
    assert load_signer().vkey == load_vkey() == new.vkey != old.vkey
    assert next_signer() is None
    assert [(key.vkey, key.first, key.last) for key in load_vkeys()] == [(old.vkey, 0, 4), (new.vkey, 5, None)]
    finish_rotation(5)
    assert len(load_vkeys()) == 2


@pytest.mark.parametrize("done", range(5))
def test_a_rotation_that_died_between_two_steps_is_completed(monkeypatch, done):
    """``done`` of the four relabellings are made; then the process is gone, and another one loads the key."""
    old, new = load_signer(may_create=True), begin_rotation()
    relabel, steps = pkcs11_store._relabel, iter(range(5))

    def die(found, label):
        if next(steps) == done:
            raise KeyboardInterrupt
        relabel(found, label)

    monkeypatch.setattr(pkcs11_store, "_relabel", die)
    if done < 4:
        with pytest.raises(KeyboardInterrupt):
            finish_rotation(5)
    else:
        finish_rotation(5)
    monkeypatch.undo()
    assert load_signer().vkey == new.vkey
    finish_rotation(5)
    assert [(key.vkey, key.first, key.last) for key in load_vkeys()] == [(old.vkey, 0, 4), (new.vkey, 5, None)]
    assert next_signer() is None
    assert open_note(sign("text\n", load_signer()), new.verifier)


def test_a_wrong_pin_is_told_without_the_pin_and_not_tried_until_the_token_locks(settings):
    load_signer(may_create=True)
    pkcs11_store._sessions.clear()
    pkcs11_store._reset(settings.LEDGER_PKCS11_MODULE)
    settings.LEDGER_PKCS11_PIN = "a-wrong-pin"
    with pytest.raises(SigningKeyUnreadable, match="PinIncorrect") as refused:
        load_signer()
    for _ in range(20):
        with pytest.raises(SigningKeyUnreadable, match="not tried again") as refused_again:
            load_signer()
    assert "a-wrong-pin" not in str(refused.value) + str(refused_again.value)
    settings.LEDGER_PKCS11_PIN = PIN
    assert load_signer().vkey == load_vkey()


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("LEDGER_PKCS11_TOKEN", "nowhere", "NoSuchToken"),
        ("LEDGER_PKCS11_MODULE", "/nonexistent.so", "nonexistent"),
        ("LEDGER_PKCS11_MODULE", "", "LEDGER_PKCS11_MODULE"),
    ],
)
def test_a_module_or_token_that_is_not_there_is_named(settings, setting, value, said):
    setattr(settings, setting, value)
    with pytest.raises(SigningKeyUnreadable, match=said):
        load_signer(may_create=True)


def test_a_key_of_another_token_is_not_this_logs(settings):
    load_signer(may_create=True)
    settings.LEDGER_PKCS11_TOKEN = "another"
    with pytest.raises(SigningKeyMissing):
        load_signer(may_create=True)
    assert next_signer() is None


def test_without_the_library_the_way_to_install_it_is_told(monkeypatch):
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "pkcs11.exceptions", None)
        with pytest.raises(SigningKeyUnreadable, match=r"custody\[pkcs11\]"):
            load_signer(may_create=True)
