"""`restorect doctor`: is everything in order?"""

from __future__ import annotations

import typer

from ..errors import ModelError
from .options import Json, Quiet
from .output import Output


def doctor(as_json: Json = False, quiet: Quiet = False) -> None:
    """Checks versions, devices, memory and weights, and gives the fix for each problem.

    A device counts as usable only if a small network really ran on it. Exit code 0 if all is well, 3 if a
    problem was found; a GPU that is not there is no problem.

    \b
    Examples:
      restorect doctor
      restorect doctor --json > report.jsonl     to go with a bug report
      restorect doctor --quiet || echo broken
    """
    from ..doctor import examine

    output = Output(as_json=as_json, quiet=quiet)
    findings = examine()
    for finding in findings:
        output.result(f"{finding.section:<9} {finding.name:<22} {finding.value}", finding.as_dict())
        if finding.problem:
            output.error(f"{finding.name}: {finding.problem}: {finding.fix}")
    if any(finding.problem for finding in findings):
        raise typer.Exit(ModelError.exit_code)
    output.say("all is well")
