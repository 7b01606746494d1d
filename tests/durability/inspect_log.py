"""
Seal the rest, verify everything, and tell what the log holds, as JSON: ``python -m tests.durability.inspect_log``.

``sealed`` maps each submission's key to how many entries hold it, as the entries' own bodies say.
"""

import json
import logging
import os
import sys
from collections import Counter

import django


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "custody.settings"
    django.setup()
    logging.getLogger().setLevel(logging.WARNING)
    from ledger import tiles
    from ledger.models import Checkpoint, Entry, Statement
    from ledger.own_policy import own_policy
    from ledger.sealing import seal_all
    from ledger.tlog.entry import parse_entry
    from ledger.verification import verify_log

    seal_all()
    verdict = verify_log(policy=own_policy(), workers=2)
    sealed: Counter[str] = Counter()
    for note in Entry.objects.filter(kind="handoff").order_by("index").values_list("note", flat=True):
        body = parse_entry(bytes(note)).body
        sealed[f"{body['writer']}:{body['number']}"] += 1
    newest = Checkpoint.objects.order_by("-size").first()
    json.dump(
        {
            "status": verdict.status,
            "sentence": verdict.sentence(),
            "entries": Entry.objects.count(),
            "handoffs": Entry.objects.filter(kind="handoff").count(),
            "statements": Statement.objects.count(),
            "pending": Statement.objects.filter(entry__isnull=True).count(),
            "size": newest.size if newest else 0,
            "root": bytes(newest.root).hex() if newest else "",
            "root_of_tiles": tiles.tree(newest.size).root().hex() if newest else "",
            "sealed": sealed,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
