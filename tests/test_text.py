"""Foreign text is one printable line of bounded length, whatever it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bci_m2s.text import printable, quoted


@given(st.text(st.characters(), max_size=300), st.integers(1, 100))
def test_any_text_is_a_line_of_bounded_length(text, most):
    assert printable(text, most).isprintable()
    assert len(printable(text, most)) <= most
    assert quoted(text, most).isprintable()
    assert eval(quoted(text, most)) in (text, text[: most - 1] + "…")


@pytest.mark.parametrize(
    ("text", "most", "expected"),
    [
        ("two\r\n  lines\tx", 20, "two lines x"),
        ("  own  blanks", 20, "  own  blanks"),
        ("\x1b[31mred", 20, "?[31mred"),
        ("abcdef", 5, "abcd…"),
        ("abcde", 5, "abcde"),
        (ValueError(), 20, "ValueError"),
        (12, 5, "12"),
    ],
)
def test_what_a_line_looks_like(text, most, expected):
    assert printable(text, most) == expected


def test_what_is_quoted_keeps_its_blanks():
    assert quoted(" Fp1\n") == r"' Fp1\n'"
    assert quoted("a" * 9, 4) == "'aaa…'"
    assert quoted([1, 2], 60) == "[1, 2]"
    assert len(quoted(list(range(1000)), 60)) == 60
