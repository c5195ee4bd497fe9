from __future__ import annotations

import subprocess
import sys

import restorect_cli


def test_every_public_name_is_there():
    for name in restorect_cli.__all__:
        assert getattr(restorect_cli, name) is not None
    assert set(restorect_cli.__all__) <= set(dir(restorect_cli))


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, restorect_cli; print(sorted({'numpy', 'onnxruntime', 'pyvips', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_running_never_imports_torch():
    code = "import sys; from restorect_cli import Restorer, restore_file; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
