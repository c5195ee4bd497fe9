"""The program: parses the arguments, runs one command, reports every error on one line with an exit code.

0    done
1    an input could not be read, or an output not written
2    wrong usage: an unknown option or name, a value out of range
3    a model or a device is not available
130  interrupted (Ctrl-C)
143  terminated (SIGTERM)
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from .._version import __version__
from ..errors import RestorectError
from ..one_line import folded
from ..signals import handling
from . import batch, bench, compare, degrade, distill, doctor, enhance, export, label, models, train
from .options import help_if_alone
from .output import Output, let_go_of_broken_streams

app = typer.Typer(
    name="restorect",
    rich_markup_mode=None,  # plain help: quicker, and the same text on every terminal and in docs/cli.md
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.command("enhance", short_help="Repair photographs.")(enhance.enhance)
app.command("batch", short_help="Repair a folder of photographs, unattended; one machine or many.")(batch.batch)
app.add_typer(models.app, name="models")
app.command("bench", short_help="Score the models, and other methods, on test pictures.")(bench.bench)
app.command("benchmark", short_help="The same as `bench`.", hidden=True)(bench.bench)
app.command("compare", short_help="Put two pictures under one slider.")(compare.compare)
app.command("degrade", short_help="Make training pairs from clean photographs.")(degrade.degrade)
app.command("label", short_help="Label photographs without truth by a slow network.")(label.label)
app.command("train", short_help="Train a model from a recipe.")(train.train)
app.command("distill", short_help="Train a model that learns from a teacher.")(distill.distill)
app.command("export", short_help="Turn a training run into a model that `enhance` can use.")(export.export)
app.command("doctor", short_help="Check that everything works; suggest a fix for each problem.")(doctor.doctor)

_INTERRUPTED, _TERMINATED = 130, 143


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"restorect {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def restorect(
    context: typer.Context,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error (also: RESTORECT_DEBUG=1).")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Repairs photographs on a plain CPU, offline: low light, noise, rain, raindrops.

    \b
    Examples:
      restorect enhance photo.jpg                   writes photo.restored.jpg beside it
      restorect enhance dark.jpg -o bright.png --task low-light
      restorect batch ./photos                      writes ./photos-restored
      restorect models list                         which repairs are installed
      restorect doctor                              check that everything works

    Exit codes: 0 done; 1 an image could not be read or written; 2 wrong usage; 3 a model or device is not available.
    """
    if debug:
        os.environ["RESTORECT_DEBUG"] = "1"
    help_if_alone(context)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; nothing a user does raises."""
    _reserve_closed_descriptors()
    try:
        with handling(signal.SIGTERM, _raise_terminated):
            return _run(arguments)
    except _Terminated:
        return _fail("terminated", _TERMINATED)
    finally:
        let_go_of_broken_streams()


def _run(arguments: Sequence[str] | None) -> int:
    try:
        code = app(args=None if arguments is None else list(arguments), prog_name="restorect", standalone_mode=False)
        if code == _INTERRUPTED:  # how recent versions of Typer report Ctrl-C; older ones raise Abort
            return _fail("interrupted", _INTERRUPTED)
        return code if isinstance(code, int) else 0
    except RestorectError as error:
        return _fail(str(error), error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        return _fail("interrupted", _INTERRUPTED)
    except BrokenPipeError:  # the program that read our output is gone
        return 1
    except typer.TyperException as error:
        return _usage_problem(error)
    except OSError as error:  # such as a help page printed to a full disk; files have their own errors
        return _fail(f"a file or stream cannot be used ({error}): check the free space and where the output goes", 1)
    except MemoryError:
        return _fail("out of memory: try a smaller --tile, or close other programs", 1)
    except Exception as error:
        what = folded(error) or "no message"
        return _fail(f"unexpected {type(error).__name__} ({what}): please report it with the output of --debug", 1)


def _usage_problem(error: typer.TyperException) -> int:
    """Typer's complaint on one line, with the command whose help to read."""
    context = getattr(error, "ctx", None)
    command = getattr(context, "command_path", None) or "restorect"
    message = (
        folded(error.format_message()).rstrip(".").replace("Value error, ", "")
    )  # pydantic's prefix, in Typer 0.29
    return _fail(f"{message}: see {command} --help", 2)


def _fail(message: str, code: int) -> int:
    if os.environ.get("RESTORECT_DEBUG", "0") not in ("", "0"):
        import traceback

        Output(verbose=True).detail(traceback.format_exc().rstrip())
    Output().error(message)
    return code


class _Terminated(BaseException):
    """SIGTERM: everything cleans up as after Ctrl-C. Not an Exception, so that nothing catches it."""


def _raise_terminated(*_: object) -> None:
    raise _Terminated


def _reserve_closed_descriptors() -> None:
    """If the caller closed stdin, stdout or stderr, the next opened file would get its number, and stray messages."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number


def run() -> NoReturn:
    """Entry point of `python -m restorect_cli`."""
    sys.exit(main())
