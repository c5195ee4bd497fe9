"""Foreign text in a line of ours: names are escaped, so that they stay what they are; messages are folded."""

from __future__ import annotations

import unicodedata


def printable(text: str) -> str:
    """The text on one line: line breaks and what else would steer a terminal as escapes, spaces of any width kept."""
    return "".join(c if _is_harmless(c) else c.encode("unicode_escape").decode("ascii") for c in text)


def folded(message: object) -> str:
    """What a library says, which may take several lines, on one."""
    return " ".join(str(message).split())


def _is_harmless(character: str) -> bool:
    """The wide space of Japanese names and the no-break space do not count as printable in Python."""
    return character.isprintable() or unicodedata.category(character) == "Zs"
