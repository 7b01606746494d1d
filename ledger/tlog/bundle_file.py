"""
The ZIP that a bundle is: read with nothing believed that the file says of itself, written alike for like content.

The directory is read here, and not by :mod:`zipfile`: there is one way to read it, the browser's verifier reads it the
same way, and its size is bounded. Members are unpacked against a limit of the caller's and never a declared size. One
whose checksum does not fit still yields its bytes, so that a verifier can name the entry in it.
"""

import os
import re
import struct
import zipfile
import zlib
from typing import IO, BinaryIO, NamedTuple, Self

from ledger.tlog.errors import TlogError, excerpt

# What one member may unpack to.
MAX_TEXT = 1 << 20
MAX_ENTRY = 70_000
MAX_ENTRY_BUNDLE = 17_000_000
MAX_ATTACHMENT = 64 << 20
# What a directory may hold: the tiles of 100 million entries, or half a million entries by themselves. A reader keeps
# a name and six numbers of each, some 300 bytes.
MAX_MEMBERS = 1 << 20
MAX_DIRECTORY = 1 << 28

NAME = re.compile(
    r"bundle\.json|README\.txt|policy|checkpoint|epoch\.json"
    r"|tile/[0-9a-z/.]{1,200}"
    r"|entry/(?:0|[1-9][0-9]{0,18})\.(?:note|tlog-proof)"
    r"|attachments/[0-9a-f]{64}"
    r"|timestamps/(?:0|[1-9][0-9]{0,18})\.(?:note|tsr|consistency)"
    r"|disclosures/[0-9a-f]{64}\.json"
)

# APPNOTE.TXT 6.3, sections 4.3.7, 4.3.12, 4.3.14 to 4.3.16.
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_LOCATOR = struct.Struct("<4sIQI")
_END_64 = struct.Struct("<4sQ2H2I4Q")
_STORED, _DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
_CHUNK = 1 << 16
_ENCRYPTED = 0x2041  # traditional, strong, and a masked directory
_MAX_NUMBER = (1 << 53) - 1  # what the browser's verifier can count to
# 1980, the earliest that a ZIP can say: the bytes depend on the content alone.
_DATE = (1980, 1, 1, 0, 0, 0)
# What reading hostile bytes raises.
_UNREADABLE = (OSError, EOFError, ValueError, OverflowError, struct.error, zlib.error)


class BundleMalformed(TlogError):
    """A file that is not a bundle, or a member of it that cannot be read."""


class _Member(NamedTuple):
    """What the directory says of a member."""

    name: str
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int


class BundleFile:
    """The members of a bundle by name."""

    def __init__(self, file: BinaryIO) -> None:
        """
        Read the directory.

        :raises BundleMalformed: if the file is no ZIP, or holds a member that no bundle has
        """
        self._file = file
        self._members: dict[str, _Member] = {}
        try:
            count, size, offset = self._find_directory()
            self._file.seek(offset)
            left = size
            while left and len(self._members) < count:
                left -= self._admit(left)
        except _UNREADABLE as error:
            raise BundleMalformed("bundle", expected="a ZIP file", found=excerpt(str(error))) from None
        if left or len(self._members) != count:
            raise BundleMalformed("bundle", expected=f"{count} files in the directory", found="another number of them")
        self._check_places(offset)

    def __contains__(self, name: str) -> bool:
        return name in self._members

    @property
    def names(self) -> list[str]:
        """The members' names, in the file's order."""
        return list(self._members)

    def read(self, name: str, limit: int = MAX_TEXT) -> bytes:
        """
        Return a member's content.

        :raises BundleMalformed: if there is none, it unpacks to more than ``limit`` bytes, or it is damaged
        """
        data, damage = self.salvage(name, limit)
        if damage:
            raise damage
        return data

    def salvage(self, name: str, limit: int) -> tuple[bytes, BundleMalformed | None]:
        """Return what can be unpacked of a member, and what is wrong with it, None where nothing is."""
        member = self._members.get(name)
        if member is None:
            return b"", BundleMalformed(name, expected="a file in the bundle", found="none of that name")
        data = bytearray()
        try:
            self._unpack(member, data, limit)
        except BundleMalformed as error:
            return bytes(data), error
        except _UNREADABLE as error:
            return bytes(data), BundleMalformed(name, expected="a readable file", found=excerpt(str(error)))
        return bytes(data), None

    def _find_directory(self) -> tuple[int, int, int]:
        """Return how many members there are, and the directory's size and place, by the very last bytes alone."""
        length = self._file.seek(0, os.SEEK_END)
        tail_size = _END.size + _LOCATOR.size + _END_64.size
        self._file.seek(max(0, length - tail_size))
        tail = self._file.read(tail_size)
        narrow = _END.unpack(tail[-_END.size :]) if len(tail) >= _END.size else (b"",) * 8
        if narrow[0] != b"PK\5\6" or narrow[7] != 0:
            raise BundleMalformed("bundle", expected="a ZIP file without a comment or anything behind it", found="more")
        told, behind = narrow[1:7], length - _END.size
        if tail[-_END.size - _LOCATOR.size :][:4] == b"PK\6\7" and len(tail) == tail_size:
            behind -= _LOCATOR.size + _END_64.size
            wide = _END_64.unpack_from(tail)
            if (
                wide[:2] != (b"PK\6\6", _END_64.size - 12)
                or _LOCATOR.unpack_from(tail, _END_64.size)[1:] != (0, behind, 1)
                or not all(few in (many, full) for few, many, full in zip(told, wide[4:], _FULL, strict=True))
            ):
                raise _not_whole()
            told = wide[4:]
        disk, first_disk, here, count, size, offset = told
        if (disk, first_disk, here) != (0, 0, count) or offset + size != behind:
            raise BundleMalformed(
                "bundle", expected=f"a directory that ends at byte {behind}", found=f"{size} bytes from {offset} on"
            )
        if count > MAX_MEMBERS or size > MAX_DIRECTORY:
            raise BundleMalformed("bundle", expected=f"at most {MAX_MEMBERS} files", found=f"{count} in {size} bytes")
        return count, size, offset

    def _admit(self, left: int) -> int:
        """Take the next member of the directory, of which ``left`` bytes are left; return how long its record is."""
        if left < _CENTRAL.size:
            raise _not_whole()
        (signature, _, _, flags, method, _, _, crc, packed, size, *lengths, _, _, _, offset) = _CENTRAL.unpack(
            self._file.read(_CENTRAL.size)
        )
        length = _CENTRAL.size + sum(lengths)
        if signature != b"PK\1\2" or length > left:
            raise _not_whole()
        rest = self._file.read(length - _CENTRAL.size)
        name, extra = rest[: lengths[0]].decode("latin-1"), rest[lengths[0] : lengths[0] + lengths[1]]
        if not NAME.fullmatch(name):
            raise BundleMalformed("file", expected="only files that a bundle has", found=excerpt(name))
        if name in self._members:
            raise BundleMalformed("file", expected="each name once", found=f"{excerpt(name)} twice")
        if method not in (_STORED, _DEFLATED) or flags & _ENCRYPTED:
            raise BundleMalformed(
                excerpt(name),
                expected="a file stored or deflated, in the clear",
                found=f"method {method}, flags {flags:#06x}",
            )
        size, packed, offset = _widened((size, packed, offset), extra)
        self._members[name] = _Member(name, flags, method, crc, packed, size, offset)
        return length

    def _check_places(self, end: int) -> None:
        # Members that share bytes unpack to far more than the file has; bytes before the first are another file's.
        at = 0
        for number, member in enumerate(sorted(self._members.values(), key=lambda member: member.offset)):
            if member.offset < at or (number == 0 and member.offset):
                raise BundleMalformed(
                    excerpt(member.name), expected=f"a place from byte {at} on", found=str(member.offset)
                )
            at = member.offset + _LOCAL_HEADER.size + len(member.name) + member.packed
        if at > end:
            raise BundleMalformed("bundle", expected="files before the directory", found=f"{at - end} bytes behind it")

    def _unpack(self, member: _Member, data: bytearray, limit: int) -> None:
        name = member.name
        self._file.seek(member.offset)
        fields = _LOCAL_HEADER.unpack(self._file.read(_LOCAL_HEADER.size))
        signature, flags, method, name_length, extra_length = fields[0], fields[2], fields[3], fields[9], fields[10]
        own = self._file.read(name_length)
        if (signature, own, method) != (b"PK\3\4", name.encode(), member.method) or flags & _ENCRYPTED:
            raise BundleMalformed(name, expected="a header as the directory has it", found=excerpt(own))
        self._file.seek(extra_length, 1)
        left, crc = member.packed, 0
        inflate = zlib.decompressobj(-zlib.MAX_WBITS) if method == _DEFLATED else None
        while left and not (inflate and inflate.eof):
            packed = self._file.read(min(_CHUNK, left))
            if not packed:
                raise BundleMalformed(name, expected=f"{left} more bytes", found="the end of the file")
            left -= len(packed)
            while packed:
                # Never more than one byte beyond the limit, whatever the stream would unpack to.
                room = limit + 1 - len(data)
                piece, packed = (
                    (inflate.decompress(packed, room), inflate.unconsumed_tail) if inflate else (packed, b"")
                )
                data += piece
                crc = zlib.crc32(piece, crc)
                if len(data) > limit:
                    del data[limit:]
                    raise BundleMalformed(name, expected=f"at most {limit} bytes", found="more")
        if left or (inflate and (not inflate.eof or inflate.unused_data)):
            raise BundleMalformed(name, expected="one whole deflated stream", found="another length")
        if (len(data), crc) != (member.size, member.crc):
            raise BundleMalformed(
                name,
                expected=f"{member.size} bytes with checksum {member.crc:08x}",
                found=f"{len(data)} bytes with {crc:08x}",
            )


# What stands in the end record's six numbers where the true ones are in its ZIP64 twin.
_FULL = (0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)


def _widened(numbers: tuple[int, int, int], extra: bytes) -> tuple[int, int, int]:
    """Return the numbers with those of the ZIP64 field (APPNOTE.TXT 4.5.3) where they are too large for their own."""
    found, at = list(numbers), 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        place, at = at + 4, at + 4 + length
        if at > len(extra):
            raise _not_whole()
        for number, value in enumerate(found if kind == 1 else ()):
            if value == 0xFFFFFFFF:
                if place + 8 > at:
                    raise _not_whole()
                (found[number],) = struct.unpack_from("<Q", extra, place)
                place += 8
    size, packed, offset = found
    if max(found) > _MAX_NUMBER:
        raise _not_whole()
    return size, packed, offset


def _not_whole() -> BundleMalformed:
    return BundleMalformed("bundle", expected="a ZIP file's directory", found="one that is not whole")


class BundleWriter:
    """Writes members one after the other; the same members in the same order make the same bytes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._archive = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED)

    def add(self, name: str, content: bytes) -> None:
        """
        Add one member.

        :raises BundleMalformed: if the bundle has as many as it may
        """
        if len(self._archive.filelist) >= MAX_MEMBERS:
            raise BundleMalformed("bundle", expected=f"at most {MAX_MEMBERS} files", found="more: bundle fewer entries")
        member = zipfile.ZipInfo(name, _DATE)
        member.compress_type = zipfile.ZIP_DEFLATED
        member.create_system = 3  # Unix, wherever this runs
        member.external_attr = 0o644 << 16
        self._archive.writestr(member, content, compresslevel=6)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Write the directory; the file itself stays the caller's."""
        self._archive.close()
