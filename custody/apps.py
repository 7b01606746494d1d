from django.apps import AppConfig
from django.conf import settings


class CustodyConfig(AppConfig):
    name = "custody"
    verbose_name = "Custody"

    def ready(self) -> None:
        if settings.BROKER_URL:
            # Only then: a process without a broker neither needs Celery nor pays for importing it.
            from custody import celery  # noqa: F401
