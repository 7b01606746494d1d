"""
Time the ledger beside its peers: sealing beside the bare database, verifying beside the bare signature library, and how
both grow with the log.

Everything runs through the services that the product uses, in folders and databases that are made for the run and
removed after it. Peers and product take turns in one run; only the ratios are worth comparing between machines.
"""
