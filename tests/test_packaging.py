"""The source archive holds what its own README and tests need, and tests see nothing of the machine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from restorect_cli.models import store

ROOT = Path(__file__).resolve().parents[1]
PARTS = re.compile(r"\]\(([\w./-]+)\)|\b(constraints\.txt|scripts/)")  # relative links, and what one is told to run


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_what_a_page_names_is_in_the_source_archive(page: str) -> None:
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    packed = settings.partition("[tool.hatch.build.targets.sdist]")[2].partition("\n[")[0]
    named = {(link or name).split("/")[0] for link, name in PARTS.findall((ROOT / page).read_text(encoding="utf-8"))}
    assert named and [name for name in named if f'"/{name}"' not in packed] == []


def test_every_test_has_an_empty_home(home: Path) -> None:
    assert home in store.cache_dir().parents and list(home.iterdir()) == []
    assert Path.home() == home
