"""Side-by-side measurements: `python -m benchmarks NAME [--quick]`."""

import os
import sys
from pathlib import Path

# As the command line does, before PyTorch is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
# `reliability` runs the drills that the tests run in a small form.
sys.path.append(str(Path(__file__).parents[1] / "tests"))
