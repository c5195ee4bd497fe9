"""Where the check data lie: RESTORECT_DATA as for `restorect bench`, else beside the checkout; often nowhere."""

from __future__ import annotations

import os
from pathlib import Path

DATA = Path(os.environ.get("RESTORECT_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
