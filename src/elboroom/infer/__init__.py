"""Posteriors of partly seen data: every method takes `(model, x, mask, *, generator, …)`."""

from elboroom.infer.completion import Completion, complete
from elboroom.infer.grid import GridPosterior, grid
from elboroom.infer.laplace import laplace
from elboroom.infer.posterior import Posterior, VariationalPosterior
from elboroom.infer.quadrature import exact_elbo
from elboroom.infer.svi import svi

__all__ = [
    "Completion",
    "GridPosterior",
    "Posterior",
    "VariationalPosterior",
    "complete",
    "exact_elbo",
    "grid",
    "laplace",
    "svi",
]
