"""Devices are proved by running; damaged files, missing devices and failing memory become errors of our own."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from support import onnx_students

from restorect_cli.engine import runtime
from restorect_cli.engine.runtime import Device, Graph, default_threads, resolve_device, usable_devices
from restorect_cli.errors import DeviceError, ModelError
from restorect_cli.names import DEVICES

FEEDS = {
    "x": np.ones((1, 3, 8, 8), np.float32),
    "t": np.ones(1, np.float32),
    "z": np.zeros((1, onnx_students.LATENT_DIM), np.float32),
}


@pytest.fixture
def folder(tmp_path):
    return onnx_students.make_student(tmp_path / "student", "halve")


def test_the_cpu_is_usable_and_every_other_device_says_why_not():
    devices = usable_devices()
    assert set(devices) == set(DEVICES) - {"auto"}
    assert devices["cpu"] is None
    assert all(reason is None or "\n" not in reason for reason in devices.values())


def test_auto_chooses_a_usable_device_and_names_it():
    device = resolve_device("auto")
    assert usable_devices()[device.name] is None
    assert device.providers[-1] == "CPUExecutionProvider"


def test_auto_prefers_a_gpu_that_works(monkeypatch):
    monkeypatch.setattr(runtime, "usable_devices", lambda: dict.fromkeys(runtime._PROVIDERS))
    assert resolve_device("auto") == Device("cuda", ["CUDAExecutionProvider", "CPUExecutionProvider"])


def test_a_named_device_that_cannot_be_had_is_an_error(monkeypatch):
    reasons = dict.fromkeys(runtime._PROVIDERS, "no driver") | {"cpu": None}
    monkeypatch.setattr(runtime, "usable_devices", lambda: reasons)
    with pytest.raises(DeviceError, match="cuda cannot be used .no driver.: pip"):
        resolve_device("cuda")
    assert resolve_device("auto").name == "cpu"


def test_a_provider_that_falls_back_silently_is_not_usable(monkeypatch):
    class FellBack:
        def get_providers(self):
            return ["CPUExecutionProvider"]

    monkeypatch.setattr(runtime.ort, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(runtime, "_session", lambda *_: FellBack())
    assert "driver" in runtime._why_unusable("cuda")


def test_a_provider_that_computes_nonsense_is_not_usable(monkeypatch):
    class Broken:
        def get_providers(self):
            return ["CPUExecutionProvider"]

        def run(self, outputs, feeds):
            return [feeds["x"]]

    monkeypatch.setattr(runtime, "_session", lambda *_: Broken())
    assert "wrong result" in runtime._why_unusable("cpu")


def test_a_provider_that_raises_is_not_usable(monkeypatch):
    def failing(*_):
        raise RuntimeError("no such library\nand a page of detail")

    monkeypatch.setattr(runtime, "_session", failing)
    assert runtime._why_unusable("cpu") == "no such library"


def test_run_returns_outputs_by_name(folder):
    graph = Graph(folder / "velocity.onnx", "cpu", threads=1)
    assert graph.inputs == ["x", "t", "z"] and graph.outputs == ["displacement"]
    np.testing.assert_array_equal(graph.run(FEEDS)["displacement"], FEEDS["x"] / 2)


def test_a_graph_runs_on_the_threads_it_is_given(folder):
    options = Graph(folder / "velocity.onnx", "cpu", threads=3)._session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (3, 1)


def test_bytes_are_taken_too(folder):
    assert Graph((folder / "prior.onnx").read_bytes(), "cpu").outputs == ["z"]


@pytest.mark.parametrize("content", [b"", b"not a network" * 50, "cut", None])
def test_missing_and_damaged_files(folder, content):
    path = folder / "velocity.onnx"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-200] if content == "cut" else content)
    with pytest.raises(ModelError, match=r"velocity\.onnx") as caught:
        Graph(path, "cpu")
    assert "\n" not in str(caught.value)


def test_wrong_inputs_are_a_model_error(folder):
    with pytest.raises(ModelError, match="failed while running"):
        Graph(folder / "velocity.onnx", "cpu").run({"x": FEEDS["x"]})


@pytest.mark.parametrize("use", ["restore", "doctor"])
def test_nothing_is_reported_and_nothing_written_below_the_home(tmp_path, use):
    """onnxruntime keeps a device id and a database there, unless told not to before it is imported."""
    path = onnx_students.make_student(tmp_path / "student", "halve")
    code = {
        "restore": f"""
import numpy as np
from restorect_cli import Restorer
result = Restorer("denoise", model={str(path)!r}, device="cpu", threads=1).restore(np.ones((9, 9, 3), np.float32))
assert (result == 0.5).all()
""",
        "doctor": "from restorect_cli.doctor import examine; examine()",
    }[use]
    home = tmp_path / "home"
    home.mkdir()
    unset = ("ORT_DISABLE_TELEMETRY", "RESTORECT_HOME", "XDG_CACHE_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    homes = dict.fromkeys(("HOME", "USERPROFILE", "LOCALAPPDATA"), str(home))
    subprocess.run([sys.executable, "-c", code], env=environment | homes, check=True)
    assert list(home.rglob("*")) == []


@pytest.mark.parametrize(
    ("quota", "threads"),
    [("max 100000", 6), ("250000 100000", 2), ("50000 100000", 1), ("9900000 100000", 6), ("odd", 6), (None, 6)],
)
def test_default_threads_are_the_containers_share(monkeypatch, tmp_path, quota, threads):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(6), raising=False)
    monkeypatch.setattr(runtime, "_CPU_QUOTA", tmp_path / "cpu.max")
    if quota is not None:
        (tmp_path / "cpu.max").write_text(quota)
    assert default_threads() == threads


def test_a_memory_failure_inside_the_runtime_is_a_memory_error(tmp_path):
    pytest.importorskip("resource")
    path = onnx_students.make_student(tmp_path, "reaching") / "velocity.onnx"
    script = f"""
import resource, numpy as np
from restorect_cli.engine.runtime import Graph
graph = Graph({str(path)!r}, "cpu", 1)
feeds = dict(x=np.zeros((1, 3, 4096, 4096), np.float32), t=np.ones(1, np.float32), z=np.zeros((1, 2), np.float32))
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20),) * 2)
try:
    graph.run(feeds)
except MemoryError as error:
    print("MemoryError", error)
"""
    if not sys.platform.startswith("linux"):
        pytest.skip("limits memory as Linux does")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("MemoryError")
    assert done.stderr == ""


def test_products_on_a_gpu_are_of_full_precision():
    """TF32 would cost 1e-3 of relative precision; ONNX Runtime has it on unless told otherwise."""
    assert runtime._PROVIDER_OPTIONS["cuda"]["use_tf32"] == "0"
