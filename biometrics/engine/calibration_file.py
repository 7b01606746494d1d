"""
Read a calibration file, or say in which line and column it cannot be read.

The file decides whose face matches, so nothing in it is guessed, skipped or rounded.
"""

import csv
import hashlib
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from biometrics.engine.errors import EngineUnusable

_RATE = re.compile(r"1e-[1-9]")
# A distance between vectors of length one is at most 2, and it is decided in ten-thousandths.
_DISTANCE = re.compile(r"[01]\.\d{1,4}")
_SHARE = re.compile(r"0(\.\d{1,9})?|1(\.0{1,9})?")
_COUNT = re.compile(r"[1-9]\d{0,8}")


class CalibrationUnreadable(EngineUnusable):
    """A calibration file does not read; nothing is decided with a part of it."""

    def __init__(self, *, path: Path, found: str, line: int | None = None, column: str | None = None) -> None:
        self.line, self.column = line, column
        at = "".join([f", line {line}" if line else "", f", column {column}" if column else ""])
        super().__init__(f"the calibration file {path}{at}: {found}")


@dataclass(frozen=True)
class Cells:
    """One line of the file: its cells by column, each read as what it has to be."""

    path: Path
    line: int
    values: dict[str, str]

    def text(self, column: str) -> str:
        return self._matching(column, lambda value: bool(value) and value.isprintable(), "a name")

    def one_of(self, column: str, *known: str) -> str:
        return self._matching(column, known.__contains__, " or ".join(known))

    def count(self, column: str) -> int:
        return int(self._matching(column, _COUNT.fullmatch, "a whole number from 1 on"))

    def rate(self, column: str) -> str:
        """Read a rate to aim at, kept as it is written: it is looked up by its text."""
        return self._matching(column, _RATE.fullmatch, "a rate such as 1e-4")

    def share(self, column: str) -> Decimal:
        return Decimal(self._matching(column, _SHARE.fullmatch, "a share from 0 to 1"))

    def distance_e4(self, column: str) -> int:
        """Read a distance, in ten-thousandths."""
        return int(Decimal(self._matching(column, _DISTANCE.fullmatch, "a distance such as 0.3450")) * 10_000)

    def refuse(self, column: str, found: str) -> CalibrationUnreadable:
        return CalibrationUnreadable(path=self.path, line=self.line, column=column, found=found)

    def _matching(self, column: str, fits: Callable[[str], object], wanted: str) -> str:
        value = self.values[column]
        if not fits(value):
            raise self.refuse(column, f"{value!r} stands where {wanted} is expected")
        return value


@dataclass(frozen=True)
class CalibrationFile:
    sha256: str
    lines: Sequence[Cells]


def read_file(path: Path, *, columns: Sequence[str]) -> CalibrationFile:
    """
    Read a file of exactly these columns and at least one line.

    :raises CalibrationUnreadable:
    """
    try:
        content = path.read_bytes()
        text = content.decode("utf-8")
    except OSError as cause:
        raise CalibrationUnreadable(path=path, found=cause.strerror or "it cannot be opened") from cause
    except UnicodeDecodeError as cause:
        raise CalibrationUnreadable(path=path, found=f"byte {cause.start} is not UTF-8") from cause
    lines = list(_lines(path, text, columns))
    if not lines:
        raise CalibrationUnreadable(path=path, found="it has no row")
    return CalibrationFile(sha256=hashlib.sha256(content).hexdigest(), lines=lines)


def _lines(path: Path, text: str, columns: Sequence[str]) -> Iterator[Cells]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        heading = next(reader, [])
        for number, name in enumerate(columns):
            if heading[number : number + 1] != [name]:
                raise CalibrationUnreadable(path=path, line=1, column=name, found="the heading does not name it here")
        if len(heading) > len(columns):
            raise CalibrationUnreadable(path=path, line=1, column=heading[len(columns)], found="it is not known")
        for row in reader:
            if len(row) < len(columns):
                raise CalibrationUnreadable(
                    path=path, line=reader.line_num, column=columns[len(row)], found="the line ends before it"
                )
            if len(row) > len(columns):
                raise CalibrationUnreadable(
                    path=path, line=reader.line_num, found=f"it has {len(row)} cells and {len(columns)} columns"
                )
            yield Cells(path=path, line=reader.line_num, values=dict(zip(columns, row, strict=True)))
    except csv.Error as cause:
        raise CalibrationUnreadable(path=path, line=reader.line_num, found=str(cause)) from cause
