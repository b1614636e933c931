"""Side-by-side measurements: `python -m benchmarks NAME [--quick]`."""

import os

# As the command line does, before PyTorch is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
