"""Reads a second over HTTP beside the database's own bulk load and a plain DRF view; a read's cost as they grow."""
