"""Random logs, and every way we know to tamper with one: see README.md."""
