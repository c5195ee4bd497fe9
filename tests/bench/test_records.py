from __future__ import annotations

import pytest

from restorect_cli.bench.records import brief


@pytest.mark.parametrize(
    ("value", "text"), [(1223.4, "1220"), (12.34, "12.3"), (0.01234, "0.0123"), (0.0, "0"), (9.999, "10.00")]
)
def test_numbers_have_three_digits_and_no_exponent(value: float, text: str):
    assert brief(value) == text
