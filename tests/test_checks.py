"""Numbers at the door: every kind of a number is taken as the plain one, or refused in a sentence."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vb2user import checks
from vb2user.errors import UsageError, Vb2Error

TWENTY = [
    20,
    20.0,
    Fraction(20),
    Decimal(20),
    Decimal("20.00"),
    np.int8(20),
    np.int64(20),
    np.uint16(20),
    np.float32(20),
    np.float64(20),
    np.longdouble(20),
    np.array(20),
]
NO_COUNT = [
    2.5,
    Fraction(5, 2),
    Decimal("2.5"),
    np.float32(2.5),
    math.inf,
    -math.inf,
    math.nan,
    Decimal("NaN"),
    Decimal("sNaN"),
    Decimal("Infinity"),
    np.float64("nan"),
    np.float64("inf"),
    True,
    False,
    np.True_,
    "20",
    b"20",
    None,
    20 + 0j,
    np.complex64(20),
    [20],
    np.array([20]),
    np.array([1, 2]),
    ...,  # of no kind; an object() would have another name in each process of the tests
    -1,
    2**63,
    10**5000,
    -(10**5000),
    Decimal("1e100000000"),
    Decimal("-1e100000000"),
    Decimal("1e-100000000"),
    Fraction(10**400),
]


@pytest.mark.parametrize("value", TWENTY, ids=repr)
def test_a_whole_number_of_any_kind_is_taken_as_an_int(value: Any) -> None:
    told = checks.count(value, "count")
    assert (told, type(told)) == (20, int)


@pytest.mark.parametrize("value", NO_COUNT, ids=lambda v: f"{type(v).__name__}-{str(checks._shown(v))[:30]}")
def test_what_counts_nothing_is_refused_in_a_sentence(value: Any) -> None:
    with pytest.raises(UsageError, match=r"^/dev/video0: buffers must be .*, got ") as e:
        checks.count(value, "/dev/video0: buffers")
    assert e.value.hint == "give 0 or more"
    assert len(str(e.value)) < 200


@pytest.mark.parametrize("value", [0, 33, 2**32 + 4])
def test_a_count_outside_of_its_range_is_refused_with_the_range(value: int) -> None:
    with pytest.raises(UsageError) as e:
        checks.count(value, "buffers", least=1, most=32)
    bound = "at least 1" if value < 1 else "at most 32"
    assert str(e.value) == f"buffers must be {bound}, got {value}; give a whole number from 1 to 32"


@pytest.mark.parametrize("value", [None, math.inf, np.float32("inf"), Decimal("inf")])
def test_a_count_without_an_end_is_no_limit(value: Any) -> None:
    assert checks.limit(value, "count") is None


@pytest.mark.parametrize("value", [0, 2.5, math.nan, "20", True, -math.inf, np.array([1, 2])])
def test_a_limit_is_a_count_all_the_same(value: Any) -> None:
    assert checks.limit(20.0, "count") == 20
    with pytest.raises(UsageError, match=r"^count must be .*, got .*; give 1 or more"):
        checks.limit(value, "count")


@pytest.mark.parametrize("value", TWENTY, ids=repr)
def test_a_number_of_any_kind_is_taken_as_a_float(value: Any) -> None:
    for told in (checks.number(value, "quality"), checks.seconds(value, "timeout")):
        assert (told, type(told)) == (20.0, float)


@pytest.mark.parametrize("value", [None, math.inf, Decimal("inf"), np.float32("inf"), 10**400, 1e300])
def test_a_time_without_an_end_is_no_limit(value: Any) -> None:
    assert checks.seconds(value, "timeout") is None


@pytest.mark.parametrize(
    "value", [math.nan, Decimal("sNaN"), -1, -0.5, -math.inf, -(10**400), "1", True, np.True_, [1], 1j]
)
def test_what_is_no_time_is_refused_in_a_sentence(value: Any) -> None:
    with pytest.raises(UsageError, match=r"^timeout must be .*seconds, got .*; give 0 or more seconds"):
        checks.seconds(value, "timeout")
    with pytest.raises(UsageError, match=r"^timeout must be .*seconds, got .*; give more than 0 seconds"):
        checks.seconds(value, "timeout", positive=True)


def test_no_time_at_all_is_a_time_where_that_has_a_meaning() -> None:
    assert checks.seconds(0, "timeout") == 0
    with pytest.raises(UsageError, match="timeout must be more than 0 seconds, got 0"):
        checks.seconds(0, "timeout", positive=True)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400, "1", None, True, -0.5, 1.5])
def test_a_number_is_finite_and_within_its_bounds(value: Any) -> None:
    with pytest.raises(UsageError, match=r"^share must be .*, got "):
        checks.number(value, "share", least=0, most=1)


@pytest.mark.parametrize(
    ("value", "fps"),
    [
        *((value, Fraction(20)) for value in TWENTY),
        (29.97, Fraction(2997, 100)),
        (Decimal("29.97"), Fraction(2997, 100)),
        (Fraction(30000, 1001), Fraction(30000, 1001)),
        ("30000/1001", Fraction(30000, 1001)),
        ("7.5", Fraction(15, 2)),
        (Fraction(4294967295, 4294967294), Fraction(4294967295, 4294967294)),
        (1e-9, Fraction(1, 10**9)),
    ],
    ids=repr,
)
def test_a_rate_of_any_kind_is_an_exact_fraction(value: Any, fps: Fraction) -> None:
    told = checks.rate(value, "fps")
    assert told == fps
    assert type(told) is Fraction


@pytest.mark.parametrize(
    "value",
    [
        *(0, -30, math.nan, math.inf, True, None, "", "x", "1/2/3", "1/0", "inf", "nan", "1e100000000"),
        *("1e100000000/1e100000000", "1e3/7", Decimal("1e100000000"), Decimal("1e-100000000")),
        *(2**32, 1e-300, Fraction(1, 2**32), [30], 10**5000),
    ],
    ids=lambda v: checks._shown(v)[:30],
)
def test_what_is_no_rate_is_refused_in_a_sentence(value: Any) -> None:
    with pytest.raises(UsageError, match=r"^/dev/video0: fps must be a rate above 0 .*, got "):
        checks.rate(value, "/dev/video0: fps")


ANY = st.one_of(
    st.integers(),
    st.floats(),
    st.fractions(),
    st.decimals(),
    st.booleans(),
    st.none(),
    st.text(),
    st.complex_numbers(),
    st.floats(width=32).map(np.float32),
    st.integers(-(2**63), 2**63 - 1).map(np.int64),
)


@given(ANY)
def test_any_value_is_taken_as_it_is_or_refused(value: Any) -> None:
    for check in (checks.count, checks.number, checks.seconds, checks.rate):
        try:
            told = check(value, "it")
        except Vb2Error:
            continue
        if isinstance(told, Fraction):
            assert 0 < told.numerator <= checks.U32
            assert 0 < told.denominator <= checks.U32
        elif told is not None and not isinstance(told, int):
            assert math.isfinite(told)
        elif told is not None:
            assert told == value
