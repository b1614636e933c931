"""Figures for a paper: arrays in, a matplotlib `Figure` out; the caller saves it."""

from elboroom.figures.completion import completion
from elboroom.figures.contours import contours
from elboroom.figures.curves import curves
from elboroom.figures.interpolation import interpolation
from elboroom.figures.latent import latent
from elboroom.figures.manifold import manifold
from elboroom.figures.samples import samples

__all__ = [
    "completion",
    "contours",
    "curves",
    "interpolation",
    "latent",
    "manifold",
    "samples",
]
