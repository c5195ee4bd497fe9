from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.hub_server import HubServer
from support.identity_students import write_student, write_weights

from restorect_cli.errors import ModelError, OutputError, RestorectError, UsageError
from restorect_cli.models import store
from restorect_cli.models.pull import PullResult, pull

VELOCITY = "derain-s/velocity.onnx"


@pytest.fixture
def hub(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub that has derain-s and denoise-s; nobody waits between retries."""
    monkeypatch.setattr("restorect_cli.models.pull.time.sleep", lambda seconds: None)
    write_weights(tmp_path / "hub", "derain-s", "denoise-s")
    with HubServer(tmp_path / "hub") as server:
        yield server


def pull_from(hub: HubServer, name: str = "derain-s", *, force: bool = False, revision: str = "main") -> PullResult:
    return pull(name, hub.repository, endpoint=hub.endpoint, revision=revision, force=force)


def test_fetches_checks_and_installs(hub: HubServer) -> None:
    result = pull_from(hub)
    student = store.find("derain")
    assert student == result.student and student.origin == "pulled" and student.entry is not None
    assert student.velocity.read_bytes() == (hub.root / VELOCITY).read_bytes()
    assert result.commit == hub.commit and result.fetched_bytes == student.entry.total_bytes
    assert not (store.cache_dir() / "partial").exists()


def test_contents_come_from_another_server_which_gets_no_token(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with HubServer(tmp_path / "hub") as storage:
        hub.storage = storage
        storage.cuts[VELOCITY] = 1
        student = pull_from(hub).student
    assert student.velocity.read_bytes() == (hub.root / VELOCITY).read_bytes()
    half = (hub.root / VELOCITY).stat().st_size // 2
    assert storage.fetched(VELOCITY) == [None, f"bytes={half}-"]
    assert set(hub.tokens) == {"Bearer hf_secret"} and set(storage.tokens) == {None}


def test_second_time_nothing_is_fetched_unless_forced(hub: HubServer) -> None:
    pull_from(hub)
    assert pull_from(hub).fetched_bytes == 0 and len(hub.fetched(VELOCITY)) == 1
    assert pull_from(hub, force=True).fetched_bytes > 0 and len(hub.fetched(VELOCITY)) == 2


def test_shipped_student_counts_as_here(hub: HubServer, weights: Path) -> None:
    assert pull_from(hub, "denoise-s").student.origin == "shipped"
    (weights / "denoise-s" / "velocity.onnx").write_bytes(b"damaged")
    assert pull_from(hub, "denoise-s").student.origin == "pulled"
    assert store.find("denoise").origin == "pulled"


def test_newer_version_replaces_the_older_folder(hub: HubServer) -> None:
    old = pull_from(hub).student.folder
    store.register(write_student(hub.root, "derain-s", version="2"))
    assert pull_from(hub).student.spec.version == "2"
    assert not old.exists() and len(store.load_manifest(store.pulled_dir()).students) == 1


def test_cut_connection_is_carried_on(hub: HubServer) -> None:
    hub.cuts[VELOCITY] = 2
    pull_from(hub)
    ranges = hub.fetched(VELOCITY)
    assert ranges[0] is None and len(ranges) == 3 and all(ranges[1:])


def test_a_later_run_carries_on_where_the_last_one_stopped(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def give_up(seconds: float) -> None:
        raise ConnectionError("the network is gone")

    hub.cuts[VELOCITY] = 1
    with monkeypatch.context() as patch:
        patch.setattr("restorect_cli.models.pull.time.sleep", give_up)
        with pytest.raises(ModelError, match="what was fetched so far is kept"):
            pull_from(hub)
    with pytest.raises(ModelError):
        store.find("derain")
    half = (hub.root / VELOCITY).stat().st_size // 2
    result = pull_from(hub)
    assert hub.fetched(VELOCITY)[-1] == f"bytes={half}-"
    assert result.student.entry is not None and 0 < result.fetched_bytes < result.student.entry.total_bytes


@pytest.mark.parametrize(
    ("path", "fault", "says"),
    [
        (VELOCITY, "wrong", "SHA-256 differs"),
        (VELOCITY, "missing", "velocity.onnx is not in owner/students"),
        (VELOCITY, "error", "(500)"),
        ("manifest.json", "missing", "has no manifest.json"),
        ("manifest.json", "wrong", "is not a manifest"),
        ("manifest.json", "error", "(500)"),
    ],
)
def test_faults_leave_nothing_installed(hub: HubServer, path: str, fault: str, says: str) -> None:
    hub.faults[path] = fault
    with pytest.raises(ModelError) as caught:
        pull_from(hub)
    assert says in str(caught.value)
    assert "derain-s" not in store.known()
    hub.faults.clear()
    assert pull_from(hub).student.spec.name == "derain-s"


@pytest.mark.parametrize(
    ("name", "repository", "revision", "error", "says"),
    [
        ("raindrop-m", "owner/students", "main", ModelError, "has no student 'raindrop-m': it has denoise-s, derain-s"),
        ("sharpen-s", "owner/students", "main", UsageError, "unknown student 'sharpen-s'"),
        ("../up", "owner/students", "main", UsageError, "is not the name of a student"),
        ("derain-s", "owner/absent", "main", ModelError, "there is no repository owner/absent"),
        ("derain-s", "not a name", "main", UsageError, "write it as owner/name"),
        ("derain-s", "owner/students", "v9", ModelError, "no revision 'v9'"),
    ],
)
def test_what_cannot_be_asked_for(
    hub: HubServer, name: str, repository: str, revision: str, error: type[RestorectError], says: str
) -> None:
    with pytest.raises(error) as caught:
        pull(name, repository, endpoint=hub.endpoint, revision=revision)
    assert says in str(caught.value)


def test_offline(weights: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound but not listening: the connection is refused
        with pytest.raises(ModelError, match="are you online"):
            pull("derain-s", "owner/students", endpoint=f"http://127.0.0.1:{free.getsockname()[1]}")


def test_environment_names_repository_and_endpoint(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTORECT_HUB", hub.repository)
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    assert pull("derain-s").repository == hub.repository


def test_shipped_hashes_bind_the_default_repository(hub: HubServer, weights: Path) -> None:
    """Someone who changed both the files and the manifest on the hub does not get them in."""
    write_weights(weights, "derain-s")
    (weights / "derain-s").rename(weights / "elsewhere")  # listed, to be fetched
    document = json.loads((weights / "manifest.json").read_text()) | {"repository": hub.repository}
    (weights / "manifest.json").write_text(json.dumps(document))
    (hub.root / "derain-s" / "card.md").write_text("# derain-s\n\nSteals its input.\n")  # of the same length
    store.register(hub.root / "derain-s")
    with pytest.raises(ModelError, match="SHA-256 differs"):
        pull_from(hub)


def test_a_damaged_cache_is_written_anew(hub: HubServer) -> None:
    store.pulled_dir().mkdir(parents=True)
    (store.pulled_dir() / "manifest.json").write_text("{bad")
    assert pull_from(hub).student.origin == "pulled"
    assert store.cache_problem() is None and store.find("derain").origin == "pulled"


def test_a_stored_token_that_cannot_be_read(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path))  # a folder: not even for root
    with pytest.raises(ModelError, match="cannot be read .*HF_HOME"):
        pull_from(hub)


def test_cache_that_cannot_be_written(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a-file").touch()
    monkeypatch.setenv("RESTORECT_HOME", str(tmp_path / "a-file" / "home"))
    with pytest.raises(OutputError, match="cannot write to"):
        pull_from(hub)
