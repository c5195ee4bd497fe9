"""How to install what only some commands need: the optional dependencies ("extras") of pyproject.toml."""

from __future__ import annotations


def how_to_install(extra: str) -> str:
    """The second half of an error line, for a person who lacks the libraries of `extra`.

    The package is on no index yet, so the command is one for a checkout. This is the only place that says it.
    """
    return f"in the checkout of restorect, run: pip install '.[{extra}]'"
