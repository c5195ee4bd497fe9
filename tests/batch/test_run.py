from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.clean_home import clean_home

from restorect_cli.batch.run import Batch, BatchOptions, default_output
from restorect_cli.batch.work import Result, Work
from restorect_cli.errors import InputError, RestorectError, UnavailableError, UsageError
from restorect_cli.files import RepairSettings


class Executor:
    """Fails with these errors, one image after the other, and stops after the last."""

    def __init__(self, errors: list[RestorectError], stopping: threading.Event) -> None:
        self.errors, self.stopping = errors, stopping
        self.busy_seconds: dict[str, float] = {}

    def run(self, works: Iterator[Work]) -> Generator[Result, None, None]:
        for error in self.errors:
            yield Result(next(works), error=error)
        self.stopping.set()
        assert not list(works)


def test_watch_gives_again_what_could_not_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clean_home(tmp_path, monkeypatch, "denoise-s", "low-light-s")
    monkeypatch.setattr("restorect_cli.batch.watch.FIRST_PAUSE_SECONDS", 0.02)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_text("of some length")
    batch, stopping = (
        Batch(BatchOptions(tmp_path / "in"), RepairSettings.of("denoise", device="cpu")),
        threading.Event(),
    )
    errors = [UnavailableError("denied"), UnavailableError("denied"), InputError("no image")]
    patience = threading.Timer(20, stopping.set)
    patience.start()
    with closing(batch.open()) as manifest:
        events = list(batch.run(batch.arrivals(stopping, 0.01), Executor(errors, stopping), manifest))
    patience.cancel()
    assert [event.error for event in events] == errors


@pytest.mark.parametrize(
    ("folder", "output"),
    [("photos", "photos-restored"), ("x/photos/", "x/photos-restored"), ("photos.v2", "photos.v2-restored")],
)
def test_results_go_beside_the_folder(folder: str, output: str) -> None:
    assert default_output(Path(folder)) == Path(output)


def test_beside_the_folder_we_are_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos" / "trip").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "photos")
    assert default_output(Path(".")) == tmp_path / "photos-restored"
    assert default_output(Path("trip/..")) == tmp_path / "photos-restored"


def test_the_root_has_nothing_beside_it() -> None:
    with pytest.raises(UsageError, match="give -o"):
        default_output(Path("/"))
