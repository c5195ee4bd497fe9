from __future__ import annotations

from .conftest import load_script


def test_the_page_is_what_the_code_does() -> None:
    script = load_script("generate_file_table")
    text = script.PAGE.read_text(encoding="utf-8")
    assert script.page(text) == text, "run scripts/generate_file_table.py --write"
    assert "not said" not in text
