from __future__ import annotations

import pytest

from restorect_cli.errors import InputError
from restorect_cli.one_line import folded, printable


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("two\nlines\r.png", r"two\nlines\r.png"),
        ("steer\x1b[2J\x9b.png", r"steer\x1b[2J\x9b.png"),
        ("paragraph\u2029.png", r"paragraph\u2029.png"),
        ("no encoding\udcff.png", r"no encoding\udcff.png"),
    ],
)
def test_what_would_steer_a_terminal_is_escaped(text: str, printed: str) -> None:
    assert printable(text) == printed == printable(printed)


@pytest.mark.parametrize("text", ["two  spaces.png", "東京\u3000駅.png", "10\u00a0km.png", "Füße\\n.png"])
def test_what_is_harmless_stays(text: str) -> None:
    assert printable(text) == text


def test_a_librarys_message_is_folded() -> None:
    assert folded(ValueError("bad thing:\n    at\tline 3\n")) == "bad thing: at line 3"


def test_an_error_tells_the_name_as_it_is() -> None:
    assert str(InputError("cannot read bad\nname  1.png", "check the name")) == (
        r"cannot read bad\nname  1.png: check the name"
    )
