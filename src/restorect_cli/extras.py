"""How to install the optional dependencies ("extras") of pyproject.toml, which only some commands need."""

from __future__ import annotations


def how_to_install(extra: str) -> str:
    """The end of an error line that names missing libraries: how to install those of `extra`.

    The package is on no index yet, so the command is for a checkout. Only this function says so.
    """
    return f"in the checkout of restorect, run: pip install '.[{extra}]'"
