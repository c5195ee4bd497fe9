from __future__ import annotations

import io
import re
from collections.abc import Iterator

import pytest

from restorect_cli.cli import training_progress
from restorect_cli.cli.output import Output
from restorect_cli.cli.training_progress import TrainingProgress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Seconds since the start, to be set by the test."""
    now = [0.0]
    monkeypatch.setattr(training_progress.time, "monotonic", lambda: now[0])
    yield now


def test_lines_now_and_then_without_a_terminal(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    out = Output()
    with TrainingProgress(out, "derain", 1000, done=100) as progress:
        for number in range(1, 201):
            clock[0] = 0.5 * number
            progress.step(100 + number, loss=0.25)
        out.say("news")
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == [
        "iteration 161 of 1000, loss 0.2500, 0.500 s/it, 0:06:59 left",
        "iteration 222 of 1000, loss 0.2500, 0.500 s/it, 0:06:29 left",
        "iteration 283 of 1000, loss 0.2500, 0.500 s/it, 0:05:58 left",
        "news",
    ]


def test_time_left_is_that_of_the_limit_where_it_comes_first(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with TrainingProgress(Output(), "derain", 10**6, time_limit=100) as progress:
        clock[0] = 40.0
        progress.step(40, loss=1)
    assert "1.000 s/it, 0:01:00 left" in capsys.readouterr().err


def test_a_bar_at_a_terminal(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    out = Output()
    with TrainingProgress(out, "derain", 200, done=100) as progress:
        clock[0] = 100.0
        progress.step(150, loss=0.125)
        out.say("news")
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue())
    assert re.search(r"derain +75% .* 150/200 loss 0\.1250, 2\.000 s/it, 0:01:40 left", shown) and "news\n" in shown


def test_quiet_is_quiet(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    out = Output(quiet=True)
    with TrainingProgress(out, "derain", 200) as progress:
        clock[0] = 100.0
        progress.step(150, loss=0.125)
        out.say("news")
    assert terminal.getvalue() == ""
