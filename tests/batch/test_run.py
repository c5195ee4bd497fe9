from __future__ import annotations

from pathlib import Path

import pytest

from restorect_cli.batch.run import default_output
from restorect_cli.errors import UsageError


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
