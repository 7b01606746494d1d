"""The face models are loaded before the first request needs them, or the process says why it does not start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from celery.signals import worker_process_init
from django.apps import apps
from django.conf import settings

from biometrics.engine import descriptor
from custody.celery import app

ROOT = Path(__file__).resolve().parent.parent.parent


def test_a_worker_process_loads_the_models_when_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptor, "_loaded", None)
    answers = worker_process_init.send(sender=None)
    assert [answer for _, answer in answers if isinstance(answer, Exception)] == []
    assert descriptor._loaded is not None
    assert app.conf.worker_proc_alive_timeout >= 30


def test_the_converted_network_is_kept_beside_the_other_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BIOMETRICS_MODELS_DIR", raising=False)
    apps.get_app_config("biometrics").ready()
    assert os.environ["BIOMETRICS_MODELS_DIR"] == str(settings.VAR_DIR / "models")


def test_serve_does_not_start_with_an_engine_that_is_not_there(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "serve", "--port", "0"],
        cwd=ROOT,
        env=os.environ | {"CUSTODY_VAR": str(tmp_path), "BIOMETRICS_ENGINE": "abacus"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    expected = "CommandError: The faces cannot be compared: BIOMETRICS_ENGINE is 'abacus': set it to one of"
    assert done.stderr == f"{expected} onnxruntime, dlib.\n"
