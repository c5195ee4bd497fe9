"""`restorect bench`: scores models and other methods on test sets, and writes a report."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError, UsageError
from ..names import Precision, Task
from .options import Device, Ensemble, Json, Quiet, Steps, Strength, Threads, words
from .output import Output, flow_told
from .settings import collected, restore_options

if TYPE_CHECKING:
    from ..engine.options import RestoreOptions

_USED_BY_SPEED = {"speed", "task", "model", "device", "threads", "steps", "ensemble", "sizes", "as_json", "quiet"}


def bench(
    context: typer.Context,
    dataset: Annotated[
        list[str] | None,
        typer.Option(
            "--dataset",
            metavar="NAME|DIR",
            help="Test set by name (see --list), or a folder of pairs; may be given several times [default: demo].",
        ),
    ] = None,
    list_sets: Annotated[
        bool, typer.Option("--list", help="List the test sets by name, and where to get them.")
    ] = False,
    data_root: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder that holds the test sets [default: RESTORECT_DATA]."),
    ] = None,
    targets: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of the clean pictures, if they are elsewhere: a path, or SET/FOLDER below the data root.",
        ),
    ] = None,
    task: Annotated[
        Task | None,
        typer.Option("--task", "-t", metavar=words(Task), help="What to repair in a folder of your own."),
    ] = None,
    sigma: Annotated[
        list[float] | None,
        typer.Option(
            min=0,
            max=255,
            metavar="LEVELS",
            help="Add Gaussian noise of this many 8-bit levels to the clean pictures; may be given several times "
            "[default for sets of clean pictures: 15, 25, 50].",
        ),
    ] = None,
    clipped: Annotated[bool, typer.Option("--clipped", help="Clip the added noise and round it to 8 bits.")] = False,
    metrics: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="psnr, ssim, psnr-y, ssim-y, psnr-gtmean, deltae, niqe, blur, lpips [default: by the task].",
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only the first N pictures of each set.")
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            metavar="MODEL",
            help="As in `restorect enhance`; 'none' scores only the input and the other methods.",
        ),
    ] = "s",
    steps: Steps = None,
    ensemble: Ensemble = 1,
    strength: Strength = 1.0,
    precision: Annotated[
        Precision, typer.Option(metavar=words(Precision), help="Precision of the network's arithmetic.")
    ] = "fp32",
    device: Device = "cpu",
    threads: Threads = None,
    all_baselines: Annotated[
        bool, typer.Option("--baselines", help="Also run the filters of OpenCV, scikit-image and others for the task.")
    ] = False,
    baseline: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Also run this filter; may be given several times."),
    ] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FILE.onnx",
            help="Also run this network (1×3×H×W RGB in [0, 1] to the same); may be given several times.",
        ),
    ] = None,
    peer_cmd: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'NAME=PROG {in} {out}'",
            help="Also run this program, which reads one PNG and writes another; may be given several times.",
        ),
    ] = None,
    memory: Annotated[
        bool, typer.Option("--memory", help="Also measure peak memory, each method in a process of its own.")
    ] = False,
    speed: Annotated[
        bool,
        typer.Option(
            "--speed", help="Measure time and memory of --task instead of quality, by size, threads and steps."
        ),
    ] = False,
    sizes: Annotated[
        str, typer.Option(metavar="MEGAPIXELS,...", help="Picture sizes that --speed measures.")
    ] = "0.25,1,4,12,48",
    csv: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write one line per picture and method; replaces a file."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE.html", help="Write a page with tables, plots and sliders; replaces a file."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume an interrupted run of the same sets and settings.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Scores the installed models on standard test sets, with other methods in the same run.

    Every number names its convention: RGB or Y, 8-bit rounding, no crop, nothing fitted to the truth (except the
    one column that says so). Pairs are matched by name; files without a partner are listed. A part of a set is scored
    and called partial. If a picture cannot be read or a pair has unequal sizes, the others are still scored, and the
    exit code is 1. The scores of an interrupted run are kept: see --resume. --device is for the model, --threads for
    every method.

    \b
    Examples:
      restorect bench                                           two bundled pairs for each task
      restorect bench --dataset LIME --data-root ~/data
      restorect bench --dataset CBSD68 --sigma 25 --baselines --memory --report cbsd68.html
      restorect bench --dataset ./my-pairs --task derain --peer mine=net.onnx
      restorect bench --speed --task low-light --threads 2
      restorect bench --dataset LOL-v1 --peer-cmd 'other=python other.py {in} {out}' --json
    """
    restore = restore_options(context)
    out = Output(as_json=as_json, quiet=quiet)
    if list_sets:
        return _list(out)

    if speed:
        _refuse_what_speed_ignores(context)
        return _speed(out, task or "denoise", restore, sizes)
    if _was_given(context, "sizes"):
        raise UsageError("--sizes works only with --speed", "add --speed, or leave --sizes out")

    from ..bench import records
    from ..bench.benchmark import Benchmark, Order
    from ..bench.methods import peer_spec

    _check_output("--csv", csv, (".csv",))
    _check_output("--report", report, (".html", ".htm"))
    peers = [peer_spec(text, command=False) for text in peer or []]
    peers += [peer_spec(text, command=True) for text in peer_cmd or []]
    order = collected(
        Order,
        context,
        datasets=dataset or ["demo"],
        sigmas=sigma or [],
        metrics=metrics.split(",") if metrics else [],
        restore=restore,
        baselines=baseline or [],
        peers=peers,
    )
    outcome = Benchmark(order, say=out.say, on_problem=out.error, progress=out.progress).run()
    if as_json:
        for record in records.records(outcome):
            out.result("", record)
    else:
        for one in outcome.sets:
            out.result(records.table(one), {})
        out.result(records.conventions(outcome), {})
    if csv is not None:
        records.write_csv(outcome, csv)
        out.say(f"every picture: {csv}")
    if report is not None:
        from ..bench.report import write_report

        write_report(outcome, report)
        out.say(f"report: {report}")
    if outcome.problems:
        raise typer.Exit(InputError.exit_code)


def _check_output(option: str, path: Path | None, suffixes: tuple[str, ...]) -> None:
    """Raise UsageError, before anything is measured, for a file that cannot be written or has the wrong extension."""
    if path is None:
        return
    if path.suffix.lower() not in suffixes or path.is_dir():
        raise UsageError(f"{option} cannot be {path}", f"name a file that ends in {suffixes[0]}")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"there is no folder {path.absolute().parent}", "make it first")


def _was_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _refuse_what_speed_ignores(context: typer.Context) -> None:
    """Refuse every given option that --speed does not use; a new option is refused until it is listed."""
    given = [option for option in context.command.params if _was_given(context, option.name or "")]
    unused = [option.opts[0] for option in given if option.name not in _USED_BY_SPEED]
    if unused:
        raise UsageError(
            f"--speed cannot go with {', '.join(unused)}",
            "it scores no pictures and measures the full repair in every precision; run the two separately",
        )


def _speed(out: Output, task: str, restore: RestoreOptions, sizes: str) -> None:
    try:
        megapixels = [float(size) for size in sizes.split(",")]
    except ValueError:
        megapixels = []
    if not megapixels or not all(0.01 <= size <= 250 for size in megapixels):
        raise UsageError(f"cannot parse --sizes '{sizes}'", "give megapixels from 0.01 to 250, as in 1,12")

    from ..bench.speed import growth, measure_costs
    from ..engine.runtime import threads_to_run

    most = threads_to_run(restore.threads)
    counts = [most] if restore.threads is not None or most == 1 else [most, 1]
    steps = [restore.steps] if restore.steps else None
    costs = []
    for cost in measure_costs(task, restore, sizes=megapixels, threads=counts, steps=steps):
        costs.append(cost)
        point = cost.point
        text = f"{cost.model} {point.megapixels:6g} MP, "
        text += f"{_counted(point.threads, 'thread')}, {point.precision}, {flow_told(point.steps, point.ensemble)}: "
        text += f"{cost.seconds_per_megapixel:.3f} s/MP"
        text += f", peak {cost.peak_bytes / 1e9:.2f} GB" if cost.peak_bytes else ""
        text += f", {100 * cost.share:.0f} % of the matrix-product rate" if cost.share else ""
        record = asdict(cost)
        out.result(text, {**record.pop("point"), **record})
    exponents = growth(costs)
    if exponents:
        out.say(f"time grows as size^{exponents[0]:.2f}, memory as size^{exponents[1]:.2f} (1 is linear)")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' if count != 1 else ''}"


def _list(out: Output) -> None:
    from ..bench.datasets import DATASETS

    for row in DATASETS:
        count = f"{row.count} pictures" if row.count else "many pictures"
        text = f"{row.name:12} {row.task:9} {row.layout:6} {count:14} {row.home}"
        record = {"name": row.name, "task": row.task, "layout": row.layout, "count": row.count}
        out.result(text.rstrip(), {**record, "home": row.home, "licence": row.licence, "note": row.note})
