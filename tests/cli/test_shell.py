from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from restorect_cli.cli.shell import as_model


@pytest.mark.parametrize(
    ("folder", "text"), [("mine", "./mine"), ("a/mine", "a/mine"), ("my nets", "'./my nets'"), ("/it's", None)]
)
def test_a_folder_can_be_copied_into_a_shell(folder: str, text: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("os.sep", "/")
    shown = as_model(Path(folder))
    assert text is None or shown == text
    assert Path(*shlex.split(shown)) == Path(folder)


def test_windows_has_another_quoting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    assert as_model(Path("a/my nets")).startswith('"')
