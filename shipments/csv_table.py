"""
Tables as spreadsheets save them: CSV whose delimiter is found out, with a header in any order and in two languages.

Trusts no file. What is wrong with one line is that line's fault, and the other lines are read all the same.
"""

import csv
import io
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from refusals import Refusal

DELIMITERS = ",;\t"
MAX_BYTES = 12 * 1024 * 1024  # 100,000 lines of 120 bytes
EXCERPT = 80


class TableRefused(Refusal):
    code = "table_refused"
    message = _("The file cannot be read: %(problem)s")
    status = 422


@dataclass(frozen=True, slots=True)
class LineFault:
    """Something on one line that cannot be used: where, the text, a stable code and what to do."""

    line: int
    text: str
    code: str
    sentence: Any


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table: its number in the file, counted from 1, and its cells by the columns' own names."""

    line: int
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    rows: Sequence[Row]
    faults: Sequence[LineFault]
    ignored: Sequence[str]
    """The header's names of columns that are none of those asked for."""


def read_text(content: bytes) -> str:
    """Return ``content`` as text, its byte order mark taken off. :raises TableRefused: where it is not UTF-8 text"""
    if len(content) > MAX_BYTES:
        raise TableRefused(problem=_("it has more than 12 MB. Split it, or leave out columns."))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TableRefused(problem=_("it is not UTF-8 text. Save it as “CSV UTF-8” and choose it again.")) from error
    if "\0" in text:
        raise TableRefused(problem=_("it is no text. Save the sheet as CSV and choose it again."))
    return text


def read_table(text: str, *, columns: Mapping[str, Sequence[str]], most: int) -> Table:
    """
    Read a CSV table with a header.

    Commas, semicolons or tabs part the cells, or what Excel's ``sep=`` line says. Empty lines are skipped, and those
    whose first cell begins with ``#``.

    :param columns: each column's own name, and the names that a header may give it; of a name count letters and digits
        alone, whatever their case and accents
    :param most: how many lines there may be; the next one is a fault, and nothing behind it is read
    :raises TableRefused: where the first line holds no known column, or one of them twice
    """
    known = {fold_name(spelling): name for name, spellings in columns.items() for spelling in (name, *spellings)}
    text = text.removeprefix("\ufeff")
    delimiter, skipped = _announced(text)
    lines = text.split("\n", 1)[1] if skipped and "\n" in text else "" if skipped else text
    delimiter = delimiter or _likely(lines, known)
    rows: list[Row] = []
    faults: list[LineFault] = []
    sentence: Any
    header: list[str] = []
    ignored: list[str] = []
    for number, cells in _records(lines, delimiter, faults, skipped):
        if not any(cells) or cells[0].startswith("#"):
            continue
        if not header:
            header, ignored = _read_header(cells, known)
            continue
        if len(rows) >= most:
            sentence = _("A file has at most %(most)s lines. Split it.") % {"most": most}
            faults.append(LineFault(number, "", "too_many_lines", sentence))
            break
        if any(cells[len(header) :]):
            sentence = _(
                "This line has more cells than the header. Put texts that hold the delimiter in quotation marks."
            )
            faults.append(LineFault(number, delimiter.join(cells)[:EXCERPT], "too_many_cells", sentence))
            continue
        rows.append(Row(number, {name: cell for name, cell in zip(header, cells, strict=False) if name and cell}))
    if not header:
        raise TableRefused(problem=_("it is empty."))
    return Table(rows, faults, ignored)


def fold_name(name: str) -> str:
    """Return a header's name as it is compared: no case, no accents, letters and digits alone."""
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in decomposed if letter.isalnum())


def write_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> bytes:
    """Return a CSV file that Excel opens as UTF-8; no cell of it is taken for a formula."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(header)
    writer.writerows([[_harmless(cell) for cell in row] for row in rows])
    return "\ufeff".encode() + out.getvalue().encode("utf-8", "replace")


def _harmless(cell: object) -> object:
    # A spreadsheet runs what begins so, and the cells are strangers' text.
    return f"'{cell}" if isinstance(cell, str) and cell.lstrip()[:1] in ("=", "+", "-", "@") else cell


def _announced(text: str) -> tuple[str, int]:
    """Return the delimiter that a ``sep=`` line names, and how many lines that took."""
    first = text.split("\n", 1)[0].rstrip("\r").strip('"')
    if first[:4].casefold() == "sep=" and len(first) <= 5:
        return first[4:] or "\t", 1
    return "", 0


def _likely(text: str, known: Mapping[str, str]) -> str:
    """The delimiter by which the first line that is no remark holds the most known columns."""
    first = next((line for line in text.split("\n") if line.strip() and not line.startswith("#")), "")
    found = {delimiter: sum(fold_name(cell) in known for cell in first.split(delimiter)) for delimiter in DELIMITERS}
    return max(DELIMITERS, key=lambda delimiter: found[delimiter])


def _read_header(cells: Sequence[str], known: Mapping[str, str]) -> tuple[list[str], list[str]]:
    header = [known.get(fold_name(cell), "") for cell in cells]
    names = [name for name in header if name]
    if not names:
        wanted = ", ".join(dict.fromkeys(known.values()))
        raise TableRefused(problem=_("its first line names no known column. Begin with a header: %s.") % wanted)
    for name in names:
        if names.count(name) > 1:
            raise TableRefused(problem=_("its header has the column “%s” twice.") % name)
    return header, [cell[:EXCERPT] for cell, name in zip(cells, header, strict=True) if cell and not name]


def _records(text: str, delimiter: str, faults: list[LineFault], skipped: int) -> Iterator[tuple[int, list[str]]]:
    """Yield each record with the number of the line it begins on; what is no CSV becomes a fault."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        begins = reader.line_num + 1 + skipped
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            faults.append(LineFault(begins, "", "not_csv", _("The quotation marks of this line do not match.")))
            continue
        yield begins, [" ".join(cell.split()) for cell in cells]
