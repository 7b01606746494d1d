"""Reads a second over HTTP beside the database's own bulk load and a plain DRF view, and what a read costs as they grow."""
