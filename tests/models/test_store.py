from __future__ import annotations

from pathlib import Path

import pytest
from support.identity_students import QUALITY, spec_fields, write_student, write_weights

from restorect_cli.errors import ModelError, UsageError
from restorect_cli.models import store
from restorect_cli.models.specs import StudentSpec


@pytest.mark.parametrize(("task", "model"), [("denoise", "s"), ("denoise", "denoise-s"), (None, "denoise-s")])
def test_found_by_size_and_by_name(weights: Path, task: str | None, model: str) -> None:
    student = store.find(task, model)
    assert student.spec == StudentSpec(**spec_fields("denoise-s"))
    assert student.velocity == weights / "denoise-s" / "velocity.onnx" and student.prior.is_file()
    assert student.velocity_int8 is None and student.origin == "shipped"


def test_found_by_folder(weights: Path, tmp_path: Path) -> None:
    folder = write_student(tmp_path / "own", "derain-m", version="7")
    student = store.find(None, str(folder))
    assert (student.spec.name, student.spec.version, student.origin) == ("derain-m", "7", "folder")
    assert student.entry is None
    assert store.find("derain", folder) == student  # a Path is a folder too


@pytest.mark.parametrize("name", ["s", "denoise-s"])
def test_a_bare_word_is_a_name_and_no_folder(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A folder that happens to lie in the working directory does not replace a student whose hash is known."""
    write_student(tmp_path, "denoise-s").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert store.find("denoise", name).origin == "shipped"
    for folder in (f"./{name}", str(tmp_path / name), Path(name)):
        assert store.find("denoise", folder).origin == "folder"


@pytest.mark.parametrize(
    ("task", "model", "error", "says"),
    [
        ("sharpen", "s", UsageError, "unknown task 'sharpen': choose low-light, derain, denoise, raindrop"),
        ("denoise", "xl", UsageError, "or a folder (written ./xl)"),
        (None, "s", UsageError, "is a size and needs a task"),
        ("derain", "denoise-s", UsageError, "made for denoise, not for derain"),
        ("derain", "s", ModelError, "there is no model 'derain-s' yet: installed: denoise-s"),
        ("denoise", "m", ModelError, "restorect models pull denoise-m"),
        ("denoise", "no/such/folder", ModelError, "model folder no/such/folder is not there"),
    ],
)
def test_what_cannot_be_had(weights: Path, task: str, model: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error) as caught:
        store.find(task, model)
    assert says in str(caught.value)


@pytest.mark.parametrize("harm", ["flip", "shorten", "remove"])
def test_damaged_weights_are_refused(weights: Path, harm: str) -> None:
    path = weights / "denoise-s" / "velocity.onnx"
    data = path.read_bytes()
    if harm == "remove":
        path.unlink()
    else:
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]) if harm == "flip" else data[:-1])
    with pytest.raises(ModelError) as caught:
        store.find("denoise")
    assert "velocity.onnx" in str(caught.value) and "restorect models pull denoise-s --repo OWNER/NAME --force" in str(
        caught.value
    )
    assert store.find("denoise", check=False).spec.name == "denoise-s"


def test_register_writes_a_row_that_verifies(tmp_path: Path) -> None:
    folder = write_student(tmp_path)
    (folder / "velocity.int8.onnx").write_bytes(b"int8")
    entry = store.register(folder, QUALITY)
    assert set(entry.files) == {"prior", "velocity", "velocity-int8", "card"}
    assert entry.files["velocity-int8"].bytes == 4 and entry.quality[0].value == 20.17
    assert store.load_manifest(tmp_path).students == (entry,)
    for student in store._students(tmp_path, store.load_manifest(tmp_path), "shipped"):
        store.verify_student(student)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_register_again_replaces(tmp_path: Path) -> None:
    store.register(write_student(tmp_path), QUALITY)
    store.register(write_student(tmp_path, version="2"))
    assert [student.version for student in store.load_manifest(tmp_path).students] == ["2"]


def test_register_refuses_what_does_not_belong_together(tmp_path: Path) -> None:
    folder = write_student(tmp_path)
    folder.rename(tmp_path / "other-name")
    with pytest.raises(ModelError, match="rename the folder to denoise-s"):
        store.register(tmp_path / "other-name")
    (write_student(tmp_path, "derain-s") / "prior.onnx").replace(tmp_path / "other-name" / "prior.onnx")
    with pytest.raises(ModelError, match="belong to different models"):
        store.register(tmp_path / "other-name")


def test_higher_version_counts_and_fetched_wins_a_tie(weights: Path) -> None:
    pulled = store.pulled_dir()
    write_weights(pulled, "denoise-s")
    assert store.find("denoise").origin == "pulled"
    store.register(write_student(weights, version="2"))
    assert store.find("denoise").origin == "shipped"
    store.register(write_student(pulled, version="3"))
    assert store.find("denoise").origin == "pulled"
    store.register(write_student(weights, version="10"))
    assert store.find("denoise").origin == "shipped"  # ten is more than three, though not as text


def test_listed_model_without_files_can_be_pulled(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_weights(weights, "denoise-m")
    (weights / "denoise-m").rename(weights / "elsewhere")
    with pytest.raises(ModelError, match="restorect models pull denoise-m --repo OWNER/NAME$"):
        store.find("denoise", "m")
    monkeypatch.setenv("RESTORECT_HUB", "me/mine")
    with pytest.raises(ModelError, match="restorect models pull denoise-m$"):
        store.find("denoise", "m")
    assert list(store.known()) == ["denoise-m", "denoise-s"]
    assert [student.spec.name for student in store.installed()] == ["denoise-s"]


def test_no_weights_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTORECT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RESTORECT_WEIGHTS", str(tmp_path / "nothing"))
    with pytest.raises(ModelError, match="RESTORECT_WEIGHTS"):
        store.find("denoise")
    assert not (tmp_path / "home").exists()


def damage_the_cache(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A manifest that is none, one that may not be read, or a user without a home."""
    if how == "no home":

        def no_home() -> Path:
            raise RuntimeError("Could not determine home directory.")

        monkeypatch.setattr(Path, "home", no_home)
        for name in ("RESTORECT_HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"):
            monkeypatch.delenv(name, raising=False)
        return
    manifest = store.pulled_dir() / "manifest.json"
    manifest.parent.mkdir(parents=True)
    if how == "damaged":
        manifest.write_text("{bad")
    else:  # root may read everything, but nobody reads a folder as a file
        manifest.mkdir()


@pytest.mark.parametrize("how", ["damaged", "unreadable", "no home"])
def test_a_cache_that_cannot_be_read_leaves_the_shipped_students(
    weights: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    assert store.cache_problem() is None
    damage_the_cache(how, monkeypatch)
    assert store.find("denoise").origin == "shipped" and list(store.known()) == ["denoise-s"]
    problem = store.cache_problem()
    assert problem is not None and "RESTORECT_HOME" in problem.fix


def test_cache_follows_the_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RESTORECT_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    monkeypatch.setenv("LOCALAPPDATA", "/local")
    for platform, start in [("linux", "/xdg"), ("win32", "/local"), ("darwin", str(Path.home()))]:
        monkeypatch.setattr("sys.platform", platform)
        assert str(store.cache_dir()).startswith(start) and store.cache_dir().name == "restorect"
