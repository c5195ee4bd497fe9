"""Decides in one place what is printed where: results on standard output, all else on standard error."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TextIO

from ..errors import OutputError
from ..one_line import printable

if TYPE_CHECKING:
    from ..files import Outcome

Advance = Callable[[int], None]

_SLOW_SECONDS = 2.0  # a shorter wait needs no progress bar


class Output:
    """Prints what a command reports: text, one JSON object per result, or (quiet) only errors.

        out.result("a.jpg -> b.jpg", {"input": ...})   the outcome, on standard output
        out.say("denoise, because ...")                news for people, not with --quiet or --json
        out.detail("tile 512 px")                      only with --verbose
        out.error(error)                               always, one line

    With `streaming` the image itself goes to standard output, so results go to standard error.
    """

    def __init__(
        self, *, as_json: bool = False, quiet: bool = False, verbose: bool = False, streaming: bool = False
    ) -> None:
        self.as_json, self.quiet, self.verbose = as_json, quiet, verbose
        self._results = sys.stderr if streaming else sys.stdout

    def result(self, text: str, record: Mapping[str, Any]) -> None:
        if self.as_json:
            _write(json.dumps(record), self._results)
        elif not self.quiet and text:
            _write(text, self._results)

    def say(self, text: str) -> None:
        if not (self.quiet or self.as_json):
            _write(text, sys.stderr)

    def detail(self, text: str) -> None:
        if self.verbose:
            _write(text, sys.stderr)

    def error(self, problem: object) -> None:
        _write(f"restorect: error: {printable(str(problem))}", sys.stderr)

    @property
    def draws_bars(self) -> bool:
        """Whether there is a terminal to draw a progress bar on, and text is wanted."""
        return not (self.quiet or self.as_json or sys.stderr is None) and sys.stderr.isatty()

    @contextmanager
    def progress(self, label: str, total: int) -> Iterator[Advance]:
        """A bar on standard error, drawn at a terminal once the work takes longer than a moment."""
        if not self.draws_bars:
            yield lambda amount: None
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn())
        bar = Progress(*columns, console=Console(stderr=True), transient=True)
        task = bar.add_task(label, total=total)
        began = time.monotonic()

        def advance(amount: int) -> None:
            bar.update(task, advance=amount)
            if not bar.live.is_started and time.monotonic() - began > _SLOW_SECONDS:
                bar.start()

        try:
            yield advance
        finally:
            bar.stop()


def outcome_record(outcome: Outcome) -> dict[str, object]:
    """A restored image as a JSON record."""
    record = asdict(outcome)
    if not outcome.reason:
        del record["reason"]
    return record


def outcome_line(outcome: Outcome) -> str:
    """A restored image as a line of text."""
    megapixels = outcome.width * outcome.height / 1e6
    how = f"{outcome.model}, {flow_told(outcome.steps, outcome.ensemble)}, {outcome.device}"
    names = f"{printable(outcome.input)} -> {printable(outcome.output)}"
    return f"{names}  ({how}, {megapixels:.1f} MP, {outcome.seconds:.1f} s)"


def flow_told(steps: int, ensemble: int) -> str:
    text = f"{steps} step" if steps == 1 else f"{steps} steps"
    return text if ensemble == 1 else f"{text}, mean of {ensemble} mirror images"


def stdout_error(error: OSError) -> OutputError:
    """The error to report for a failed write; a reader that went away (BrokenPipeError) needs no message."""
    return OutputError(f"cannot write to standard output ({error.strerror or error})", "check where it goes")


def let_go_of_broken_streams() -> None:
    """Discard what a broken stream still holds: the interpreter would try to write it again on exit, and complain."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), stream.fileno())


def _write(text: str, stream: TextIO | None) -> None:
    """Write one line, unless the stream is closed; escape characters that its encoding lacks.

    Raises OutputError or BrokenPipeError for standard output; errors of standard error have nowhere to go.
    """
    if stream is None:  # closed by the caller, or a Windows program without a console
        return
    encoding = stream.encoding or "utf-8"
    try:
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        stream.flush()
    except BrokenPipeError:
        if stream is sys.stdout:
            raise
    except OSError as error:
        if stream is sys.stdout:
            raise stdout_error(error) from None
