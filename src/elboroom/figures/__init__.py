"""Figures for a paper: functions of arrays or tensors that return a matplotlib `Figure`."""

from elboroom.figures.plots.completion import completion, completions
from elboroom.figures.plots.contours import contours
from elboroom.figures.plots.corner import corner
from elboroom.figures.plots.curves import curves
from elboroom.figures.plots.interpolation import interpolation
from elboroom.figures.plots.latent import latent
from elboroom.figures.plots.levels import levels
from elboroom.figures.plots.manifold import manifold
from elboroom.figures.plots.missing import missing
from elboroom.figures.plots.posteriors import posteriors
from elboroom.figures.plots.reconstructions import reconstructions
from elboroom.figures.plots.samples import samples
from elboroom.figures.plots.traversal import traversal

__all__ = [
    "completion",
    "completions",
    "contours",
    "corner",
    "curves",
    "interpolation",
    "latent",
    "levels",
    "manifold",
    "missing",
    "posteriors",
    "reconstructions",
    "samples",
    "traversal",
]
