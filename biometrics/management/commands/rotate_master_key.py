"""Wrap every person's key with a new master key. The evidence itself is not touched, and everybody works on."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from biometrics.errors import (
    EvidenceNotOpened,
    KeyServiceFailed,
    MasterKeyMalformed,
    MasterKeyMissing,
    MasterKeyWrong,
)
from biometrics.master_keys import destroy_key_file, make_new_master_key_file, master_key
from biometrics.models import PersonKey
from biometrics.vault import rewrap_person_keys


class Command(BaseCommand):
    help = (
        "Wrap the persons' keys with the current master key. First name the new key (BIOMETRICS_MASTER_KEY, with the "
        "old one in BIOMETRICS_MASTER_KEYS_BEFORE, in every process), or let --new-file make one. It may be stopped "
        "and run again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--new-file", action="store_true", help="first put a new key in the key file")
        parser.add_argument("--batch", type=int, default=500)
        parser.add_argument(
            "--destroy-old",
            metavar="KEY_ID",
            help="then destroy the file of this key, if it wraps nothing any more",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._rotate(options)
        except (KeyServiceFailed, MasterKeyMalformed, MasterKeyMissing, MasterKeyWrong, EvidenceNotOpened) as error:
            raise CommandError(f"{error}. What was wrapped anew stays so; run it again.") from error

    def _rotate(self, options: dict[str, Any]) -> None:
        if options["new_file"]:
            before, new = make_new_master_key_file()
            self.stdout.write(f"The key {new} is made; {before} is kept beside it.")
        total, left = 0, 1
        while left:
            done, left = rewrap_person_keys(batch=options["batch"])
            total += done
            if not done:
                break
        self.stdout.write(f"{total} keys wrapped anew with {master_key().key_id}; {left} left.")
        if left:
            raise CommandError("Keys are left that do not unwrap, or that others changed meanwhile: run it again.")
        if options["destroy_old"]:
            self._destroy(options["destroy_old"])

    def _destroy(self, key_id: str) -> None:
        if key_id == master_key().key_id or PersonKey.objects.filter(master_key_id=key_id).exists():
            raise CommandError(f"{key_id} still wraps keys, and stays.")
        if not destroy_key_file(key_id):
            raise CommandError(f"There is no file of the key {key_id}.")
        self.stdout.write(f"The file of {key_id} is destroyed. Backups from before need it: destroy them too.")
