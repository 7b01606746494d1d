"""Facts that stop a submission or the sealer. Each says what was expected and what was found."""

from django.utils.translation import gettext_lazy as _

from refusals import Refusal


class StatementRefused(Refusal):
    code = "statement_refused"
    message = _("The statement cannot be sealed: %(reason)s.")
    status = 400


class KeyReused(Refusal):
    code = "key_reused"
    message = _("The key %(key)s was used before with another content. Use a new key.")


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


class EntryChanged(SealingStopped):
    def __init__(self, *, index: int, expected: str, found: str) -> None:
        super().__init__(
            f"Entry {index} was sealed with leaf hash {expected} and now has {found}: it was changed in the database. "
            "Nothing is chained to it until it is as it was."
        )


class LastSignedMissing(SealingStopped):
    def __init__(self, *, folder: str, size: int) -> None:
        super().__init__(
            f"The database holds a checkpoint over {size} entries, but the last-signed store in {folder} is gone. "
            "Bring the store back; the log is not signed without it."
        )


class LastSignedMoved(SealingStopped):
    def __init__(self, *, expected: object, found: object) -> None:
        super().__init__(f"The last-signed store was expected at {expected} and stands at {found}.")


class SigningKeyMissing(SealingStopped):
    def __init__(self, *, path: str) -> None:
        super().__init__(
            f"The log's signing key is not at {path}. It is made with the first entry; where there are entries, bring "
            "the key back, since a new one would start another log."
        )


class AttachmentChanged(Exception):
    def __init__(self, *, expected: str, found: str) -> None:
        super().__init__(f"The attachment {expected} now hashes to {found}: it was changed in the database.")
