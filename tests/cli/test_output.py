from __future__ import annotations

import io
import json

import pytest

from restorect_cli.cli import output as module
from restorect_cli.cli.output import Output


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def bar_of(output: Output, monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, slow_seconds: float) -> str:
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr(module, "_SLOW_SECONDS", slow_seconds)
    with output.progress("photo [1].png", 2) as advance:
        advance(1)
        advance(1)
    return stream.getvalue()


def test_bar_only_on_a_terminal_and_only_when_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "photo [1].png" in bar_of(Output(), monkeypatch, Terminal(), -1)
    assert bar_of(Output(), monkeypatch, Terminal(), 60) == ""
    assert bar_of(Output(), monkeypatch, io.StringIO(), -1) == ""
    assert bar_of(Output(quiet=True), monkeypatch, Terminal(), -1) == ""
    assert bar_of(Output(as_json=True), monkeypatch, Terminal(), -1) == ""


@pytest.mark.parametrize("name", ["Füße.png", "日本.png", "broken\udcff.png"])
@pytest.mark.parametrize("encoding", ["ascii", "utf-8", "cp1252"])
def test_any_name_on_any_terminal(monkeypatch: pytest.MonkeyPatch, name: str, encoding: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="\n")
    monkeypatch.setattr("sys.stdout", stream)
    Output().result(name, {})
    Output(as_json=True).result("", {"input": name})
    text, record = stream.buffer.getvalue().decode(encoding).splitlines()  # type: ignore[attr-defined]
    assert text.endswith(".png") and json.loads(record) == {"input": name}
