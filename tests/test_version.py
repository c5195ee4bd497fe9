"""The version stands in one place, and the build reads it from there."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import pytest

import restorect_cli
from restorect_cli._version import __version__


def test_the_package_and_what_is_installed_have_one_version() -> None:
    assert restorect_cli.__version__ == __version__
    try:
        installed = version("restorect")
    except PackageNotFoundError:
        pytest.skip("run from a checkout that is not installed")
    assert installed == __version__
