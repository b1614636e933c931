"""Properties of every figure: legible texts, independence of rcParams, and imports."""

import functools
import io
import subprocess
import sys
from itertools import combinations
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from PIL import Image

from elboroom import figures
from tests.support.figure_cases import (
    completion,
    completions,
    contours,
    corner,
    curves,
    interpolation,
    latent,
    levels,
    manifold,
    real_samples,
    reconstructions,
    samples,
    several_posteriors,
    traversal,
)

NOTE = "projection on the first two principal components of D = 50, at the best epoch of training"
CASES = {
    "samples-1": lambda: samples(1),
    "samples-7": lambda: samples(7),
    "samples-40-mnist": lambda: samples(40, height=28, width=28),
    "samples-23-rgb-wide": lambda: samples(23, channels=3, height=32, width=64),
    "latent-none": lambda: latent(50, None),
    "latent-10": lambda: latent(2000, 10, axis_labels=("first", "second"), note=NOTE),
    "latent-47": lambda: latent(200, 47),
    "latent-100": lambda: latent(400, 100, note=NOTE),
    "latent-60-names": lambda: latent(60, 60, class_names=[f"number {k:04}" for k in range(60)]),
    "latent-100-names": lambda: latent(99, 99, class_names=[f"subject {k:06}" for k in range(99)]),
    "samples-1-real": lambda: real_samples(1),
    "samples-7-real-rgb": lambda: real_samples(7, channels=3),
    "reconstructions-10": lambda: reconstructions(10, caption=NOTE),
    "reconstructions-1": lambda: reconstructions(1, caption=NOTE),
    "traversal-10x13": lambda: traversal(10, 13, caption=NOTE),
    "traversal-1x1": lambda: traversal(1, 1),
    "levels-8x5": lambda: levels(8, 5, height=28, width=28),
    "levels-1x2-rgb": lambda: levels(1, 2, channels=3),
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
    "completions-1x1": lambda: completions(1, 1, 1),
    "completions-8x3-mnist": lambda: completions(8, 3, 2, height=28, width=28),
    "completions-12x6-rgb": lambda: completions(12, 6, 1, channels=3, height=64, width=48),
    "completions-2x4-wide": lambda: completions(2, 4, 1, height=16, width=64),
    "corner-1x2": lambda: corner(1, 2),
    "corner-5x2": lambda: corner(5, 2),
    "corner-3x5": lambda: corner(3, 5, axis_labels=["z₁₂", "z₄₀", "first axis", "b", "c"]),
    "corner-5x8": lambda: corner(5, 8, caption="seen: top, hmc, R 1.027, " * 7),
    "posteriors-1x1": lambda: several_posteriors(1, 1, 0),
    "posteriors-1x3": lambda: several_posteriors(1, 1, 1),
    "posteriors-3x3": lambda: several_posteriors(3, 2, 1, height=28, width=28),
    "posteriors-6x5": lambda: several_posteriors(6, 4, 1, channels=3, width=16),
    "posteriors-6x1": lambda: several_posteriors(6, 0, 1, height=16),
    "manifold-1": lambda: manifold(1),
    "manifold-20": lambda: manifold(20),
    "manifold-3-tall": lambda: manifold(3, channels=3, height=24, width=16),
    "curves": lambda: curves(60, 5),
    "curves-1": lambda: curves(1, 5),
    "curves-beta": lambda: curves(60, 5, lambda epoch: np.minimum(1, epoch / 20)),
}
LARGE = {"corner-5x8", "posteriors-6x5"}
MOST_CASES = [pytest.param(n, marks=[pytest.mark.full] * (n in LARGE)) for n in CASES]
ONE_EACH = [
    *("samples-7", "latent-10", "interpolation-5x11", "contours-1", "completion-1"),
    *("manifold-3-tall", "curves-beta", "completions-1x1", "corner-5x2", "posteriors-1x3"),
    *("samples-1-real", "latent-100", "reconstructions-10", "traversal-1x1"),
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


@functools.cache
def hostage(name: str) -> Figure:
    """The figure of a case, made under rcParams that would spoil it."""
    with mpl.rc_context(HOSTILE):
        return CASES[name]()


def drawn_texts(figure: Figure, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Bbox]]:
    """Every non-empty text that a draw really draws, with its extent in pixels."""
    seen, draw = {}, Text.draw

    def spy(text: Text, renderer: Any) -> None:
        if text.get_visible() and text.get_text().strip():
            seen[id(text)] = text
        draw(text, renderer)

    monkeypatch.setattr(Text, "draw", spy)
    figure.draw_without_rendering()
    return [(text.get_text(), text.get_window_extent()) for text in seen.values()]


def texts_of(figure: Figure) -> list[Text]:
    return [artist for artist in figure.findobj(Text) if isinstance(artist, Text)]


def inside(figure: Figure, box: Bbox) -> bool:
    return min(box.x0, box.y0) >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1


@pytest.mark.parametrize("name", MOST_CASES)
def test_texts_are_inside_the_figure_and_do_not_overlap(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    figure = built(name)
    texts = drawn_texts(figure, monkeypatch)
    assert texts
    for text, box in texts:
        assert inside(figure, box), f"{text!r} is cut: {box}"
    inner = [(text, box.padded(-0.5)) for text, box in texts]
    for (one, a), (other, b) in combinations(inner, 2):
        assert not a.overlaps(b), f"{one!r} lies on {other!r}"


@pytest.mark.parametrize("name", MOST_CASES)
def test_fonts_are_legible_and_panels_are_inside(name: str) -> None:
    figure = built(name)
    assert figure.get_figwidth() <= 7.0
    assert all(text.get_fontproperties().get_size_in_points() >= 7 for text in texts_of(figure))
    for axes in figure.axes:
        box = axes.get_tightbbox()
        assert box is not None
        assert inside(figure, box)


@pytest.mark.parametrize("name", ONE_EACH)
def test_figures_neither_change_nor_depend_on_rc_params(name: str) -> None:
    before = dict(mpl.rcParams)
    friendly = pixels(built(name))
    assert dict(mpl.rcParams) == before
    with mpl.rc_context(HOSTILE):
        assert pixels(hostage(name)) == friendly
    assert pixels(hostage(name)) == friendly


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
    for figure in (built(name), hostage(name)):
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


def test_a_notebook_that_has_not_loaded_pyplot_shows_a_figure():
    figure = samples(1)
    shown = Image.open(io.BytesIO(figure._repr_png_()))  # type: ignore[attr-defined]
    assert shown.size == tuple((figure.get_size_inches() * 120).astype(int))
