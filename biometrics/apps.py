import os

from django.apps import AppConfig
from django.conf import settings
from django.utils.translation import gettext_lazy as _


class BiometricsConfig(AppConfig):
    name = "biometrics"
    verbose_name = _("People and faces")

    def ready(self) -> None:
        # The engine knows no settings. Processes that this one starts inherit the folder with the environment.
        os.environ.setdefault("BIOMETRICS_MODELS_DIR", str(settings.VAR_DIR / "models"))

        from biometrics.engine.calibration import read_calibration, resubmission_e4
        from biometrics.engine.search_calibration import read_search_calibration
        from biometrics.retention_rules import read_rules

        # A slip in the hours stops the start, and not the purge of a night.
        read_rules()
        # Nor does a calibration file that does not read wait for the first person at the gate.
        read_calibration()
        read_search_calibration()
        resubmission_e4()
