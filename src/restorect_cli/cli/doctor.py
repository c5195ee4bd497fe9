"""`restorect doctor`: does everything work?"""

from __future__ import annotations

from dataclasses import asdict

import typer

from ..errors import ModelError
from .options import Json, Quiet
from .output import Output


def doctor(as_json: Json = False, quiet: Quiet = False) -> None:
    """Checks versions, devices, memory and weights, and suggests a fix for each problem.

    A device counts as usable only if a small network ran on it. Exit code 0 if all is well, 3 if there is a
    problem; a missing GPU is not a problem.

    \b
    Examples:
      restorect doctor
      restorect doctor --json > report.jsonl     for a bug report
      restorect doctor --quiet || echo broken
    """
    from ..doctor import examine

    output = Output(as_json=as_json, quiet=quiet)
    findings = examine()
    for finding in findings:
        output.result(f"{finding.section:<9} {finding.name:<22} {finding.value}", asdict(finding))
        if finding.problem:
            output.error(f"{finding.name}: {finding.problem}: {finding.fix}")
    if any(finding.problem for finding in findings):
        raise typer.Exit(ModelError.exit_code)
    output.say("all is well")
