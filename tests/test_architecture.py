"""Who may import whom, read from the source text.

Only `training/` imports torch, only `images/` a codec, only `engine/runtime.py` onnxruntime; and imports point one way
between rooms. Every exception stands below by name, with its reason.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "restorect_cli"
MODULES = sorted(path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py"))

CODECS = {"PIL", "pyvips", "tifffile", "rawpy", "pillow_heif", "cv2", "imageio", "png"}

MAY_IMPORT_TORCH = {
    "bench/measures.py": "LPIPS is a network of torch; asked for by name, and the extra lpips brings it",
    "cli/training.py": "sets torch's threads before `training.plan` tries a step",
}
MAY_IMPORT_A_CODEC = {
    "bench/baselines.py": "OpenCV's own denoiser is what is measured; it reads and writes no file",
    "bench/compare.py": "sets two pictures side by side and writes the page's own previews",
    "bench/pictures.py": "writes the report's own previews",
    "degrade/noise.py": "a round through JPEG, in memory, is the degradation itself",
    "training/plot.py": "draws the loss curve; a plot is no photograph",
}
MAY_RESIZE_WITH_PILLOW = {
    "bench/niqe.py": "the second scale of NIQE is a bicubic half",
    "degrade/rain.py": "grows coarse noise into mist, and stretches streaks",
    "degrade/pairs.py": "shrinks a photograph before it is degraded",
    "training/data.py": "zooms thumbnails",
}
"""These may import PIL.Image for `fromarray` and `resize`, and use nothing else of it."""

RESIZING = {"fromarray", "Resampling", "Image"}

# Each room may import from those to its right, never from one to its left. Rooms between two arrows know nothing of
# each other.
ORDER = (
    ("__main__.py",),
    ("cli",),
    ("labelling",),
    ("batch", "bench", "training"),
    ("recipes",),
    ("files.py", "degrade", "doctor.py", "programs.py"),
    ("engine",),
    ("images", "models"),
    ("jobs.py", "atomic.py", "extras.py", "charts.py"),
    ("errors.py", "names.py", "__init__.py"),
    ("one_line.py", "signals.py", "_version.py"),
)
FLOORS = {room: number for number, rooms in enumerate(ORDER) for room in rooms}


def room(module: str) -> str:
    return module.partition("/")[0]


def imports(module: str) -> Iterator[tuple[str, int]]:
    """Everything that a module imports, wherever in it: "numpy", ".errors" as seen from the package; and the line.

    Imports for annotations alone (`if TYPE_CHECKING`) load nothing and are left out.
    """
    tree = ast.parse((SOURCE / module).read_text(encoding="utf-8"), module)
    for node in _running(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module), node.lineno
        elif isinstance(node, ast.ImportFrom):
            home = module.split("/")[: -node.level]
            inside = [*home, *(node.module or "").split(".")] if node.module else home
            for alias in node.names:
                yield "." + ".".join([*inside, alias.name]), node.lineno


def _running(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        yield child
        yield from _running(child)


def outside(module: str) -> set[str]:
    return {name.partition(".")[0] for name, _ in imports(module) if not name.startswith(".")}


def target(name: str) -> str:
    """The room that an import from the package leads to: ".engine.flow.step" to engine, ".read" to the package."""
    first = name[1:].partition(".")[0]
    if (SOURCE / first).is_dir():
        return first
    return f"{first}.py" if (SOURCE / f"{first}.py").is_file() else "__init__.py"


def test_every_room_has_a_place() -> None:
    assert {room(module) for module in MODULES} <= FLOORS.keys()
    assert len(MODULES) > 80


def test_only_training_imports_torch() -> None:
    users = {module for module in MODULES if outside(module) & {"torch", "safetensors", "onnxscript"}}
    assert {module for module in users if room(module) != "training"} <= MAY_IMPORT_TORCH.keys()
    assert len(users) > 15


def test_only_images_imports_a_codec() -> None:
    users = {module for module in MODULES if outside(module) & CODECS and room(module) != "images"}
    assert users <= {*MAY_IMPORT_A_CODEC, *MAY_RESIZE_WITH_PILLOW}
    assert any("pyvips" in outside(module) for module in MODULES if room(module) == "images")


@pytest.mark.parametrize("module", MAY_RESIZE_WITH_PILLOW)
def test_where_pillow_may_resize_it_does_nothing_else(module: str) -> None:
    text = (SOURCE / module).read_text(encoding="utf-8")
    assert [name for name, _ in imports(module) if name.startswith("PIL")] == ["PIL"]
    (name,) = [
        alias.asname or alias.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ImportFrom) and node.module == "PIL"
        for alias in node.names
    ]
    used = {
        node.attr
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == name
    }
    assert used and used <= RESIZING
    assert ".save(" not in text


def test_only_the_runtime_imports_onnxruntime() -> None:
    assert [module for module in MODULES if "onnxruntime" in outside(module)] == ["engine/runtime.py"]


def test_imports_point_one_way() -> None:
    wrong = []
    for module in MODULES:
        here = room(module)
        for name, line in imports(module):
            if not name.startswith("."):
                continue
            there = target(name)
            if here != there and FLOORS[there] <= FLOORS[here]:
                wrong.append(f"{module}:{line} imports {there}")
    assert wrong == []
