"""Seal what is pending, over and over, until it is killed: ``python -m tests.durability.sealer``."""

import logging
import os
import time

import django


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "custody.settings"
    django.setup()
    logging.getLogger().setLevel(logging.WARNING)
    from ledger.sealing import seal_pending

    while True:
        if seal_pending() is None:
            time.sleep(0.01)


if __name__ == "__main__":
    main()
