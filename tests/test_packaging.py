"""The archives hold what the README, the tests and the licences promise, and tests see nothing of the machine."""

from __future__ import annotations

import email
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from restorect_cli import __version__
from restorect_cli.models import store

ROOT = Path(__file__).resolve().parents[1]
PARTS = re.compile(r"\]\(([\w./-]+)\)|\b(constraints\.txt|scripts/)")  # relative links, and what one is told to run
CODE_TERMS, MODEL_TERMS = "LICENSE", "LICENSES/LicenseRef-NonCommercial-Research.txt"


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_what_a_page_names_is_in_the_source_archive(page: str) -> None:
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    packed = settings.partition("[tool.hatch.build.targets.sdist]")[2].partition("\n[")[0]
    named = {(link or name).split("/")[0] for link, name in PARTS.findall((ROOT / page).read_text(encoding="utf-8"))}
    assert named and [name for name in named if f'"/{name}"' not in packed] == []


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", *(f"docs/{p.name}" for p in ROOT.glob("docs/*.md"))])
def test_every_link_leads_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / page).read_text(encoding="utf-8"))
    assert [link for link in links if not (ROOT / page).parent.joinpath(link).exists()] == []


def test_every_test_has_an_empty_home(home: Path) -> None:
    assert home in store.cache_dir().parents and list(home.iterdir()) == []
    assert Path.home() == home


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source archive and the wheel."""
    pytest.importorskip("hatchling", reason="archives are built with hatchling (extra dev)")
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_wheel_holds_the_models_and_both_licences(built: Path) -> None:
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        facts = f"restorect-{__version__}.dist-info"
        for terms in (CODE_TERMS, MODEL_TERMS):
            assert wheel.read(f"{facts}/licenses/{terms}") == (ROOT / terms).read_bytes()
        metadata = email.message_from_bytes(wheel.read(f"{facts}/METADATA"))
        packed = set(wheel.namelist())
        entries = store.load_manifest(ROOT / "weights").students
        for file in (file for entry in entries for file in entry.files.values()):
            assert wheel.getinfo(f"restorect_cli/weights/{file.path}").file_size == file.bytes
    assert "restorect_cli/weights/manifest.json" in packed
    assert not [name for name in packed if name.startswith("tests")]
    assert metadata.get_all("License-File") == [CODE_TERMS, MODEL_TERMS]
    # what a scanner reads names the terms of everything inside
    assert metadata["License-Expression"].split(" AND ") == ["Apache-2.0", *{entry.licence for entry in entries}]


def test_the_source_archive_holds_both_licences_and_the_models(built: Path) -> None:
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    entries = store.load_manifest(ROOT / "weights").students
    models = {f"weights/{file.path}" for entry in entries for file in entry.files.values()}
    assert {CODE_TERMS, MODEL_TERMS, "CITATION.cff", "SECURITY.md", "scripts/test", *models} <= packed


def test_the_first_screen_of_the_readme_says_what_the_models_may_be_used_for() -> None:
    first_screen = "\n".join((ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:24])
    for word in ("pip install", "restorect enhance", "non-commercial", MODEL_TERMS):
        assert word in first_screen


def test_names_of_the_terms_agree_with_the_manifest() -> None:
    terms = {entry.licence for entry in store.load_manifest(ROOT / "weights").students}
    assert terms == {Path(MODEL_TERMS).stem}


@pytest.mark.parametrize(
    "path",
    [*ROOT.glob(".github/**/*.yml"), ROOT / ".pre-commit-config.yaml", ROOT / "CITATION.cff"],
    ids=lambda p: p.name,
)
def test_settings_for_others_can_be_read(path: Path) -> None:
    yaml = pytest.importorskip("yaml", reason="the extra dev brings PyYAML")
    settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(settings, dict) and settings
    if path.name == "CITATION.cff":
        assert settings["version"] == __version__ and len(settings["references"]) == 2


def test_every_python_that_is_promised_is_tested() -> None:
    promised = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert promised and re.findall(r'"(3\.\d+)"', re.search(r"python: \[(.*)\]", workflow)[1]) == promised
