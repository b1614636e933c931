"""Each figure of a model and its data: computes the arrays that `elboroom.figures` draws."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from elboroom import figures
from elboroom.config import FigureName, FiguresConfig
from elboroom.data import Dataset
from elboroom.data.masks import load_mask, seen
from elboroom.errors import NotDrawableError, UsageError
from elboroom.figures.method_comparison import (
    compare_beyond_plane,
    compare_in_plane,
    four_sigma_ends,
    log_density_table,
    panel_axes,
)
from elboroom.infer import complete, grid, svi
from elboroom.infer.methods import infer_each
from elboroom.model.priors import StandardNormal
from elboroom.model.vae import VAE
from elboroom.randomness import stream
from elboroom.training.state import EpochMetrics

_GENERATED_IMAGES = 20
_INTERPOLATION_STEPS = 10
_PANELS = 4
_COMPLETED_IMAGES = 8
_COMPLETION_DRAWS = 3
_MANIFOLD_SIDE = 20
_PRIOR_DRAWS = 10_000
_SCATTERED_IMAGES = 10_000
_NEEDS_IMAGES = ("samples", "interpolation", "contours", "posteriors", "completion", "manifold")


@dataclass(frozen=True)
class Subject:
    """The model, data and training history that the figures show.

    Attributes:
        model: on the CPU.
        load_data: loads the data, whose test part is shown, when a figure asks for them.
        event_shape: shape of one row.
        history: metrics of each epoch.
        config: options.
    """

    model: VAE
    load_data: Callable[[], Dataset]
    event_shape: tuple[int, ...]
    history: list[EpochMetrics]
    config: FiguresConfig

    @cached_property
    def data(self) -> Dataset:
        """The data, which are loaded at the first use."""
        return self.load_data()

    def generator(self, name: str) -> torch.Generator:
        """Return the random stream of one figure; it does not depend on which others are drawn."""
        return stream(self.config.seed, name)

    def seen(self, x: Tensor) -> Tensor:
        """Return the mask of the config for `x` (B, *event), False where a pixel is missing."""
        return seen(x, load_mask(self.config.mask, self.event_shape))


def draw(name: FigureName, subject: Subject) -> Figure:
    """Draw one figure.

    Raises:
        NotDrawableError: if this model or data has no such figure.
        UsageError: if the mask or the pairs of the config do not fit the data.
    """
    if name in _NEEDS_IMAGES:
        require_images(subject.event_shape, name)
    with torch.no_grad():
        return FIGURES[name](subject)


def _samples(subject: Subject) -> Figure:
    means, draws = subject.model.generate(_GENERATED_IMAGES, generator=subject.generator("samples"))
    return figures.samples(means.numpy(), draws.numpy())


def _latent(subject: Subject) -> Figure:
    _require_two_latents(subject.model, "latent")
    test = subject.data.test
    part = test.rows(list(range(min(_SCATTERED_IMAGES, len(test)))))
    x = part.x
    means = subject.model.posterior(x, part.seen(x)).mean
    labels = None if part.labels is None else part.labels.numpy()
    latents = subject.model.latents
    if latents == 2:
        return figures.latent(means.numpy(), labels)
    note = f"projection on the first two principal components of D = {latents}"
    axes = ("principal component 1", "principal component 2")
    return figures.latent(_principal_components(means).numpy(), labels, axis_labels=axes, note=note)


def _principal_components(means: Tensor) -> Tensor:
    """Project (N, D) on its first two principal components, (N, 2), with fixed signs."""
    centred = means - means.mean(0)
    directions = torch.linalg.svd(centred, full_matrices=False).Vh[:2]
    signs = directions.gather(1, directions.abs().argmax(1, keepdim=True)).sign()
    return centred @ (signs * directions).T


def _interpolation(subject: Subject) -> Figure:
    x, ends = _images_of_pairs(subject)
    means = subject.model.posterior(x, subject.data.test.seen(x)).mean
    start, end = means.view(2, len(ends), 1, -1)
    t = torch.linspace(0, 1, _INTERPOLATION_STEPS)[:, None]
    paths = subject.model.decode((1 - t) * start + t * end).mean
    return figures.interpolation(paths.numpy(), ends)


def _images_of_pairs(subject: Subject) -> tuple[Tensor, list[tuple[str, str]]]:
    """Return the first test image of each class in `config.pairs`: all starts, then all ends."""
    part = subject.data.test
    ends = [_parse_pair(pair) for pair in subject.config.pairs]
    classes = [a for a, _ in ends] + [b for _, b in ends]
    if part.labels is None:
        rows = [i % len(part) for i in range(len(classes))]
        ends = [(f"#{a}", f"#{b}") for a, b in zip(rows, rows[len(ends) :], strict=False)]
    else:
        rows = [_first_row_of(part.labels, name) for name in classes]
    return part.rows(rows).x, ends


def _parse_pair(pair: str) -> tuple[str, str]:
    start, separator, end = pair.partition("-")
    if not (separator and start.isdigit() and end.isdigit()):
        raise UsageError(
            f"--pairs {pair} is not a pair of classes",
            why="a pair is written as two class numbers with a hyphen between",
            fix="write it as in --pairs 1-2 3-8",
        )
    return start, end


def _first_row_of(labels: Tensor, name: str) -> int:
    rows = (labels == int(name)).nonzero()
    if not len(rows):
        raise UsageError(
            f"no test image has class {name}",
            why=f"the classes are {', '.join(str(c) for c in labels.unique().tolist())}",
            fix="name other --pairs",
        )
    return int(rows[0])


def _contours(subject: Subject) -> Figure:
    _require_plane(subject.model, "contours")
    model, x = subject.model, _images_of_distinct_classes(subject.data, _PANELS)
    mask, generator = subject.seen(x), subject.generator("contours")
    fit = svi(model, x, mask, generator=generator)
    exact = grid(model, x, mask, generator=generator)
    axes = panel_axes(exact, four_sigma_ends(fit.q))
    z1, z2 = axes.numpy().transpose(1, 0, 2)
    truth, fitted = log_density_table(exact, axes), log_density_table(fit.q, axes)
    kl = exact.kl(fit.q).numpy()
    return figures.contours(z1, z2, truth, fitted, kl, x.numpy(), mask.numpy())


def _posteriors(subject: Subject) -> Figure:
    _require_two_latents(subject.model, "posteriors")
    in_plane = subject.model.latents == 2
    compare, rows = (compare_in_plane, _PANELS) if in_plane else (compare_beyond_plane, 1)
    x, generator = _images_of_distinct_classes(subject.data, rows), subject.generator("posteriors")
    return compare(subject.model, x, subject.seen(x), generator=generator)


def _completion(subject: Subject) -> Figure:
    model, x = subject.model, _images_of_distinct_classes(subject.data, _COMPLETED_IMAGES)
    mask, generator = subject.seen(x), subject.generator("completion")
    posterior = infer_each(("svi",), model, x, mask, generator=generator)["svi"]
    filled = complete(model, x, mask, posterior, draws=_COMPLETION_DRAWS, generator=generator)
    arrays = (x, mask, filled.mean, filled.draws)
    return figures.completion(*(array.numpy() for array in arrays))


def _images_of_distinct_classes(data: Dataset, count: int) -> Tensor:
    """Return `count` test images: the first of each class, then the first of any class."""
    labels = data.test.labels
    if labels is None:
        return data.test.rows(list(range(min(count, len(data.test))))).x
    firsts = [int((labels == c).nonzero()[0]) for c in labels.unique()]
    others = [row for row in range(min(count, len(labels))) if row not in firsts]
    return data.test.rows((firsts + others)[:count]).x


def _manifold(subject: Subject) -> Figure:
    _require_plane(subject.model, "manifold")
    quantiles = (torch.arange(_MANIFOLD_SIDE) + 0.5) / _MANIFOLD_SIDE
    across, up = _prior_quantiles(subject, quantiles)
    z2, z1 = torch.meshgrid(up, across, indexing="ij")
    means = subject.model.decode(torch.stack([z1, z2], -1)).mean
    return figures.manifold(means.numpy(), across.numpy(), up.numpy())


def _prior_quantiles(subject: Subject, levels: Tensor) -> Tensor:
    """Return the quantiles of each latent under the prior at these levels, (D, levels)."""
    prior = subject.model.prior
    if isinstance(prior, StandardNormal):
        return torch.special.ndtri(levels).expand(subject.model.latents, -1)
    draws = prior(1).sample(_PRIOR_DRAWS, subject.generator("manifold"))[:, 0]
    return torch.quantile(draws, levels, 0).T.contiguous()


def _curves(subject: Subject) -> Figure:
    if not subject.history:
        raise NotDrawableError(
            "there are no training curves",
            why="the run has not finished an epoch",
            fix="train it longer",
        )
    names = ("epoch", "elbo", "reconstruction", "kl", "beta")
    rows = [asdict(metrics) for metrics in subject.history]
    train = {name: np.array([row[name] for row in rows]) for name in names}
    evaluated = [m for m in subject.history if m.held_out_elbo is not None]
    held_out = {
        "epoch": np.array([m.epoch for m in evaluated]),
        "elbo": np.array([m.held_out_elbo for m in evaluated], dtype=float),
    }
    return figures.curves(train, held_out, held_out_name="held out")


def require_images(event_shape: tuple[int, ...], name: str) -> None:
    """Check that events can be drawn as pictures.

    Raises:
        NotDrawableError: if they cannot.
    """
    if len(event_shape) != 3 or event_shape[0] not in (1, 3):
        raise NotDrawableError(
            f"the {name} figure needs images",
            why=f"events have shape {event_shape}, not (C, H, W) with C = 1 or 3",
            fix="draw other figures with --only, or save the data as images",
        )


def _require_two_latents(model: VAE, name: str) -> None:
    if model.latents == 1:
        raise NotDrawableError(
            f"the {name} figure needs two dimensions",
            why="this model has one latent",
            fix="train with --latents 2 or more",
        )


def _require_plane(model: VAE, name: str) -> None:
    if model.latents != 2:
        raise NotDrawableError(
            f"the {name} figure needs a two-dimensional latent space",
            why=f"this model has {model.latents} latents",
            fix="train with --latents 2, or draw other figures with --only",
        )


FIGURES: dict[FigureName, Callable[[Subject], Figure]] = {
    "samples": _samples,
    "latent": _latent,
    "interpolation": _interpolation,
    "contours": _contours,
    "posteriors": _posteriors,
    "completion": _completion,
    "manifold": _manifold,
    "curves": _curves,
}
