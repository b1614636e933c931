import functools
import io
import subprocess
import sys
from collections.abc import Callable
from itertools import combinations
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from elboroom import figures
from elboroom.errors import UsageError
from elboroom.figures.style import UNSEEN

DEPTHS = np.array([8.0, 4.5, 2.0, 0.5])
SIGMA = np.array([0.3, 0.1])  # of the Gaussian that stands for a posterior, along z₁ and z₂


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
    """The log density of an axis-aligned Gaussian on a grid, (n, m)."""
    square = (z1[:, None] / sigma[0]) ** 2 + (z2[None] / sigma[1]) ** 2
    return -0.5 * square - np.log(2 * np.pi * sigma[0] * sigma[1])


def posteriors(panels: int, **image: int) -> dict[str, Array]:
    """Arguments of `contours`: n ≠ m, so that a transposed density does not fit."""
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


def samples(count: int, **image: int) -> Figure:
    x = images(count, **image)
    return figures.samples(x, np.round(x))


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


NOTE = "projection on the first two principal components of D = 50, at the best epoch of training"
CASES = {
    "samples-1": lambda: samples(1),
    "samples-7": lambda: samples(7),
    "samples-40-mnist": lambda: samples(40, height=28, width=28),
    "samples-23-rgb-wide": lambda: samples(23, channels=3, height=32, width=64),
    "latent-none": lambda: latent(50, None),
    "latent-10": lambda: latent(2000, 10, axis_labels=("first", "second"), note=NOTE),
    "latent-47": lambda: latent(200, 47),
    "interpolation-1x2": lambda: interpolation(1, 2),
    "interpolation-5x11": lambda: interpolation(5, 11, channels=3),
    "interpolation-2x31": lambda: interpolation(2, 31),
    "interpolation-names": lambda: interpolation(3, 5, "ankle boot"),
    "contours-1": lambda: contours(1),
    "contours-4": lambda: contours(4, channels=3),
    "contours-12": lambda: contours(12),
    "completion-1": lambda: completion(1, 1),
    "completion-10": lambda: completion(10, 3, height=28, width=28),
    "completion-12-rgb": lambda: completion(12, 2, channels=3, height=64, width=48),
    "manifold-1": lambda: manifold(1),
    "manifold-20": lambda: manifold(20),
    "manifold-3-tall": lambda: manifold(3, channels=3, height=24, width=16),
    "curves": lambda: curves(60, 5),
    "curves-1": lambda: curves(1, 5),
    "curves-beta": lambda: curves(60, 5, lambda epoch: np.minimum(1, epoch / 20)),
}
ONE_EACH = [
    *("samples-7", "latent-10", "interpolation-5x11", "contours-4", "completion-1"),
    *("manifold-3-tall", "curves-beta"),
]

HOSTILE: dict[Any, Any] = {
    "font.family": ["monospace"],
    "font.size": 30,
    "text.usetex": True,
    "text.color": "red",
    "axes.grid": True,
    "axes.unicode_minus": False,
    "axes.titlesize": 40,
    "figure.facecolor": "black",
    "figure.dpi": 30,
    "figure.autolayout": True,
    "image.origin": "lower",
    "image.cmap": "jet",
    "lines.linewidth": 9,
    "legend.frameon": True,
    "savefig.bbox": "tight",
    "savefig.facecolor": "green",
    "xtick.labelsize": 30,
    "xtick.major.size": 20,
}


def pixels(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=60)
    return buffer.getvalue()


@functools.cache
def built(name: str) -> Figure:
    """The figure of a case, for tests that only look at it."""
    return CASES[name]()


def drawn_texts(figure: Figure, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Bbox]]:
    """Every non-empty text that a draw really draws, with its extent in pixels."""
    seen, draw = {}, Text.draw

    def spy(text: Text, renderer: Any) -> None:
        if text.get_visible() and text.get_text().strip():
            seen[id(text)] = text
        draw(text, renderer)

    monkeypatch.setattr(Text, "draw", spy)
    FigureCanvasAgg(figure).draw()
    return [(text.get_text(), text.get_window_extent()) for text in seen.values()]


def texts_of(figure: Figure) -> list[Text]:
    return [artist for artist in figure.findobj(Text) if isinstance(artist, Text)]


def inside(figure: Figure, box: Bbox) -> bool:
    return min(box.x0, box.y0) >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1


@pytest.mark.parametrize("name", CASES)
def test_texts_are_inside_the_figure_and_apart(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = built(name)
    texts = drawn_texts(figure, monkeypatch)
    assert texts
    for text, box in texts:
        assert inside(figure, box), f"{text!r} is cut: {box}"
    for (one, a), (other, b) in combinations(texts, 2):
        assert not a.padded(-0.5).overlaps(b.padded(-0.5)), f"{one!r} lies on {other!r}"


@pytest.mark.parametrize("name", CASES)
def test_fonts_are_legible_and_panels_are_inside(name: str) -> None:
    figure = built(name)
    assert figure.get_figwidth() <= 7.0
    assert all(text.get_fontproperties().get_size_in_points() >= 7 for text in texts_of(figure))
    for axes in figure.axes:
        box = axes.get_tightbbox()
        assert box is not None
        assert inside(figure, box)


@pytest.mark.parametrize("name", ONE_EACH)
def test_rc_params_neither_change_nor_matter(name: str) -> None:
    before = dict(mpl.rcParams)
    friendly = pixels(built(name))
    assert dict(mpl.rcParams) == before
    with mpl.rc_context(HOSTILE):
        hostage = CASES[name]()
        assert pixels(hostage) == friendly
    assert pixels(hostage) == friendly


def shown(figure: Figure) -> bytes:
    """What a canvas shows, as in a notebook: without `savefig`."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return bytes(canvas.buffer_rgba())


def test_rc_params_do_not_matter_on_a_canvas() -> None:
    friendly = shown(built("curves-beta"))
    with mpl.rc_context(HOSTILE):
        assert shown(built("curves-beta")) == friendly


@pytest.mark.parametrize("name", ONE_EACH)
def test_saves_as_svg_that_is_always_the_same(name: str) -> None:
    saved = []
    for figure in (built(name), CASES[name]()):
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
        saved.append(buffer.getvalue())
    assert saved[0] == saved[1]
    assert b"</svg>" in saved[0]


def test_import_brings_neither_pyplot_nor_torch() -> None:
    code = (
        "import sys, elboroom; before = set(sys.modules); import elboroom.figures\n"
        "assert not {'torch', 'matplotlib.pyplot'} & (set(sys.modules) - before)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_exports_are_the_figures_sorted() -> None:
    assert figures.__all__ == sorted(figures.__all__)
    assert all(callable(getattr(figures, name)) for name in figures.__all__)


def picture(axes: Axes) -> Array:
    (image,) = axes.images
    return np.asarray(image.get_array())


def tile(axes: Axes, row: int, column: int, shape: tuple[int, int], gap: int) -> Array:
    height, width = shape
    top, left = row * (height + gap), column * (width + gap)
    return picture(axes)[top : top + height, left : left + width]


def colours(x: Array) -> Array:
    """(C, H, W) → (H, W, 3), as a figure shows it."""
    return np.broadcast_to(np.moveaxis(x, -3, -1), (*x.shape[-2:], 3))


@pytest.mark.parametrize("channels", [1, 3])
def test_samples_shows_draws_below_their_means(channels: int) -> None:
    means, draws = images(13, channels=channels), 1 - images(13, channels=channels)
    above, below = figures.samples(means, draws).axes
    assert above.get_position().y0 > below.get_position().y1
    assert above.get_title(loc="left") == "means of p(x | z), z ~ p(z)"
    assert below.get_title(loc="left") == "draws x ~ p(x | z), same z"
    for n in range(13):
        row, column = divmod(n, 7)
        for axes, x in ((above, means), (below, draws)):
            np.testing.assert_array_equal(tile(axes, row, column, (8, 8), 1), colours(x[n]))
    np.testing.assert_array_equal(tile(below, 1, 6, (8, 8), 1), 1.0)


def test_values_outside_the_unit_interval_are_clipped(caplog: pytest.LogCaptureFixture) -> None:
    above, below = figures.samples(np.full((1, 1, 4, 4), 1.5), np.full((1, 1, 4, 4), -0.5)).axes
    assert picture(above).min() == 1.0
    assert picture(below).max() == 0.0
    assert not caplog.records  # matplotlib would have clipped, too, but not in silence


def scatter(axes: Axes) -> PathCollection:
    (points,) = axes.collections
    assert isinstance(points, PathCollection)
    return points


def test_latent_points_keep_order_colour_and_class() -> None:
    means, labels = rng().normal(size=(60, 2)), rng().permutation(np.arange(60) % 3) * 4
    figure = figures.latent(means, labels, axis_labels=("a", "b"), note="from D = 50")
    (axes,) = figure.axes
    points = scatter(axes)
    np.testing.assert_array_equal(points.get_offsets(), means)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["class 0", "class 4", "class 8"]
    swatches = {
        label: line.get_color() for label, line in zip((0, 4, 8), legend.get_lines(), strict=True)
    }
    expected = [to_rgb(swatches[label]) for label in labels]
    np.testing.assert_allclose(np.asarray(points.get_facecolor())[:, :3], expected)
    assert all(line.get_alpha() is None for line in legend.get_lines())
    assert np.asarray(points.get_facecolor())[0, 3] < 1
    assert points.get_rasterized()
    assert axes.get_aspect() == 1
    assert np.ptp(axes.get_ylim()) < 1.5 * np.ptp(means)  # repeated layouts do not zoom out
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("a", "b")
    assert axes.get_title(loc="left") == "from D = 50"


def test_latent_tells_47_classes_apart() -> None:
    (legend,) = latent(94, 47).legends
    looks = {(line.get_color(), line.get_marker()) for line in legend.get_lines()}
    assert len(looks) == 47


def test_latent_points_have_the_markers_of_the_legend() -> None:
    figure = latent(10, 10)
    paths = scatter(figure.axes[0]).get_paths()
    assert len(paths) == 10
    assert len({np.asarray(path.vertices).tobytes() for path in paths}) == 7


def test_latent_without_labels_has_one_colour_and_no_legend() -> None:
    figure = latent(20, None)
    assert not figure.legends
    assert len(np.unique(np.asarray(scatter(figure.axes[0]).get_facecolor()), axis=0)) == 1
    assert figure.axes[0].get_xlabel() == "z₁"


def test_interpolation_labels_rows_by_ends_and_columns_by_fraction() -> None:
    paths = images(2, 5)
    (axes,) = figures.interpolation(paths, [("1", "2"), ("7", "9")]).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["1 → 2", "7 → 9"]
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        "0",
        "0.25",
        "0.5",
        "0.75",
        "1",
    ]
    assert list(axes.get_xticks()) == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(tile(axes, 1, 3, (8, 8), 1), colours(paths[1, 3]))


@pytest.mark.parametrize("steps", [11, 21, 24, 31])
def test_interpolation_labels_are_even_and_meet_both_ends(steps: int) -> None:
    (axes,) = interpolation(1, steps).axes
    ticks = axes.get_xticks()
    assert (ticks[0], ticks[-1]) == (0, steps - 1)
    assert len(set(np.diff(ticks))) == 1


def line_sets(axes: Axes) -> list[QuadContourSet]:
    return [c for c in axes.collections if isinstance(c, QuadContourSet) and not c.filled]


def test_contours_of_a_gaussian_are_its_one_to_four_sigma_ellipses() -> None:
    arguments = posteriors(3)
    figure = figures.contours(**arguments)
    assert len(figure.axes) == 3
    for axes in figure.axes:
        truth, fit = line_sets(axes)
        np.testing.assert_array_equal(truth.levels, fit.levels)
        np.testing.assert_allclose(
            np.asarray(truth.levels), arguments["log_posterior"].max() - DEPTHS
        )
        for path, radius in zip(truth.get_paths(), (4, 3, 2, 1), strict=True):
            # Linear interpolation of a parabola over a cell is off by at most h²/8σ² in log p.
            np.testing.assert_allclose(
                np.sum((np.asarray(path.vertices) / SIGMA) ** 2, 1), radius**2, atol=0.01
            )
        assert truth.linestyles == "solid"
        assert fit.linestyles == "dashed"


def test_contours_do_not_mind_what_is_far_away() -> None:
    arguments = posteriors(1)
    plain = figures.contours(**arguments).axes[0]
    for name, far in (("log_posterior", -np.inf), ("log_q", -1e4)):
        arguments[name] = np.where(arguments[name] < -40, far, arguments[name])
    cut = figures.contours(**arguments).axes[0]
    for one, other in zip(line_sets(plain), line_sets(cut), strict=True):
        for a, b in zip(one.get_paths(), other.get_paths(), strict=True):
            np.testing.assert_allclose(np.asarray(a.vertices), np.asarray(b.vertices))
    assert plain.get_xlim() == cut.get_xlim()


def test_contours_close_where_a_density_ends() -> None:
    arguments = posteriors(1)
    ended = arguments["log_posterior"]
    arguments["log_posterior"] = np.where(ended < ended.max() - 8.1, -np.inf, ended)
    truth, _ = line_sets(figures.contours(**arguments).axes[0])
    (polygon,) = truth.get_paths()[0].to_polygons(closed_only=False)
    outermost = np.asarray(polygon)
    np.testing.assert_array_equal(outermost[0], outermost[-1])


def test_contours_zoom_to_what_they_show_at_equal_scales() -> None:
    (axes,) = contours(1).axes
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    assert right - left == pytest.approx(top - bottom)
    assert -1.4 < left < -4 * SIGMA[0]  # of a grid from −2 to 2
    assert bottom < -4 * SIGMA[1]
    assert axes.get_aspect() == 1


def test_contours_of_a_q_below_every_level_are_left_out() -> None:
    arguments = posteriors(1)
    arguments["log_q"] = np.full_like(arguments["log_q"], -30.0)
    figure = figures.contours(**arguments)
    assert len(line_sets(figure.axes[0])) == 1
    assert len(figure.legends[0].get_lines()) == 2


def test_contours_panel_shows_its_seen_pixels_and_its_kl() -> None:
    arguments = posteriors(2)
    figure = figures.contours(**arguments)
    assert [axes.texts[0].get_text() for axes in figure.axes] == [
        "KL(q‖p)\n= 0.123 nats",
        "KL(q‖p)\n= 2e+03 nats",
    ]
    (inset,) = figure.axes[1].child_axes
    assert isinstance(inset, Axes)
    np.testing.assert_array_equal(picture(inset)[:4], colours(arguments["images"][1])[:4])
    np.testing.assert_allclose(picture(inset)[4:], np.broadcast_to(to_rgb(UNSEEN), (4, 8, 3)))
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["true posterior p(z | seen)", "fit q(z | seen)"]
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == ("z₁", "z₂")


@pytest.mark.parametrize("channels", [1, 3])
def test_completion_keeps_the_seen_and_fills_the_unseen(channels: int) -> None:
    x = images(4, channels=channels)
    masks, mean, draws = halves(x), 1 - x, np.stack([x / 2, x / 3])
    (axes,) = figures.completion(x, masks, mean, draws).axes
    labels = ["seen", "mean", "draw 1", "draw 2", "original"]
    assert [label.get_text() for label in axes.get_yticklabels()] == labels
    tint = np.asarray(to_rgb(UNSEEN))
    weight = 0.25 if channels == 1 else 0.0
    for p in range(4):
        rows = [tile(axes, row, p, (8, 8), 1) for row in range(5)]
        for row in rows:
            np.testing.assert_array_equal(row[:4], colours(x[p])[:4])
        np.testing.assert_allclose(rows[0][4:], np.broadcast_to(tint, (4, 8, 3)))
        for row, filled in zip(rows[1:4], (mean, *draws), strict=True):
            expected = (1 - weight) * colours(filled[p]) + weight * tint
            np.testing.assert_allclose(row[4:], expected[4:])
        np.testing.assert_array_equal(rows[4], colours(x[p]))


def test_manifold_has_z1_to_the_right_and_z2_upwards() -> None:
    x, coordinates = images(4, 4), np.array([-1.5, -0.001, 0.5, 1.5])
    (axes,) = figures.manifold(x, coordinates).axes
    for i in range(4):
        for j in range(4):
            shown = tile(axes, 3 - i, j, (8, 8), 0)
            np.testing.assert_array_equal(shown, colours(x[i, j]))
    labels = ["−1.50", "0.00", "0.50", "1.50"]
    assert [label.get_text() for label in axes.get_xticklabels()] == labels
    assert [label.get_text() for label in axes.get_yticklabels()] == labels
    y = [axes.transData.transform((0, tick))[1] for tick in axes.get_yticks()]
    assert y == sorted(y)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("z₁", "z₂")


def by_title(figure: Figure) -> dict[str, Axes]:
    return {axes.get_title(loc="left").split(",")[0].split("(")[0]: axes for axes in figure.axes}


def test_curves_draws_both_tables_and_names_them() -> None:
    train = table()
    held_out = {name: values[4::5] for name, values in train.items()}
    figure = figures.curves(train, held_out, held_out_name="test")
    panels = by_title(figure)
    assert list(panels) == ["ELBO", "reconstruction", "KL"]
    for axes, quantity in zip(panels.values(), ("elbo", "reconstruction", "kl"), strict=True):
        for line, source in zip(axes.get_lines(), (train, held_out), strict=True):
            np.testing.assert_array_equal(line.get_xdata(), source["epoch"])
            np.testing.assert_array_equal(line.get_ydata(), source[quantity])
        assert axes.get_ylabel() == "nats per image"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["train", "test"]


def test_curves_limits_leave_out_the_first_epochs_only() -> None:
    low, high = by_title(curves(60, 5))["ELBO"].get_ylim()
    train = table()
    assert low > -200  # the first epoch is below −10,000
    assert low < train["elbo"][6:].min()
    assert high > train["elbo"][6:].max()


@pytest.mark.parametrize("epochs", [1, 2, 9])
def test_curves_shows_all_of_a_short_training(epochs: int) -> None:
    low, high = by_title(curves(epochs, 5))["ELBO"].get_ylim()
    assert low < table(epochs)["elbo"].min()
    assert high > table(epochs)["elbo"].max()


@pytest.mark.parametrize(("beta", "panels"), [(1.0, 3), (0.5, 4)])
def test_curves_shows_beta_unless_it_is_one(beta: float, panels: int) -> None:
    figure = curves(20, 5, lambda epoch: np.full_like(epoch, beta))
    assert len(figure.axes) == panels
    assert ("β" in by_title(figure)) == (panels == 4)


def test_curves_without_held_out_epochs_names_the_train_only() -> None:
    figure = curves(4, 5)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["train"]


X = images(2)
MASKS = halves(X)
FLAT = np.zeros((2, 64))
POSTERIORS = posteriors(2)
BAD = {
    "flat events": (lambda: figures.samples(FLAT, FLAT), "(N, C, H, W)", "(2, 64)"),
    "two channels": (lambda: samples(2, channels=2), "C = 1", "(2, 2, 8, 8)"),
    "no image": (lambda: samples(0), "no empty axis", "(0, 1, 8, 8)"),
    "fewer draws": (lambda: figures.samples(X, X[:1]), "(2, 1, 8, 8)", "(1, 1, 8, 8)"),
    "latent in 3-D": (lambda: figures.latent(np.zeros((5, 3))), "(5, 2)", "(5, 3)"),
    "labels": (lambda: figures.latent(np.zeros((5, 2)), np.arange(4)), "(5,)", "(4,)"),
    "one step": (lambda: interpolation(2, 1), "T ≥ 2", "T = 1"),
    "ends": (lambda: figures.interpolation(images(2, 3), [("1", "2")]), "R = 2", "1 pairs"),
    "float mask": (
        lambda: figures.completion(X, MASKS.astype(float), X, X[None]),
        "expected bool",
        "found float64",
    ),
    "mean": (lambda: figures.completion(X, MASKS, X[:1], X[None]), "mean", "(1, 1, 8, 8)"),
    "draws": (lambda: figures.completion(X, MASKS, X, X), "(S, P, C, H, W)", "(2, 1, 8, 8)"),
    "wide manifold": (
        lambda: figures.manifold(images(2, 3), np.zeros(2)),
        "(2, 2, 1, 8, 8)",
        "(2, 3, 1, 8, 8)",
    ),
    "coordinates": (lambda: figures.manifold(images(2, 2), np.zeros(3)), "(2,)", "(3,)"),
    "transposed density": (
        lambda: figures.contours(**POSTERIORS | {"log_q": POSTERIORS["log_q"].swapaxes(1, 2)}),
        "(2, 161, 121)",
        "(2, 121, 161)",
    ),
    "NaN density": (
        lambda: figures.contours(**POSTERIORS | {"log_q": POSTERIORS["log_q"] * np.nan}),
        "no NaN",
        "found nan",
    ),
    "missing column": (
        lambda: figures.curves(table(), {"epoch": np.arange(3)}, held_out_name="test"),
        "held_out",
        "add elbo",
    ),
    "short column": (
        lambda: figures.curves(table() | {"kl": np.zeros(3)}, table(), held_out_name="test"),
        'train["kl"]',
        "(3,)",
    ),
    "no epoch": (
        lambda: figures.curves(
            {name: values[:0] for name, values in table().items()}, table(), held_out_name="test"
        ),
        "at least one epoch",
        "found none",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named_with_what_was_expected_and_found(name: str) -> None:
    build, expected, found = BAD[name]
    with pytest.raises(UsageError, match=r"(?s)expected .*found .*fix: ") as error:
        build()
    assert expected in str(error.value)
    assert found in str(error.value)
