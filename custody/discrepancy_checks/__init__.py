"""
Checks that look for discrepancies in the background, each a part of the ledger's sweep.

A check goes on from a cursor in the database, does a bounded amount of work, and commits what it found together with
the cursor: killed anywhere, the next sweep goes on from there. What it finds twice is one.
"""
