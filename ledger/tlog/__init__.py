"""
The log's format, and the verifier for it: pure Python and ``cryptography``, with no Django and no database.

An auditor can take this folder alone and check a log with it; docs/ledger-format.md says how to write another one.
"""
