"""Celery, for deployments that name a broker. Rows are the truth, tasks are hints: each task is a sweep over state."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "custody.settings")

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
        # What a lost hint left pending is sealed by the next sweep.
        "beat_schedule": {"seal-pending": {"task": "ledger.tasks.seal", "schedule": 5.0}},
    }
)
app.autodiscover_tasks(["ledger"])
