"""Facts that stop a submission, the sealer or a verification. Each says what was expected and what was found."""

from django.utils.translation import gettext_lazy as _

from refusals import Refusal


class StatementRefused(Refusal):
    code = "statement_refused"
    message = _("The statement cannot be sealed: %(reason)s.")
    status = 400


class KeyReused(Refusal):
    code = "key_reused"
    message = _("The key %(key)s was used before with another content. Use a new key.")


class VerifierKeyMissing(Refusal):
    code = "verifier_key_missing"
    message = _(
        "The log’s verifier key is not at %(path)s, so that nothing was verified. Where the signing key is, "
        "manage.py ledger_key writes it; or copy that file from there."
    )


class PolicyFileUnreadable(VerifierKeyMissing):
    code = "policy_file_unreadable"
    message = _("The policy file %(path)s cannot be read, so that nothing was verified: %(why)s.")


class TileNotThere(Refusal):
    code = "tile_not_there"
    message = _("This log has no %(path)s.")
    status = 404


class EpochNotThere(Refusal):
    code = "epoch_not_there"
    message = _("Entry %(index)s is no index epoch.")
    status = 404


class EpochNotRecomputed(Refusal):
    code = "epoch_not_recomputed"
    message = _(
        "The index epoch at entry %(index)s commits to %(expected)s, and the entries before it now give %(found)s: "
        "they were changed in the database. A deep verification says which."
    )


class AttachmentChanged(Refusal):
    code = "attachment_changed"
    message = _("The attachment %(expected)s now hashes to %(found)s: it was changed in the database.")


class SealingStopped(Exception):
    """The sealer declines to sign; what was submitted stays pending."""


class LogWentBack(SealingStopped):
    def __init__(self, *, database: int, signed: int) -> None:
        super().__init__(
            f"The database holds {database} entries, but {signed} were once signed: it was restored from an older "
            "backup or entries were removed. Restore a database that holds them all."
        )
        self.database, self.signed = database, signed


class LogForked(SealingStopped):
    def __init__(self, *, size: int, expected: str, found: str) -> None:
        super().__init__(f"The tree over the first {size} entries was signed as {expected}, the database has {found}.")


class LogHeadChanged(SealingStopped):
    def __init__(self, *, expected: str, found: str) -> None:
        super().__init__(
            f"The sealer's head (ledger_loghead) should be {expected} and is {found}: it was changed in the database. "
            "Nothing is signed until it is as it was."
        )


class EntryChanged(SealingStopped):
    def __init__(self, *, index: int, what: str, expected: object, found: object) -> None:
        super().__init__(
            f"Entry {index} is not as this log's key sealed it ({what}: expected {expected}, found {found}): it was "
            "changed in the database. Nothing is chained to it until it is as it was."
        )


class TilesChanged(SealingStopped):
    def __init__(self, *, tile: str, expected: str, found: str) -> None:
        super().__init__(
            f"The rows that {tile} continues do not add up to the signed tree (expected {expected}, found {found}): "
            "they were changed in the database. Nothing is sealed until they are as they were."
        )
        self.tile = tile


class EpochNotWhole(SealingStopped):
    def __init__(self, *, index: int, counted: int) -> None:
        super().__init__(
            f"The subjects of the first {index} entries have {counted} entries between them: entries were moved or "
            "removed in the database. No index epoch is sealed until they are as they were."
        )
        self.index, self.counted = index, counted


class SigningKeyRetired(SealingStopped):
    def __init__(self, *, index: int, expected: str, found: str) -> None:
        super().__init__(
            f"Entry {index} handed the log over to the key {expected}, and the signing key here is {found}. Bring the "
            "new key; the old one does not sign any more."
        )
        self.index, self.expected, self.found = index, expected, found


class StatementChanged(SealingStopped):
    def __init__(self, *, key: str, why: object) -> None:
        super().__init__(
            f"The pending statement {key} cannot be sealed any more ({why}): it was changed in the database after it "
            "was submitted. Nothing is sealed until it is as it was."
        )
        self.key = key


class LastSignedMissing(SealingStopped):
    def __init__(self, *, folder: str, size: int) -> None:
        super().__init__(
            f"The database holds a checkpoint over {size} entries, but the last-signed store in {folder} is gone. "
            "Bring the store back; the log is not signed without it."
        )


class LastSignedUnreadable(SealingStopped):
    def __init__(self, *, path: str, why: object) -> None:
        super().__init__(
            f"The last-signed store {path} cannot be read ({why}). Bring back what it held; the log is not signed "
            "without it."
        )
        self.path, self.why = path, why


class LastSignedOfAnotherLog(SealingStopped):
    def __init__(self, *, path: str, expected: str, found: str) -> None:
        super().__init__(
            f"The last-signed store {path} is of the log {found}, and this log is {expected}. Bring this log's store "
            "back, or name the log as it was named when it was signed (LEDGER_ORIGIN)."
        )
        self.path, self.expected, self.found = path, expected, found


class LastSignedMoved(SealingStopped):
    def __init__(self, *, expected: object, found: object) -> None:
        super().__init__(f"The last-signed store was expected at {expected} and stands at {found}.")


class SigningKeyMissing(SealingStopped):
    def __init__(self, *, path: str) -> None:
        super().__init__(
            f"The log's signing key is not at {path}. It is made with the first entry; where there are entries, bring "
            "the key back, since a new one would start another log."
        )


class SigningKeyUnreadable(SealingStopped):
    def __init__(self, *, path: str, why: object) -> None:
        super().__init__(f"The log's signing key at {path} cannot be used: {why}.")


class VerifierKeyChanged(SealingStopped):
    def __init__(self, *, path: str, expected: str, found: str) -> None:
        super().__init__(
            f"The verifier key in {path} is {found}, but the signing key and the log's name make it {expected}. Bring "
            "back the key and the name (LEDGER_ORIGIN) that the log was begun with."
        )


class KeyStoreUnknown(SealingStopped):
    def __init__(self, *, expected: str, found: str) -> None:
        super().__init__(f"LEDGER_KEY_STORE should be {expected} and is {found!r}.")


class RotationNotBegun(SealingStopped):
    def __init__(self, *, first: int, found: str) -> None:
        super().__init__(
            f"No key can take over at entry {first}: the key that signs now is {found}, and no next key that could "
            "follow it there was made. manage.py ledger_key rotate begins a rotation."
        )
