"""Figures for a paper: arrays in, a matplotlib `Figure` out; the caller saves it."""

from elboroom.figures.completion import completion, completions
from elboroom.figures.contours import contours
from elboroom.figures.corner import corner
from elboroom.figures.curves import curves
from elboroom.figures.interpolation import interpolation
from elboroom.figures.latent import latent
from elboroom.figures.manifold import manifold
from elboroom.figures.posteriors import posteriors
from elboroom.figures.samples import samples

__all__ = [
    "completion",
    "completions",
    "contours",
    "corner",
    "curves",
    "interpolation",
    "latent",
    "manifold",
    "posteriors",
    "samples",
]
