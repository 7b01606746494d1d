"""Windows and grades, as tables: what handoffs said goes in, where a tag was lost and how much that shows comes out."""

import pytest

from custody.tracing.grading import WEIGHTS, Doubt, Grade, grade_window
from custody.tracing.windows import Observed, Span, State, find_span

LETTERS = {
    "s": State.SEEN,
    "n": State.NOT_SEEN,
    "c": State.OTHER_CHIP,
    "i": State.INFERRED,
    "k": State.SKEWED,
    "u": State.UNEXPECTED,
    "-": State.NOT_LISTED,
    "?": State.UNKNOWN,
}


def observed(told: str) -> list[Observed]:
    """``s n2 i``: a letter for each handoff, and in how many clean sessions, where it was not one."""
    return [Observed(LETTERS[word[0]], int(word[1:] or 1)) for word in told.split()]


@pytest.mark.parametrize(
    ("told", "span"),
    [
        ("s s s", None),
        ("", None),
        ("i i", None),
        ("s i", None),
        ("s ?", None),
        ("s n2", Span(0, 1, 1)),
        ("s n", Span(0, 1, None)),
        ("s n0", Span(0, 1, None)),
        ("s n n", Span(0, 1, 2)),
        ("s n0 n n", Span(0, 1, 3)),
        ("s n3 n2", Span(0, 1, 1)),
        # Inferred, or read by a wrong clock, is neither seen nor missed: the window goes on behind it.
        ("s i n2", Span(0, 2, 2)),
        ("s k n2", Span(0, 2, 2)),
        ("s ? n2", Span(0, 2, 2)),
        # Seen again: it had been there all the time, and the newest sighting counts.
        ("s n2 s", None),
        ("s n2 s n2", Span(2, 3, 3, lapses=(1,))),
        # Another chip under its number shows at one look.
        ("s c", Span(0, 1, 1, swapped=True)),
        ("s i c", Span(0, 2, 2, swapped=True)),
        ("s n c", Span(0, 1, 2)),
        # Never seen.
        ("n2", Span(None, 0, 0)),
        ("i n2", Span(None, 1, 1)),
        ("- n2", Span(None, 1, 1)),
    ],
)
def test_where_a_tag_was_lost(told: str, span: Span | None) -> None:
    assert find_span(observed(told)) == span


def test_nothing_against_it_is_direct() -> None:
    graded = grade_window([])
    assert graded.grade == Grade.DIRECT
    assert "was not seen in two sessions" in graded.reasons[0]


@pytest.mark.parametrize(
    ("doubts", "grade"),
    [
        ([Doubt.SEVERAL_CUSTODIANS], Grade.INFERRED),
        ([Doubt.OPENED_BY_OTHERS], Grade.INFERRED),
        ([Doubt.STRANGER_NEAR, Doubt.REFUSED_ATTEMPT], Grade.INFERRED),
        ([Doubt.NO_FACE], Grade.INFERRED),
        ([Doubt.ROW_DIFFERS], Grade.INFERRED),
        ([Doubt.ONE_SESSION], Grade.INCONCLUSIVE),
        ([Doubt.NEVER_SEEN], Grade.INCONCLUSIVE),
        ([Doubt.READER_SILENT, Doubt.SEEN_ELSEWHERE], Grade.INCONCLUSIVE),
        ([Doubt.CHAIN_BROKEN, Doubt.SEAL_INTACT], Grade.INCONCLUSIVE),
    ],
)
def test_the_worst_doubt_is_the_grade(doubts: list[Doubt], grade: Grade) -> None:
    assert grade_window(doubts).grade == grade


def test_every_doubt_has_a_sentence_and_leaves_nothing_direct() -> None:
    assert set(WEIGHTS) == set(Doubt)
    for doubt in Doubt:
        graded = grade_window([doubt])
        assert graded.grade != Grade.DIRECT
        assert graded.reasons[0].endswith(".")


def test_reasons_stand_in_the_order_of_the_table_each_once() -> None:
    graded = grade_window([Doubt.SEAL_INTACT, Doubt.CHAIN_BROKEN, Doubt.SEAL_INTACT])
    assert graded.doubts == [Doubt.CHAIN_BROKEN, Doubt.SEAL_INTACT]
