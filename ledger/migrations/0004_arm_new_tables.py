"""Fill the tiles of a log that was begun without them, arm their triggers, and give old verification runs their state."""

from itertools import islice

from django.db import migrations

from ledger import append_only
from ledger.attachments import as_bytes
from ledger.tlog.merkle import leaf_hash, root

# Named here and not taken from the module: a table that is added later has a migration of its own.
TABLES = ("ledger_tile", "ledger_cosignature", "ledger_timestamp")


def arm(apps, schema_editor):
    append_only.arm(schema_editor.connection, TABLES)


def disarm(apps, schema_editor):
    append_only.disarm(schema_editor.connection, TABLES)


def fill_tiles(apps, schema_editor):
    """From the notes, as a stream: the columns beside them are looked up and never believed."""
    tile = apps.get_model("ledger", "Tile")
    notes = apps.get_model("ledger", "Entry").objects.order_by("index").values_list("note", flat=True)
    rows = (tile(**fields) for fields in _full_tiles(leaf_hash(as_bytes(note)) for note in notes.iterator(2048)))
    while some := list(islice(rows, 64)):
        tile.objects.bulk_create(some)


def empty_tiles(apps, schema_editor):
    apps.get_model("ledger", "Tile").objects.all().delete()


def _full_tiles(leaves):
    partial = []  # by level: the tile's index, and its hashes so far
    for part in leaves:
        for level in range(64):
            if level == len(partial):
                partial.append((0, []))
            index, hashes = partial[level]
            hashes.append(part)
            if len(hashes) < 256:
                break
            part = root(hashes)
            yield {"level": level, "index": index, "hashes": b"".join(hashes), "root": part}
            partial[level] = (index + 1, [])


def state_old_runs(apps, schema_editor):
    runs = apps.get_model("ledger", "VerificationRun").objects
    runs.filter(verdict__isnull=False).update(state="finished")
    runs.filter(verdict__isnull=True).update(state="failed")


class Migration(migrations.Migration):
    dependencies = [("ledger", "0003_tiles_witnesses_timestamps")]
    operations = [
        migrations.RunPython(state_old_runs, migrations.RunPython.noop),
        migrations.RunPython(fill_tiles, empty_tiles),
        migrations.RunPython(arm, disarm),
    ]
