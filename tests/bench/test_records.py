from __future__ import annotations

import math

import pytest

from restorect_cli.bench.records import brief


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1223.4, "1220"),
        (12.34, "12.3"),
        (0.01234, "0.0123"),
        (9.999, "10.0"),
        (99.96, "100"),
        (0.9996, "1.00"),
        (0.0, "0"),
        (math.inf, "inf"),
    ],
)
def test_numbers_have_three_digits_and_no_exponent(value: float, text: str):
    assert brief(value) == text
