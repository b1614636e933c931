"""Arguments for tests of figures, and readers of what figures show."""

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from numpy.typing import NDArray

from elboroom import figures

DEPTHS = np.array([8.0, 4.5, 2.0, 0.5])
SIGMA = np.array([0.3, 0.1])  # standard deviations along z₁ and z₂ of a Gaussian posterior


Array = NDArray[Any]


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def images(*leading: int, channels: int = 1, height: int = 8, width: int = 8) -> Array:
    return rng().random((*leading, channels, height, width))


def halves(x: Array) -> Array:
    mask = np.ones(x.shape, dtype=bool)
    mask[..., x.shape[-2] // 2 :, :] = False
    return mask


def gaussian(z1: Array, z2: Array, sigma: Array) -> Array:
    """Compute the log density of an axis-aligned Gaussian on a grid, (n, m)."""
    square = (z1[:, None] / sigma[0]) ** 2 + (z2[None] / sigma[1]) ** 2
    return -0.5 * square - np.log(2 * np.pi * sigma[0] * sigma[1])


def posteriors(panels: int, **image: int) -> dict[str, Array]:
    """Return arguments of `contours`; n ≠ m, so that a transposed density does not fit."""
    z1, z2 = np.linspace(-2, 2, 161), np.linspace(-0.8, 0.8, 121)
    x = images(panels, **image)
    return {
        "z1": np.tile(z1, (panels, 1)),
        "z2": np.tile(z2, (panels, 1)),
        "log_posterior": np.tile(gaussian(z1, z2, SIGMA), (panels, 1, 1)),
        "log_q": np.tile(gaussian(z1, z2, np.array([0.2, 0.2])), (panels, 1, 1)),
        "kl": np.linspace(0.1234, 2000, panels),
        "images": x,
        "masks": halves(x),
    }


def several(rows: int, fits: int, samplers: int, **image: int) -> dict[str, Any]:
    """Return arguments of `figures.posteriors`: wider and wider fits, and exact samplers."""
    one = posteriors(rows, **image)
    z1, z2 = one["z1"][0], one["z2"][0]
    widths = {f"method {f}, with a name": SIGMA * (1 + f / 4) for f in range(fits)}
    log_q = {name: np.tile(gaussian(z1, z2, s), (rows, 1, 1)) for name, s in widths.items()}
    z = {f"sampler {s}": SIGMA * rng().normal(size=(700, rows, 2)) for s in range(samplers)}
    return one | {"log_q": log_q, "kl": dict.fromkeys(log_q, one["kl"]), "draws": z}


def draws(methods: int, dimensions: int) -> dict[str, Array]:
    """Return arguments of `figures.corner`: Gaussian draws, fewer and wider for each method."""
    sizes = {f"method {k} with a longer name": 4000 // (k + 1) for k in range(methods)}
    z = {name: rng().normal(size=(size, dimensions)) for name, size in sizes.items()}
    return {name: (k + 1) * values for k, (name, values) in enumerate(z.items())}


def completed(x: Array, methods: int, draws: int) -> dict[str, tuple[Array, Array]]:
    """Return the methods of `figures.completions`, each with one more draw than the last."""
    fills = [1 - x / (k + 1) for k in range(methods)]
    names = [f"method {k}, with a longer name" for k in range(methods)]
    return {
        name: (fill, np.stack([fill / (s + 2) for s in range(draws + k)]))
        for k, (name, fill) in enumerate(zip(names, fills, strict=True))
    }


def several_posteriors(rows: int, fits: int, samplers: int, **image: int) -> Figure:
    return figures.posteriors(**several(rows, fits, samplers, **image))


def corner(methods: int, dimensions: int, **words: Any) -> Figure:
    return figures.corner(draws(methods, dimensions), **words)


def completions(count: int, methods: int, draws: int, **image: int) -> Figure:
    x = images(count, **image)
    return figures.completions(x, halves(x), completed(x, methods, draws))


def samples(count: int, **image: int) -> Figure:
    x = images(count, **image)
    return figures.samples(x, np.round(x))


def real_samples(count: int, **image: int) -> Figure:
    x = 3e4 + 17 * images(count, **image)
    x[0, :, 2, 2] = np.nan
    return figures.samples(x, x)


def reconstructions(count: int, **words: Any) -> Figure:
    names = [f"#{31 * k}" for k in range(count)]
    return figures.reconstructions(images(count), images(count), names=names, **words)


def traversal(rows: int, steps: int, **words: Any) -> Figure:
    return figures.traversal(images(rows, steps), np.linspace(-3, 3, steps), **words)


def levels(count: int, rows: int, **image: int) -> Figure:
    return figures.levels(images(count, **image), images(rows, count, **image))


def latent(count: int, classes: int | None, **words: Any) -> Figure:
    means = rng().normal(size=(count, 2))
    return figures.latent(means, None if classes is None else np.arange(count) % classes, **words)


def interpolation(rows: int, steps: int, name: str = "7", **image: int) -> Figure:
    return figures.interpolation(images(rows, steps, **image), [(name, "9")] * rows)


def contours(panels: int, **image: int) -> Figure:
    return figures.contours(**posteriors(panels, **image))


def completion(count: int, draws: int, **image: int) -> Figure:
    x = images(count, **image)
    return figures.completion(x, halves(x), 1 - x, images(draws, count, **image))


def manifold(count: int, **image: int) -> Figure:
    return figures.manifold(images(count, count, **image), np.linspace(-2, 2, count))


def table(epochs: int = 60) -> dict[str, Array]:
    epoch = np.arange(1.0, epochs + 1)
    kl = 25 * (1 - np.exp(-epoch / 10))
    reconstruction = -100 - 20 / epoch
    reconstruction[0] = -1e4
    return {
        "epoch": epoch,
        "elbo": reconstruction - kl,
        "reconstruction": reconstruction,
        "kl": kl,
    }


def curves(epochs: int, every: int, beta: Callable[[Array], Array] | None = None) -> Figure:
    train = table(epochs)
    held_out = {name: train[name][every - 1 :: every] for name in ("epoch", "elbo")}
    if beta is not None:
        train["beta"] = beta(train["epoch"])
    return figures.curves(train, held_out, held_out_name="validation")


def picture(axes: Axes) -> Array:
    (image,) = axes.images
    return np.asarray(image.get_array())


def tile(axes: Axes, row: int, column: int, shape: tuple[int, int], gap: int) -> Array:
    height, width = shape
    top, left = row * (height + gap), column * (width + gap)
    return picture(axes)[top : top + height, left : left + width]


def colours(x: Array) -> Array:
    """Convert (C, H, W) to (H, W, 3), as a figure shows it."""
    return np.broadcast_to(np.moveaxis(x, -3, -1), (*x.shape[-2:], 3))


def lines(axes: Axes) -> list[QuadContourSet]:
    return [c for c in axes.collections if isinstance(c, QuadContourSet) and not c.filled]


def colour(contours: QuadContourSet) -> str:
    return to_hex(np.asarray(contours.get_edgecolor())[0]).upper()


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]
