"""Posteriors of partly seen data: every method takes `(model, x, mask, *, generator, …)`."""

from elboroom.infer.completion import Completion, complete
from elboroom.infer.grid import GridPosterior, grid
from elboroom.infer.quadrature import exact_elbo
from elboroom.infer.svi import SVIPosterior, svi

__all__ = [
    "Completion",
    "GridPosterior",
    "SVIPosterior",
    "complete",
    "exact_elbo",
    "grid",
    "svi",
]
