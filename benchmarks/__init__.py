"""Side-by-side measurements: `python -m benchmarks NAME [--quick]`."""

from elboroom.cli.main import bound_openmp_spinning

bound_openmp_spinning()  # before PyTorch is loaded
