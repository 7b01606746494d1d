"""What makes bytes unacceptable, as facts: each error says what was expected and what was found."""


def excerpt(value: object, limit: int = 80) -> str:
    """Show ``value`` as Python writes it, cut to ``limit`` characters: it comes from whoever made the bytes."""
    if isinstance(value, (str, bytes)) and len(value) > limit:
        return f"{value[:limit]!r}… ({len(value)} {'bytes' if isinstance(value, bytes) else 'characters'})"
    shown = repr(value)
    return shown if len(shown) <= limit else f"{shown[:limit]}…"


class TlogError(Exception):
    """Bytes, a key or a proof that the format does not admit."""

    def __init__(self, what: str, *, expected: str, found: str) -> None:
        super().__init__(f"{what}: expected {expected}, found {found}")
        self.what = what
        self.expected = expected
        self.found = found


class NotCanonical(TlogError):
    """A value or a text outside the restricted RFC 8785 JSON."""


class TimeMalformed(TlogError):
    """A time that is not RFC 3339 UTC with milliseconds."""


class SaltMalformed(TlogError):
    """A commitment's salt that is not 32 bytes."""


class Base64Malformed(TlogError):
    """Text that is not the one base64 encoding of its bytes."""


class VerifierKeyMalformed(TlogError):
    """A key name or a verifier key line that the signed-note format does not admit."""


class NoteMalformed(TlogError):
    """Bytes that are not a signed note."""


class SignatureNotVerified(TlogError):
    """A note that no known key signed, or that a known key's signature does not fit."""


class EntryMalformed(TlogError):
    """A note that is not an entry."""


class EntryTooLarge(EntryMalformed):
    """An entry of more bytes than a leaf may have."""


class KindNotAdmitted(EntryMalformed):
    """An entry of an unknown kind, or a genesis that is not entry 0."""


class CheckpointMalformed(TlogError):
    """A text that is not a checkpoint."""


class OriginNotPinned(CheckpointMalformed):
    """A checkpoint of another log than the one that was asked for."""


class FrontierMalformed(TlogError):
    """Bytes that are not a compact range of the stated size."""


class ProofNotVerified(TlogError):
    """An inclusion or consistency proof that does not lead to the root."""


class TileMalformed(TlogError):
    """Bytes that are not the tile or entry bundle that was asked for, or a path that is none."""


class PolicyMalformed(TlogError):
    """A text that is not a trust policy."""


class TlogProofMalformed(TlogError):
    """A text that is not a tlog-proof."""


class RotationMalformed(TlogError):
    """The body of a key_rotated entry that does not prove what it claims."""


class EpochMalformed(TlogError):
    """The body of an index_epoch entry, or a proof under it, that has another form."""


class TimestampNotVerified(TlogError):
    """A timestamp that is not over the stated bytes, or under no pinned root."""


class StateNotUsable(TlogError):
    """A file that was to hold how far a verification came, and holds something else."""
