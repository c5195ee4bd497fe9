"""`restorect models`: which models there are, whether their files are whole, and fetching more."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ModelError
from .options import Json, Quiet, help_if_alone
from .output import Output

if TYPE_CHECKING:
    from ..models.specs import ManifestEntry, StudentSpec
    from ..models.store import InstalledModel

app = typer.Typer(rich_markup_mode=None)


@app.callback(invoke_without_command=True, short_help="List, describe, verify and fetch the trained networks.")
def models(context: typer.Context) -> None:
    """Lists, describes, verifies and fetches the models: the trained networks that do the repairs.

    \b
    Examples:
      restorect models list                            which models there are, and which are installed
      restorect models info denoise-s                  how good it is, and where it comes from
      restorect models verify                          check that no file is damaged
      restorect models pull denoise-s --repo me/mine   fetch another one
    """
    help_if_alone(context)


@app.command("list", short_help="List the models, and which of them are installed.")
def list_models(as_json: Json = False) -> None:
    """Lists every model this machine knows of: what it repairs, its size, and whether it is installed.

    WHERE is "shipped" (came with the package), "pulled" (fetched later) or "not here" (known, but not fetched
    yet: see `restorect models pull`).

    \b
    Examples:
      restorect models list
      restorect models list --json
    """
    from ..models import store

    here = {student.spec.name: student for student in store.installed()}
    rows = [("NAME", "TASK", "VERSION", "STEPS", "PARAMETERS", "SIZE", "WHERE")]
    output = Output(as_json=as_json)
    for name, entry in store.known().items():
        where = here[name].origin if name in here else "not here"
        steps = f"{entry.default_steps} (1-{entry.max_steps})"
        size = f"{entry.total_bytes / 1e6:.1f} MB"
        rows.append((name, entry.task, entry.version, steps, f"{entry.parameters / 1e6:.2f} M", size, where))
        if as_json:
            output.result("", {**entry.model_dump(mode="json"), "where": where})
    if len(rows) == 1:
        output.say(f"no models are known here: fetch one with {store.fetch_command('NAME')}")
    elif not as_json:
        output.result(_columns(rows), {})
    cache_problem = store.cache_problem()
    if cache_problem is not None:
        output.say(f"fetched models are left out: {cache_problem}")


@app.command(short_help="Show everything known about one model.")
def info(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model, as in `models list`, or its folder (./mine).")],
    as_json: Json = False,
) -> None:
    """Shows everything known about one model: how it runs, its licence, its training data, its measured quality.

    \b
    Examples:
      restorect models info denoise-s
      restorect models info ./my-models/denoise-s
    """
    from ..models import store

    entry: ManifestEntry | StudentSpec
    student: InstalledModel | None = None
    if name in store.known() and name not in {student.spec.name for student in store.installed()}:
        entry = store.known()[name]
    else:
        student = store.find(None, name, check=False)
        entry = student.entry or student.spec
    where = {"where": student.origin if student else "not here", "folder": str(student.folder) if student else None}
    Output(as_json=as_json).result(_describe(entry, student), {**entry.model_dump(mode="json"), **where})


@app.command(short_help="Check installed models against their SHA-256.")
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Models to verify; all installed ones if none.")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compares every file of the models with the SHA-256 in the manifest; exit code 3 if one differs.

    \b
    Examples:
      restorect models verify
      restorect models verify denoise-s && echo whole
    """
    from ..models import store

    output = Output(as_json=as_json, quiet=quiet)
    students = [store.find(None, name, check=False) for name in names] if names else store.installed()
    cache_problem = None if names else store.cache_problem()
    if cache_problem is not None:
        output.error(cache_problem)
    elif not students:
        raise ModelError("no models are installed", f"fetch one: {store.fetch_command('NAME')}")
    damaged = 0 if cache_problem is None else 1
    for student in students:
        name = student.spec.name
        try:
            store.verify_student(student)
        except ModelError as error:
            damaged += 1
            output.error(error)
            output.result("", {"name": name, "ok": False, "error": str(error)})
            continue
        files = len(student.entry.files) if student.entry else 0
        text = f"{name}: {files} files whole" if files else f"{name}: nothing to compare (no manifest lists it)"
        output.result(text, {"name": name, "ok": True, "files": files})
    if damaged:
        raise typer.Exit(ModelError.exit_code)


@app.command(short_help="Fetch models from a Hugging Face repository.")
def pull(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Models to fetch, such as denoise-s.")],
    repo: Annotated[
        str | None,
        typer.Option(
            "--repo",
            metavar="OWNER/NAME",
            help="Hugging Face repository to fetch from; needed unless RESTORECT_HUB names one.",
        ),
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Address of the hub, for a mirror or your own server [default: HF_ENDPOINT, else https://huggingface.co].",
        ),
    ] = None,
    revision: Annotated[str, typer.Option(metavar="REV", help="Branch, tag or commit of the repository.")] = "main",
    force: Annotated[bool, typer.Option("--force", help="Fetch again, even if the same files are here.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fetches models from a Hugging Face repository, checks their SHA-256 and installs them.

    Name the repository with --repo or in RESTORECT_HUB: there is no default one, and the shipped models need no
    fetching. Fetched models go to RESTORECT_HOME, else the platform's cache (~/.cache/restorect on Linux). A model
    is installed only when all its files are complete and correct. For a private repository set HF_TOKEN.

    \b
    Examples:
      restorect models pull denoise-s --repo me/my-models
      restorect models pull denoise-s --repo me/my-models --revision v2
      restorect models pull denoise-s --repo me/my-models --endpoint https://hub.example.org
    """
    # huggingface_hub reads these when it is imported. `output` shows the progress; telemetry would report what else is
    # installed; Xet keeps its own cache in the user's home and saves nothing on files of a few MB.
    for setting in ("PROGRESS_BARS", "TELEMETRY", "XET"):
        os.environ.setdefault(f"HF_HUB_DISABLE_{setting}", "1")
    from ..models import pull as puller

    output = Output(as_json=as_json, quiet=quiet)
    for name in names:
        done = puller.pull(name, repo, endpoint=endpoint, revision=revision, force=force, progress=output.progress)
        spec, folder = done.student.spec, done.student.folder
        what = f"fetched {done.fetched_bytes / 1e6:.1f} MB" if done.fetched_bytes else "already here"
        record = {
            "name": spec.name,
            "version": spec.version,
            "repository": done.repository,
            "commit": done.commit,
            "fetched_bytes": done.fetched_bytes,
            "folder": str(folder),
        }
        output.result(f"{spec.name} version {spec.version}: {what}, {folder}", record)


@app.command(short_help="Print the folder of a model.")
def path(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A model; without one, the folder of all shipped ones.")
    ] = None,
) -> None:
    """Prints only the folder of a model, or of the shipped weights, for use in scripts.

    \b
    Examples:
      ls "$(restorect models path denoise-s)"
      restorect models path
    """
    from ..models import store

    folder = store.weights_dir() if name is None else store.find(None, name, check=False).folder
    Output().result(str(folder), {})


def _describe(entry: ManifestEntry | StudentSpec, student: InstalledModel | None) -> str:
    """Aligned "fact  value" lines, then files and measured quality."""
    from ..models import store
    from ..models.specs import ManifestEntry

    facts = [
        ("name", f"{entry.name} (version {entry.version})"),
        ("repairs", entry.task),
        (
            "folder",
            f"{student.folder} ({student.origin})" if student else f"not here: {store.fetch_command(entry.name)}",
        ),
        ("steps", f"{entry.default_steps} by default, 1 to {entry.max_steps}; {entry.grid} time grid"),
        ("predicts", "cumulative displacement" if entry.target == "cumulative" else "velocity"),
        ("parameters", f"{entry.parameters:,}"),
        ("tiles", f"sides multiples of {entry.size_multiple} px, halo {entry.halo_px} px a step"),
        ("prior", f"sees the whole picture once and gives every tile {entry.latent_dim} numbers"),
        ("licence", entry.licence),
        ("trained on", entry.training_data),
    ]
    lines = [f"{fact:<11} {value}" for fact, value in facts]
    if isinstance(entry, ManifestEntry):
        lines += ["", "files"]
        lines += [f"  {record.path}  {record.bytes:,} bytes  sha256 {record.sha256}" for record in entry.files.values()]
        lines += ["", "measured quality"] if entry.quality else []
        for row in entry.quality:
            lines.append(f"  {row.measure} {row.value:g} on {row.dataset} ({row.protocol})")
            lines += [f"    {row.command}"] if row.command else []
    return "\n".join(lines)


def _columns(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
