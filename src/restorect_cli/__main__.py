"""`python -m restorect_cli` is `restorect`."""

from restorect_cli.cli.app import run

run()
