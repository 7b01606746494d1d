"""Arm the append-only triggers on sealed rows."""

from django.db import migrations

from ledger import append_only


# Named here and not taken from the module: a table that is added later has a migration of its own.
TABLES = ("ledger_entry", "ledger_checkpoint", "ledger_attachment")


def arm(apps, schema_editor):
    append_only.arm(schema_editor.connection, TABLES)


def disarm(apps, schema_editor):
    append_only.disarm(schema_editor.connection, TABLES)


class Migration(migrations.Migration):
    dependencies = [("ledger", "0001_initial")]
    operations = [migrations.RunPython(arm, disarm)]
