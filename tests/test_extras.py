from __future__ import annotations

import re
import sys
from pathlib import Path

from restorect_cli.extras import how_to_install

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent


def test_the_command_is_one_that_works_in_a_checkout():
    assert how_to_install("train") == "in the checkout of restorect, run: pip install '.[train]'"


def test_every_extra_that_the_package_asks_for_exists():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    sources = "".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    asked = set(re.findall(r'how_to_install\("([^"]+)"\)', sources))
    assert asked and asked <= set(extras)
