from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
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
    monkeypatch.setattr("time.sleep", lambda seconds: None)
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
    assert sorted(path.name for path in store.cache_dir().iterdir()) in (["weights"], [".pull.lock", "weights"])


def test_everything_is_asked_for_at_one_commit(hub: HubServer) -> None:
    pull_from(hub)
    assert hub.requests[0][:2] == ("HEAD", "manifest.json")
    assert hub.revisions["manifest.json"] == {"main", hub.commit}
    assert all(at == {hub.commit} for path, at in hub.revisions.items() if path != "manifest.json")


def test_contents_come_from_another_server_which_gets_no_token(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with HubServer(tmp_path / "hub") as storage:
        hub.storage = storage
        storage.cuts[VELOCITY] = 1
        student = pull_from(hub).student
    assert student.velocity.read_bytes() == (hub.root / VELOCITY).read_bytes()
    assert len(storage.fetched(VELOCITY)) == 2 and hub.fetched(VELOCITY) == []
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


def test_a_cut_connection_is_tried_again(hub: HubServer) -> None:
    hub.cuts[VELOCITY] = 2
    pull_from(hub)
    assert len(hub.fetched(VELOCITY)) == 3


def test_a_connection_that_keeps_breaking_installs_nothing(hub: HubServer) -> None:
    hub.cuts[VELOCITY] = 1000
    with pytest.raises(ModelError, match="check the connection") as caught:
        pull_from(hub)
    assert "\n" not in str(caught.value) and hub.endpoint in str(caught.value)
    assert "derain-s" not in store.known() and not (store.cache_dir() / "partial").exists()


@pytest.mark.parametrize("path", ["manifest.json", VELOCITY])
def test_a_server_that_does_not_answer(hub: HubServer, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setattr("restorect_cli.models.pull._TIMEOUT_SECONDS", 0.2)
    for name in ("file_download._ETAG_RETRY_TIMEOUT", "constants.HF_HUB_ETAG_TIMEOUT"):
        monkeypatch.setattr(f"huggingface_hub.{name}", 0.2)
    hub.faults[path] = "stalls"
    with pytest.raises(ModelError, match="cannot reach owner/students .*time"):
        pull_from(hub)
    assert "derain-s" not in store.known()


@pytest.mark.parametrize(
    ("path", "fault", "says"),
    [
        (VELOCITY, "wrong", "SHA-256 differs"),
        (VELOCITY, "missing", "velocity.onnx is not in owner/students"),
        (VELOCITY, "error", "(500)"),
        ("manifest.json", "missing", "manifest.json is not in owner/students"),
        ("manifest.json", "anonymous", "did not answer like a Hugging Face hub"),
        (VELOCITY, "anonymous", "X-Repo-Commit"),
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
        ("raindrop-m", "owner/students", "main", ModelError, "has no model 'raindrop-m': it has denoise-s, derain-s"),
        ("sharpen-s", "owner/students", "main", UsageError, "unknown model 'sharpen-s'"),
        ("../up", "owner/students", "main", UsageError, "is not the name of a model"),
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


def test_nobody_listens(weights: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound but not listening: the connection is refused
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(ModelError, match=f"cannot reach owner/students on {address} .*check the connection"):
            pull("derain-s", "owner/students", endpoint=address)


def test_a_manifest_of_gigabytes_is_not_fetched(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("restorect_cli.models.pull._MANIFEST_BYTES", 10)
    with pytest.raises(ModelError, match="too large for a manifest"):
        pull_from(hub)
    assert hub.fetched("manifest.json") == []


def test_without_a_repository_it_says_how_to_name_one(hub: HubServer) -> None:
    with pytest.raises(UsageError, match="add --repo OWNER/NAME or set RESTORECT_HUB"):
        pull("derain-s", endpoint=hub.endpoint)
    assert hub.requests == [] and not store.cache_dir().exists()


def test_progress_counts_the_bytes(hub: HubServer) -> None:
    steps: list[int] = []

    @contextlib.contextmanager
    def progress(label: str, total: int) -> Iterator[Callable[[int], None]]:
        assert label == "fetching derain-s"
        yield steps.append
        steps.append(-total)

    pull("derain-s", hub.repository, endpoint=hub.endpoint, progress=progress)
    assert len(steps) == 4 and sum(steps) == 0


def run_pull(hub: HubServer, name: str, home: Path, **more: str) -> subprocess.Popen[str]:
    """`restorect models pull` as a process of its own, which reads the settings of its environment."""
    settings = {"RESTORECT_HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "restorect_cli", "models", "pull", name]
    return subprocess.Popen(
        [*command, "--repo", hub.repository, "--endpoint", hub.endpoint],
        env={**os.environ, **settings, **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_processes_at_once(hub: HubServer, tmp_path: Path) -> None:
    """No process loses what another wrote into the manifest, and the same model is fetched once."""
    write_weights(hub.root, "derain-s", "raindrop-s")
    processes = [run_pull(hub, name, tmp_path / "home") for name in ("derain-s", "raindrop-s", "derain-s")]
    for process in processes:
        out, err = process.communicate(timeout=100)
        assert (process.returncode, err) == (0, ""), out
    pulled = store._students(store.pulled_dir(), store.load_manifest(store.pulled_dir()), "pulled")
    assert [student.spec.name for student in pulled] == ["derain-s", "raindrop-s"]
    for student in pulled:
        store.verify_student(student)
    assert len(hub.fetched(VELOCITY)) == 1


def test_offline_by_request(hub: HubServer, tmp_path: Path) -> None:
    _, err = run_pull(hub, "derain-s", tmp_path / "home", HF_HUB_OFFLINE="1").communicate(timeout=100)
    assert err.startswith("restorect: error: cannot fetch from owner/students") and err.count("\n") == 1
    assert "HF_HUB_OFFLINE is set" in err and hub.requests == []


def test_nothing_is_reported_about_this_machine(hub: HubServer, tmp_path: Path) -> None:
    out, err = run_pull(hub, "derain-s", tmp_path / "home").communicate(timeout=100)
    assert "derain-s version 1: fetched" in out and err == ""
    (agent,) = hub.agents
    assert agent is not None and [part.split("/")[0] for part in agent.split("; ")] == ["restorect", "hf_hub", "python"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "hub", "weights"]
    assert not (Path.home() / ".cache").exists()


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


def test_a_damaged_cache_is_replaced(hub: HubServer) -> None:
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
