"""A stand-in for ONNX Runtime and for the codecs, which records what reaches them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import pytest

from restorect_cli.engine import runtime
from restorect_cli.images import reading, writing
from restorect_cli.names import DEVICES


@dataclass
class Recording:
    """What the sessions were made with, what the networks were fed, and what reader and writer were told."""

    sessions: list[dict[str, Any]] = field(default_factory=list)  # graph (bytes), device, threads
    fed: list[dict[str, Any]] = field(default_factory=list)  # of velocity graphs: graph (bytes), t, pixels
    read: list[dict[str, Any]] = field(default_factory=list)  # the fields of ReadOptions
    written: list[dict[str, Any]] = field(default_factory=list)  # format, quality, depth, strip

    def clear(self) -> None:
        self.sessions.clear()
        self.fed.clear()
        self.read.clear()
        self.written.clear()


class _Session:
    def __init__(self, real: Any, data: bytes, recording: Recording) -> None:
        self._real, self._data, self._recording = real, data, recording

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def run(self, outputs: Any, feeds: dict[str, Any]) -> Any:
        if "t" in feeds:
            _, _, height, width = feeds["x"].shape
            call = {"graph": self._data, "t": round(float(feeds["t"][0]), 6), "pixels": height * width}
            self._recording.fed.append(call)
        return self._real.run(outputs, feeds)


def record(monkeypatch: pytest.MonkeyPatch) -> Recording:
    """Every device works, as the CPU in disguise; files come out as without the recording."""
    recording = Recording()
    make, cpu = runtime._session, runtime.Device("cpu", ["CPUExecutionProvider"])

    def session(data: bytes, device: runtime.Device, threads: int) -> _Session:
        recording.sessions.append({"graph": data, "device": device.name, "threads": threads})
        return _Session(make(data, cpu, 1), data, recording)

    def saver(format: str, save: Any) -> Any:
        def recorded(image: Any, meta: Any, options: Any, carried: Any) -> Any:
            depth = 16 if image.format == "ushort" else 8
            told = {"format": format, "quality": options.quality, "depth": depth, "strip": options.strip}
            recording.written.append(told)
            return save(image, meta, options, carried)

        return recorded

    read_data = reading._read_data

    def reader(name: str, path: Any, data: Any, how: Any) -> Any:
        recording.read.append(asdict(how.options))
        return read_data(name, path, data, how)

    monkeypatch.setattr(runtime, "_session", session)
    monkeypatch.setattr(reading, "_read_data", reader)
    monkeypatch.setattr(runtime, "usable_devices", lambda: dict.fromkeys(DEVICES))
    monkeypatch.setattr(writing, "_SAVERS", {name: saver(name, save) for name, save in writing._SAVERS.items()})
    return recording
