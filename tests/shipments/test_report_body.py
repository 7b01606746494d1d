import io

import pytest

from shipments.report_body import MAX_BODY, ReportTooLarge, read_report_body


class Endless:
    """A stream that never says how long it is, and counts what is taken from it."""

    taken = 0

    def read(self, size: int, /) -> bytes:
        self.taken += size
        return b" " * size


def test_a_body_that_hides_its_length_is_read_to_the_cap_and_no_further() -> None:
    stream = Endless()
    with pytest.raises(ReportTooLarge):
        read_report_body(stream=stream, declared_length="", encoding="")
    assert stream.taken == MAX_BODY + 1


def test_a_body_that_says_it_is_too_long_is_not_read_at_all() -> None:
    stream = Endless()
    with pytest.raises(ReportTooLarge):
        read_report_body(stream=stream, declared_length="9" * 30, encoding="gzip")
    assert stream.taken == 0


@pytest.mark.parametrize("declared", ["", "2", "٢", "-1", "two"])
def test_a_strange_length_is_not_trusted(declared: str) -> None:
    assert read_report_body(stream=io.BytesIO(b"[]"), declared_length=declared, encoding=" Identity ") == b"[]"


def test_no_body_at_all() -> None:
    assert read_report_body(stream=None, declared_length="0", encoding="") == b""
