from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "scripts" / "generate_cli_reference.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_reference_is_up_to_date() -> None:
    written = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert written == script().reference(), "run: python scripts/generate_cli_reference.py"


def test_reference_names_every_command() -> None:
    text = script().reference()
    for command in (
        "enhance",
        "batch",
        "models list",
        "models info",
        "models verify",
        "models pull",
        "models path",
        "doctor",
    ):
        assert f"## restorect {command}\n" in text
