"""`python -m restorect_cli` is `restorect`."""

from .cli.app import run

run()
