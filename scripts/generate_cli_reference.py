"""Writes docs/cli.md from the help texts of the program.

python scripts/generate_cli_reference.py            write it
python scripts/generate_cli_reference.py --check    only say, by the exit code, whether it is up to date
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from restorect_cli.cli.app import app

REFERENCE = Path(__file__).resolve().parents[1] / "docs" / "cli.md"
HEADER = """\
# Command reference

Written by `scripts/generate_cli_reference.py` from the help texts; change those, not this file.
"""


def reference() -> str:
    """The whole page, as Markdown."""
    root = typer.main.get_command(app)
    sections = [section(path, command) for path, command in walk("restorect", root)]
    return "\n".join([HEADER, *sections])


def walk(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Every command with its full name, parents first."""
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from walk(f"{path} {name}", child)


def section(path: str, command: Any) -> str:
    parts = [f"## {path}", "", f"    {usage(path, command)}", "", description(command.help), ""]
    rows = [row(parameter) for parameter in command.params if parameter.name != "help"]
    if rows:
        parts += ["| | |", "|---|---|", *rows, ""]
    if getattr(command, "commands", None):
        parts += [f"- `{path} {name}`: {child.get_short_help_str(200)}" for name, child in command.commands.items()]
        parts += [""]
    return "\n".join(parts)


def usage(path: str, command: Any) -> str:
    arguments = [parameter.metavar or "" for parameter in command.params if parameter.param_type_name == "argument"]
    rest = ["COMMAND"] if getattr(command, "commands", None) else arguments
    return " ".join([path, "[OPTIONS]", *rest])


def description(help: str) -> str:
    """Paragraphs joined to lines; what follows a \\b is kept as it is, its indented lines as code."""
    paragraphs = []
    for paragraph in inspect.cleandoc(help).split("\n\n"):
        lines = paragraph.split("\n")
        if lines[0].strip() == "\b":
            block = [f"    {line[2:]}" if line.startswith("  ") else line for line in lines[1:]]
            paragraphs.append("\n".join([block[0], "", *block[1:]]))
        else:
            paragraphs.append(" ".join(lines))
    return "\n\n".join(paragraphs)


def row(parameter: Any) -> str:
    names = ", ".join(f"`{name}`" for name in parameter.opts)
    if parameter.param_type_name == "argument":
        names = f"`{parameter.metavar}`"
    elif parameter.metavar:
        names += f" `{parameter.metavar}`"
    text = parameter.help
    if parameter.show_default and parameter.default not in (None, False, ()) and not callable(parameter.default):
        text += f" [default: {parameter.default}]"
    return f"| {escaped(names)} | {escaped(text)} |"


def escaped(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|")


def main() -> int:
    text = reference()
    if "--check" in sys.argv[1:]:
        return int(not REFERENCE.is_file() or REFERENCE.read_text(encoding="utf-8") != text)
    REFERENCE.parent.mkdir(exist_ok=True)
    REFERENCE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
