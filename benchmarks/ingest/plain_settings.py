"""Custody's settings, with the plain view alone behind the same middleware."""

from custody.settings import *  # noqa: F403

ROOT_URLCONF = "benchmarks.ingest.plain_view"
