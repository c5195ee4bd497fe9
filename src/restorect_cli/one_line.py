"""Print untrusted text safely on one line: names are escaped, so they stay unambiguous; messages are folded."""

from __future__ import annotations

import unicodedata


def printable(text: str) -> str:
    """The text on one line: line breaks and terminal control characters are escaped, spaces of any width kept."""
    return "".join(c if _is_harmless(c) else c.encode("unicode_escape").decode("ascii") for c in text)


def folded(message: object) -> str:
    """A library's message, which may have several lines, on one."""
    return " ".join(str(message).split())


def first_line(error: object) -> str:
    """The first line of an error's message, at most 300 letters; the error's type if it has no message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def _is_harmless(character: str) -> bool:
    """Python does not count the wide space of Japanese names and the no-break space as printable."""
    return character.isprintable() or unicodedata.category(character) == "Zs"
