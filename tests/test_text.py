"""Text from a device as text for people: nothing in it acts, and nothing of it is lost."""

from __future__ import annotations

import pickle

import pytest
from hostile import hostile_in
from hypothesis import given
from hypothesis import strategies as st

from vb2user import errors, text

#: What the kernel, udev and file names give: any characters, surrogates as well.
ANY = st.text(st.characters(codec=None, exclude_categories=()), max_size=60)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("Webcam C920", "Webcam C920"),
        ("Kämera 高清 📷", "Kämera 高清 📷"),
        ("\x1b]0;pwned\x07", r"\x1b]0;pwned\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("a\nb\rc\td\0", r"a\nb\rc\td\x00"),
        ("\u202egnp", r"\u202egnp"),
        ("\u2028", r"\u2028"),
        ("\U000e0041", r"\U000e0041"),
        ("\udcff", r"\xff"),  # a byte of a file name that is not UTF-8
        ("\ud800", r"\ud800"),
        ("\ufffd", "\ufffd"),
        (r"\x1b", r"\x1b"),
        ("", ""),
    ],
)
def test_what_cannot_be_printed_is_shown_as_an_escape(given: str, shown: str) -> None:
    assert text.printable(given) == shown


@given(ANY)
def test_no_text_acts_when_it_is_shown(given: str) -> None:
    shown = text.printable(given)
    assert shown.isprintable()
    assert hostile_in(shown) == []
    shown.encode()  # no surrogate is left
    assert text.printable(shown) == shown
    assert (shown == given) is given.isprintable()


@given(ANY)
def test_lines_that_the_program_has_laid_out_stay_lines(given: str) -> None:
    shown = text.printable_lines(f"a\n{given}\nb")
    assert hostile_in(shown) == []
    assert shown.count("\n") == given.count("\n") + 2


@given(ANY, ANY)
def test_an_error_is_one_line_for_people_whatever_it_names(name: str, hint: str) -> None:
    for error in (errors.UsageError(name, hint=hint), errors.KernelError(5, name, name, explanation=name)):
        for said in (str(error), str(pickle.loads(pickle.dumps(error)))):
            assert hostile_in(said) == []
            assert "\n" not in said
        # The parts as well: the preview's page shows them apart.
        assert hostile_in(error.message + (error.hint or "")) == []
    assert errors.KernelError(5, "open", name).device == name
