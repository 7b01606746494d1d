"""Tables as spreadsheets save them."""

import csv
import io

import pytest

from shipments.csv_table import MAX_BYTES, Table, TableRefused, read_table, read_text, write_table

COLUMNS = {"epc": ("tag", "etiqueta"), "description": ("descripción",), "origin": ("país de origen",)}


def table(text: str, most: int = 100) -> Table:
    return read_table(text, columns=COLUMNS, most=most)


def cells(text: str) -> list[dict[str, str]]:
    return [dict(row.cells) for row in table(text).rows]


@pytest.mark.parametrize(
    "text",
    [
        "epc,description\nAB,Box\n",
        "EPC;Description\r\nAB;Box\r\n",
        "epc\tdescription\nAB\tBox",
        "sep=;\nepc;description\nAB;Box",
        "\ufeffsep=,\r\nTag,Descripción\r\nAB,Box",
        '"Etiqueta";"DESCRIPCION"\n"AB";"Box"\n',
        "description,epc\nBox,AB",
        "\n# a remark\nepc,description\n\n# another\nAB,Box\n,,\n",
        "epc , description\n AB ,  Box ",
    ],
)
def test_every_spelling_of_one_table_is_the_same(text: str) -> None:
    assert cells(text) == [{"epc": "AB", "description": "Box"}]


def test_a_row_is_named_by_the_line_it_begins_on_even_behind_quoted_newlines() -> None:
    found = table('sep=,\nepc,description\n"AB","two\nlines"\nCD,Box\n')
    assert [(row.line, row.cells["description"]) for row in found.rows] == [(3, "two lines"), (5, "Box")]


def test_a_cell_may_hold_the_delimiter_and_quotes() -> None:
    assert cells('epc,description\nAB,"Box, ""large"""')[0]["description"] == 'Box, "large"'


def test_columns_that_are_not_asked_for_are_named() -> None:
    found = table("epc,colour,description\nAB,red,Box")
    assert found.ignored == ["colour"]
    assert dict(found.rows[0].cells) == {"epc": "AB", "description": "Box"}


def test_a_line_with_more_cells_than_the_header_is_a_fault_and_the_others_are_read() -> None:
    found = table("epc,description\nAB,Box,large\nCD,Box\nEF,Box,\n")
    assert [(fault.line, fault.code) for fault in found.faults] == [(2, "too_many_cells")]
    assert [row.cells["epc"] for row in found.rows] == ["CD", "EF"]


def test_an_open_quotation_mark_is_a_fault_of_its_line() -> None:
    found = table('epc,description\nAB,"Box"x\nCD,Box\nEF,"open\n')
    assert [(fault.line, fault.code) for fault in found.faults] == [(2, "not_csv"), (4, "not_csv")]
    assert [row.cells["epc"] for row in found.rows] == ["CD"]


def test_there_is_an_end_to_lines() -> None:
    found = table("epc\n" + "AB\n" * 5, most=3)
    assert len(found.rows) == 3
    assert [(fault.line, fault.code) for fault in found.faults] == [(5, "too_many_lines")]


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "it is empty"), ("sep=;", "it is empty"), ("AB,Box\n", "no known column"), ("epc,tag\nA,B", "“epc” twice")],
)
def test_a_table_without_a_header_says_what_it_needs(text: str, says: str) -> None:
    with pytest.raises(TableRefused, match=says):
        table(text)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("epc\nñ".encode("cp1252"), "UTF-8"),
        ("epc".encode("utf-16"), "UTF-8"),
        (b"epc\n\0", "no text"),
        (b"a" * (MAX_BYTES + 1), "12 MB"),
    ],
)
def test_bytes_that_are_no_text_are_refused(content: bytes, says: str) -> None:
    with pytest.raises(TableRefused, match=says):
        read_text(content)


def test_a_report_runs_nothing_in_a_spreadsheet() -> None:
    written = write_table(("line", "text"), [(2, "=HYPERLINK(1)"), (3, " @x"), (4, 'año, "y"')])
    assert written.startswith("\ufeff".encode())
    rows = list(csv.reader(io.StringIO(written.decode("utf-8-sig"), newline="")))
    assert rows[1:] == [["2", "'=HYPERLINK(1)"], ["3", "' @x"], ["4", 'año, "y"']]
