"""ICC profiles of every valid kind, made from numbers: matrices, tables of both directions or one, grey and CMYK."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
D50 = np.array([0.9642, 1.0, 0.8249])
# sRGB primaries adapted to D50, columns red, green, blue
TO_XYZ = np.array([[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7139]])
GAMMA = 1.8  # not sRGB's, so that using the profile shows


def profile(tags: dict[bytes, bytes], kind: bytes, space: bytes, pcs: bytes = b"XYZ ", version: int = 2) -> bytes:
    """A profile of these tags; the obligatory texts and the white are added."""
    text = "a test profile"
    if version == 2:
        description = b"desc\0\0\0\0" + struct.pack(">I", len(text) + 1) + text.encode() + b"\0" + bytes(78)
        copyright = b"text\0\0\0\0none\0"
    else:
        wide = text.encode("utf-16-be")
        description = b"mluc\0\0\0\0" + struct.pack(">II4sII", 1, 12, b"enUS", len(wide), 28) + wide
        copyright = description
    white = b"XYZ \0\0\0\0" + fixed(D50)
    tags = {b"desc": description, b"cprt": copyright, b"wtpt": white, **tags}
    table, body, start = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, data in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    number = 0x02400000 if version == 2 else 0x04300000
    header = struct.pack(">I4sI4s4s4s", start + len(body), b"none", number, kind, space, pcs)
    header += struct.pack(">6H4s", 2024, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + fixed(D50)
    return header.ljust(128, b"\0") + table + body


def fixed(values: Array) -> bytes:
    return struct.pack(f">{values.size}i", *(round(float(v) * 65536) for v in values.ravel()))


def matrix_tags(gamma: float = GAMMA) -> dict[bytes, bytes]:
    curve = b"curv\0\0\0\0" + struct.pack(">IHH", 1, round(gamma * 256), 0)
    columns = {n: b"XYZ \0\0\0\0" + fixed(c) for n, c in zip((b"rXYZ", b"gXYZ", b"bXYZ"), TO_XYZ.T, strict=True)}
    return {**columns, **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)}


def grey_tags(gamma: float = GAMMA) -> dict[bytes, bytes]:
    return {b"kTRC": b"curv\0\0\0\0" + struct.pack(">IHH", 1, round(gamma * 256), 0)}


def forward_table(space: bytes, pcs: bytes, points: int = 9) -> bytes:
    """A2B0: device → connection space."""
    bands = {b"GRAY": 1, b"CMYK": 4}.get(space, 3)
    return _table(bands, 3, points, lambda device: _encoded(_xyz(device, space), pcs))


def reverse_table(space: bytes, pcs: bytes, points: int = 17) -> bytes:
    """B2A0: connection space → device, for RGB and grey."""
    bands = {b"GRAY": 1}.get(space, 3)

    def device(encoded: Array) -> Array:
        rgb = np.clip(_decoded(encoded, pcs) @ np.linalg.inv(TO_XYZ).T, 0, 1) ** (1 / GAMMA)
        return rgb if bands == 3 else rgb.mean(axis=1, keepdims=True)

    return _table(3, bands, points, device)


def _table(inputs: int, outputs: int, points: int, function: Callable[[Array], Array]) -> bytes:
    """lut16Type (ICC.1 §10.10): straight curves, and the function sampled on a grid."""
    axes = np.meshgrid(*[np.linspace(0, 1, points)] * inputs, indexing="ij")
    values = function(np.stack(axes, axis=-1).reshape(-1, inputs))
    numbers = np.rint(np.clip(values, 0, 1) * 65535).astype(">u2").tobytes()
    straight = struct.pack(">HH", 0, 65535)
    head = b"mft2\0\0\0\0" + bytes([inputs, outputs, points, 0]) + fixed(np.eye(3)) + struct.pack(">HH", 2, 2)
    return head + straight * inputs + numbers + straight * outputs


def _xyz(device: Array, space: bytes) -> Array:
    if space == b"CMYK":
        rgb = (1 - device[:, :3]) * (1 - device[:, 3:])
    elif space == b"GRAY":
        rgb = np.repeat(device, 3, axis=1)
    else:
        rgb = device
    xyz: Array = rgb**GAMMA @ TO_XYZ.T
    return xyz


def _encoded(xyz: Array, pcs: bytes) -> Array:
    """As lut16Type stores it, full scale 1."""
    if pcs == b"XYZ ":
        return xyz / (1 + 32767 / 32768)
    scaled = xyz / D50
    f = np.where(scaled > 216 / 24389, np.cbrt(scaled), (24389 / 27 * scaled + 16) / 116)
    lab = np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)
    return (lab + [0, 128, 128]) / [100, 256, 256] * (0xFF00 / 65535, 0x10000 / 65535, 0x10000 / 65535)


def _decoded(encoded: Array, pcs: bytes) -> Array:
    if pcs == b"XYZ ":
        return encoded * (1 + 32767 / 32768)
    lab = encoded / (0xFF00 / 65535, 0x10000 / 65535, 0x10000 / 65535) * [100, 256, 256] - [0, 128, 128]
    y = (lab[:, 0] + 16) / 116
    f = np.stack([y + lab[:, 1] / 500, y, y - lab[:, 2] / 200], axis=1)
    xyz: Array = np.where(f > 6 / 29, f**3, (116 * f - 16) * 27 / 24389) * D50
    return xyz
