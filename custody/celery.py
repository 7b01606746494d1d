"""Celery, for deployments that name a broker. Rows are the truth, tasks are hints: each task is a sweep over state."""

import os
from typing import Any

from celery import Celery
from celery.signals import worker_process_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "custody.settings")

# Read as the settings read it: they are not there yet when a worker imports this module.
SWEEP_EVERY = float(os.environ.get("LEDGER_SWEEP_EVERY", 10))

app = Celery("custody")
app.config_from_object(
    {
        "broker_url": os.environ.get("BROKER_URL", ""),
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_acks_late": True,
        "worker_prefetch_multiplier": 1,
        "task_ignore_result": True,
        "broker_connection_retry_on_startup": True,
        # A worker process loads and checks the face models before it says that it is up.
        "worker_proc_alive_timeout": 60.0,
        # What a lost hint left is done by the next sweep. Messages expire, so that a worker that was away does not find
        # hundreds of them.
        "beat_schedule": {
            "sweep": {"task": "ledger.tasks.sweep", "schedule": SWEEP_EVERY, "options": {"expires": SWEEP_EVERY}},
            "verify-waiting": {"task": "ledger.tasks.verify_waiting", "schedule": 60.0, "options": {"expires": 60.0}},
        },
    }
)
app.autodiscover_tasks(["ledger", "shipments.epcis"])


@worker_process_init.connect
def _load_models(**event: Any) -> None:
    """Load the face models in each worker process: what the parent loaded does not survive the fork."""
    from biometrics.engine.analysis import warm_up

    warm_up()
