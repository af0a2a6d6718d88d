"""Text of strangers on a terminal: harmless, and as wide as it says."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from stream.terminal import clean, column, display

FSI, PDI = "\u2068", "\u2069"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;owned\x07title", "]0;ownedtitle"),
        ("\x9b2Jtitle", "2Jtitle"),
        ("one\r\x08\x08two", "one two"),
        ("a\u2028b\x85c", "a b c"),
        ("\u202egnikaerb\u202c", "gnikaerb"),
        ("\u2066\u2067\u2068nested\u2069", "nested"),
        ("\ud800half", "half"),
        ("soft\u00adhyphen\ufeff\u200b", "softhyphen"),
    ],
)
def test_nothing_that_commands_a_terminal_or_reorders_text_passes(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_what_writing_needs_is_kept() -> None:
    assert clean("خانواده\u200cها") == "خانواده\u200cها"
    assert clean("مُتَّفَقٌ عليه") == "مُتَّفَقٌ عليه"
    assert clean("👩\u200d🚀 🔴") == "👩\u200d🚀 🔴"


def test_letters_are_not_joined_as_emoji_are() -> None:
    assert clean("a\u200db") == "ab"


def test_right_to_left_text_is_isolated_and_left_in_its_order() -> None:
    assert display("عاجل: استقالة الحكومة", 40) == f"{FSI}عاجل: استقالة الحكومة{PDI}"
    assert display("Parliament votes", 40) == "Parliament votes"


def test_a_cut_title_keeps_its_isolates() -> None:
    assert display("استقالة الحكومة", 8) == f"{FSI}استقالة…{PDI}"


@pytest.mark.parametrize(
    ("text", "cells"),
    [("مُتَّفَقٌ", 4), ("عـــاجـــل", 10), ("🔴 عاجل", 7), ("日本語", 6), ("", 0)],
)
def test_marks_and_isolates_take_no_cells_and_wide_characters_two(text: str, cells: int) -> None:
    assert cell_len(display(text, 40)) == cells


@given(st.text(max_size=60), st.integers(0, 30))
def test_a_column_is_exactly_as_wide_as_asked(text: str, width: int) -> None:
    assert cell_len(column(text, width)) == width


@given(st.text(max_size=60))
def test_only_our_own_isolates_remain_of_control_and_format_characters(text: str) -> None:
    left = {c for c in display(text, 30) if unicodedata.category(c) in ("Cc", "Cf", "Cs")}
    assert left <= {FSI, PDI, "\u200c", "\u200d"}


def test_a_title_of_megabytes_is_cut() -> None:
    assert display("م" * 5_000_000, 10) == f"{FSI}{'م' * 9}…{PDI}"
