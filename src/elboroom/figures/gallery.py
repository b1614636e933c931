"""Each figure of a model and its data: computes the arrays that `elboroom.figures` draws."""

import math
from collections.abc import Callable
from dataclasses import asdict

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from elboroom import figures
from elboroom.config import FigureName
from elboroom.data import Part
from elboroom.errors import NotDrawableError
from elboroom.figures.class_rows import rows_of_distinct_classes, rows_of_pairs
from elboroom.figures.method_comparison import (
    compare_beyond_plane,
    compare_in_plane,
    four_sigma_ends,
    log_density_table,
    panel_axes,
)
from elboroom.figures.plots.style import latent_name
from elboroom.figures.subject import Subject, require_images
from elboroom.infer import complete, grid, svi
from elboroom.infer.methods import infer_each
from elboroom.infer.posterior_means import posterior_means
from elboroom.model.linear_algebra import principal_directions
from elboroom.model.priors import StandardNormal
from elboroom.model.priors.moments import prior_moments
from elboroom.model.vae import VAE

__all__ = ["FIGURES", "OF_ROWS", "Subject", "draw", "require_images"]

_GENERATED_IMAGES = 20
_INTERPOLATION_STEPS = 10
_TRAVERSAL_ENDS, _TRAVERSAL_STEPS = (-3.0, 3.0), 13
_TRAVERSED_LATENTS = 10
_RESAMPLED_IMAGES = 8
_PANELS = 4
_RECONSTRUCTED_IMAGES = 10
_COMPLETED_IMAGES = 8
_COMPLETION_DRAWS = 3
_MANIFOLD_SIDE = 20
_PRIOR_DRAWS = 10_000
_SCATTERED_IMAGES = 10_000
OF_ROWS: tuple[FigureName, ...] = (
    *("reconstructions", "latent", "interpolation", "levels"),
    *("contours", "posteriors", "completion"),
)
"""The figures that show rows of the data; the others show the model or its training alone."""
_NEEDS_IMAGES = (
    *("samples", "reconstructions", "interpolation", "traversal", "levels"),
    *("contours", "posteriors", "completion", "manifold"),
)


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


def suiting(model: VAE, names: tuple[FigureName, ...]) -> tuple[FigureName, ...]:
    """Return those of some figures that are of this kind of model: `levels` is of ladders alone."""
    return tuple(n for n in names if n != "levels" or model.is_ladder)


def _samples(subject: Subject) -> Figure:
    means, draws = subject.model.generate(_GENERATED_IMAGES, generator=subject.generator("samples"))
    means_caption = "means of p(x | z), z ~ p(z)"
    likelihood = f"{subject.likelihood}, " if subject.likelihood else ""
    captions = (means_caption, f"draws x ~ p(x | z), {likelihood}same z")
    return figures.samples(means, draws, captions=captions, value_range=subject.value_range)


def _reconstructions(subject: Subject) -> Figure:
    rows = _rows_of_distinct_classes(subject, _RECONSTRUCTED_IMAGES)
    x = rows.x
    means = subject.model.decode(subject.model.posterior(x, rows.seen(x)).mean).mean
    return figures.reconstructions(
        x,
        means,
        names=_row_names(rows),
        caption="means of p(x | z) at the posterior mean of z, "
        f"below the {_with_rows(subject, rows)}; the number is the root mean square error",
        value_range=subject.value_range,
    )


def _latent(subject: Subject) -> Figure:
    _require_two_latents(subject.model, "latent")
    part, latents = subject.part, subject.model.latents
    shown = part.rows(list(range(min(_SCATTERED_IMAGES, len(part)))))
    means = posterior_means(subject.model, shown)
    note = f"posterior means of {_counted(len(shown), len(part), subject)}"
    if latents == 2:
        return figures.latent(means, shown.labels, class_names=shown.classes, note=note)
    _require_two_rows(shown, subject)
    return figures.latent(
        _principal_components(means),
        shown.labels,
        class_names=shown.classes,
        axis_labels=("principal component 1", "principal component 2"),
        note=f"{note}: projection on the first two principal components of D = {latents:,}",
    )


def _counted(shown: int, count: int, subject: Subject) -> str:
    words = f"{count:,} {subject.words(count)}"
    return f"the first {shown:,} of {words}" if shown < count else words


def _principal_components(means: Tensor) -> Tensor:
    """Project (N, D) on its first two principal components, (N, 2)."""
    return (means - means.mean(0)) @ principal_directions(means, 2).T


def _interpolation(subject: Subject) -> Figure:
    part = subject.part
    index, ends = rows_of_pairs(part, subject.part_name, subject.config.pairs)
    x = part.rows(index).x
    means = subject.model.posterior(x, part.seen(x)).mean
    start, end = means.view(2, len(ends), 1, -1)
    t = torch.linspace(0, 1, _INTERPOLATION_STEPS)[:, None]
    paths = subject.model.decode((1 - t) * start + t * end).mean
    numbered = ends[0][0].startswith("#")
    which = "by their rows" if numbered else "the first of each class"
    return figures.interpolation(
        paths,
        ends,
        caption="means of p(x | z) on the line between the posterior means of two "
        f"{subject.words(2)}, {which}",
        value_range=subject.value_range,
    )


def _traversal(subject: Subject) -> Figure:
    model, latents = subject.model, subject.model.latents
    steps = torch.linspace(*_TRAVERSAL_ENDS, _TRAVERSAL_STEPS)
    moments = prior_moments(model.prior, latents, subject.generator("traversal"))
    changes = torch.stack([_walk(model, d, steps, *moments).var(0).mean() for d in range(latents)])
    chosen = _most_active(changes, [math.prod(shape) for shape in model.level_shapes])
    count = sum(map(len, chosen))
    which = f"{count} of {latents:,} are shown, " if count < latents else ""
    order = "of each level the most active first" if len(chosen) > 1 else "most active first"
    return figures.traversal(
        torch.stack([_walk(model, d, steps, *moments) for some in chosen for d in some]),
        steps,
        names=_names_of_levels(chosen),
        step_label="standard deviations of the prior",
        caption="means of p(x | z) as one latent changes, the others at the prior's mean; "
        f"{which}{order}",
        value_range=subject.value_range,
    )


def _most_active(changes: Tensor, sizes: list[int]) -> list[list[int]]:
    """Return as many latents of each level as there is room for, by how much they change x."""
    room, first, chosen = max(1, _TRAVERSED_LATENTS // len(sizes)), 0, list[list[int]]()
    for some in changes.split(sizes):
        order = some.argsort(descending=True, stable=True)[:room]
        chosen.append((first + order).tolist())
        first += len(some)
    return chosen


def _names_of_levels(chosen: list[list[int]]) -> list[str]:
    """Return the names of latents, each with the number of its level if there are several."""
    if len(chosen) == 1:
        return [latent_name(d) for d in chosen[0]]
    return [f"level {n}: {latent_name(d)}" for n, some in enumerate(chosen, 1) for d in some]


def _walk(model: VAE, latent: int, steps: Tensor, centre: Tensor, spread: Tensor) -> Tensor:
    """Decode z with one latent at `centre` + `steps` × `spread`, the others at `centre`."""
    z = centre.repeat(len(steps), 1)
    z[:, latent] += steps * spread[latent]
    return model.decode(z).mean


def _levels(subject: Subject) -> Figure:
    model = subject.model
    if not model.is_ladder:
        raise NotDrawableError(
            "the levels figure needs a ladder",
            why="this model has one level of latents",
            fix="train with --network ladder, or draw other figures with --only",
        )
    rows, generator = _rows_of_distinct_classes(subject, _RESAMPLED_IMAGES), subject.generator
    x = rows.x
    z = model.posterior(x, rows.seen(x)).sample(1, generator("levels of q"))[0]
    drawn = model.prior(len(x)).sample(1, generator("levels of the prior"))[0]
    sizes = [math.prod(shape) for shape in model.level_shapes]
    kept = [sum(sizes[:count]) for count in range(len(sizes), -1, -1)]
    mixed = torch.stack([torch.cat([z[:, :n], drawn[:, n:]], 1) for n in kept])
    return figures.levels(
        x,
        model.decode(mixed).mean,
        labels=["all kept", *(f"{n} kept" for n in range(len(sizes) - 1, -1, -1))],
        names=_row_names(rows),
        caption=f"means of p(x | z): the upper levels, of {len(sizes)}, keep a draw of the "
        f"posterior of the {_with_rows(subject, rows)}; the others are drawn from the prior",
        value_range=subject.value_range,
    )


def _contours(subject: Subject) -> Figure:
    _require_plane(subject.model, "contours")
    model, rows = subject.model, _rows_of_distinct_classes(subject, _PANELS)
    x = rows.x
    mask, generator = subject.seen(x), subject.generator("contours")
    fit = svi(model, x, mask, generator=generator)
    exact = grid(model, x, mask, generator=generator)
    axes = panel_axes(exact, four_sigma_ends(fit.q))
    z1, z2 = axes.numpy().transpose(1, 0, 2)
    truth, fitted = log_density_table(exact, axes), log_density_table(fit.q, axes)
    return figures.contours(
        *(z1, z2, truth, fitted, exact.kl(fit.q), x, mask),
        caption=subject.describe(rows, masked=True),
        value_range=subject.value_range,
    )


def _posteriors(subject: Subject) -> Figure:
    _require_two_latents(subject.model, "posteriors")
    in_plane = subject.model.latents == 2
    rows = _rows_of_distinct_classes(subject, _PANELS if in_plane else 1)
    x, generator = rows.x, subject.generator("posteriors")
    arguments, caption = (subject.model, x, subject.seen(x)), subject.describe(rows, masked=True)
    if not in_plane:
        return compare_beyond_plane(*arguments, generator=generator, caption=caption)
    value_range = subject.value_range
    return compare_in_plane(
        *arguments, generator=generator, caption=caption, value_range=value_range
    )


def _completion(subject: Subject) -> Figure:
    model, rows = subject.model, _rows_of_distinct_classes(subject, _COMPLETED_IMAGES)
    x = rows.x
    mask, generator = subject.seen(x), subject.generator("completion")
    posterior = infer_each(("svi",), model, x, mask, generator=generator)["svi"]
    filled = complete(model, x, mask, posterior, draws=_COMPLETION_DRAWS, generator=generator)
    return figures.completion(
        *(x, mask, filled.mean, filled.draws),
        names=_row_names(rows),
        caption="mean and draws of p(unseen | seen) by svi; seen: "
        f"{subject.config.mask} of the {_with_rows(subject, rows)}",
        value_range=subject.value_range,
    )


def _rows_of_distinct_classes(subject: Subject, count: int) -> Part:
    return subject.part.rows(rows_of_distinct_classes(subject.part, count))


def _row_names(rows: Part) -> list[str]:
    return [f"#{number}" for number in rows.numbers]


def _with_rows(subject: Subject, rows: Part) -> str:
    """Return words for images whose row numbers stand below them."""
    tinted = ", missing pixels are tinted" if rows.missing else ""
    return f"{subject.words(len(rows))}, # is the row of {rows.origin or 'the source'}{tinted}"


def _manifold(subject: Subject) -> Figure:
    _require_plane(subject.model, "manifold")
    quantiles = (torch.arange(_MANIFOLD_SIDE) + 0.5) / _MANIFOLD_SIDE
    across, up = _prior_quantiles(subject, quantiles)
    z2, z1 = torch.meshgrid(up, across, indexing="ij")
    means = subject.model.decode(torch.stack([z1, z2], -1)).mean
    return figures.manifold(
        means,
        across,
        up,
        caption="means of p(x | z) at equal steps of prior probability",
        value_range=subject.value_range,
    )


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
    unit = f"nats per {subject.noun}"
    return figures.curves(train, held_out, held_out_name=subject.held_out, unit=unit)


def _require_two_rows(rows: Part, subject: Subject) -> None:
    if len(rows) < 2:
        raise NotDrawableError(
            f"the latent figure needs two {subject.noun}s",
            why=f"the {subject.part_name} part has one, and principal components are of several",
            fix="draw another --part, or other figures with --only",
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
            why=f"this model has {model.latents} latents, not a plane of two",
            fix="train with --latents 2, or draw other figures with --only",
        )


FIGURES: dict[FigureName, Callable[[Subject], Figure]] = {
    "samples": _samples,
    "reconstructions": _reconstructions,
    "latent": _latent,
    "interpolation": _interpolation,
    "traversal": _traversal,
    "levels": _levels,
    "contours": _contours,
    "posteriors": _posteriors,
    "completion": _completion,
    "manifold": _manifold,
    "curves": _curves,
}
