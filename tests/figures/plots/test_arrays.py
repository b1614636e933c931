"""The arguments of figures: tensors of any kind give the pictures of their arrays."""

from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from elboroom import figures
from elboroom.errors import UsageError
from elboroom.figures.plots.arrays import as_array
from tests.support.figure_cases import completed, halves, images, posteriors, rng, several, table

X, Y = images(3), 1 - images(3)
MASKS = halves(X)
WALKS = images(2, 3)
ONE_EACH: dict[str, tuple[Any, tuple[Any, ...], dict[str, Any]]] = {
    "samples": (figures.samples, (X, Y), {}),
    "reconstructions": (figures.reconstructions, (X, Y), {}),
    "latent": (figures.latent, (rng().normal(size=(9, 2)), np.arange(9) % 3), {}),
    "interpolation": (figures.interpolation, (WALKS, [("1", "2"), ("3", "4")]), {}),
    "traversal": (figures.traversal, (WALKS, np.array([-3.0, 0.0, 3.0])), {}),
    "contours": (figures.contours, (), posteriors(1)),
    "posteriors": (figures.posteriors, (), several(1, 1, 1)),
    "completion": (figures.completion, (X, MASKS, Y, Y[None]), {}),
    "completions": (figures.completions, (X, MASKS, completed(X, 1, 1)), {}),
    "corner": (figures.corner, ({"a": rng().normal(size=(50, 2))},), {"limits": np.eye(2) * 3}),
    "manifold": (figures.manifold, (images(3, 3), np.arange(3.0), np.arange(3.0)), {}),
    "curves": (figures.curves, (table(5), table(5)), {"held_out_name": "test"}),
}
ONE_EACH["levels"] = (figures.levels, (X, np.stack([Y, X])), {})
ONE_EACH["missing"] = (figures.missing, (rng().random((30, 4)) < 0.7, list("abcd")), {})
ONE_EACH["corner"] = (figures.corner, ({"a": rng().normal(size=(50, 2))},), {})


def tensors(value: Any) -> Any:
    """Convert every array within to a tensor, which has a gradient if it can."""
    if isinstance(value, np.ndarray):
        tensor = torch.from_numpy(value.copy())
        return tensor.requires_grad_() if tensor.is_floating_point() else tensor
    if isinstance(value, dict):
        return {name: tensors(inner) for name, inner in value.items()}
    return tuple(map(tensors, value)) if isinstance(value, tuple) else value


def drawn(figure: Figure) -> list[Any]:
    """Return what a figure shows: its pictures, points and texts."""
    axes = [*figure.axes, *(inset for axes in figure.axes for inset in axes.child_axes)]
    shown = [np.asarray(image.get_array()) for a in axes for image in a.images]
    paths = [np.asarray(p.vertices) for a in axes for c in a.collections for p in c.get_paths()]
    points = [np.asarray(c.get_offsets()) for a in axes for c in a.collections]
    return [*shown, *paths, *points, *(line.get_xydata() for a in axes for line in a.lines)]


def test_every_public_figure_is_among_the_cases() -> None:
    assert sorted(ONE_EACH) == figures.__all__


@pytest.mark.parametrize("name", ONE_EACH)
def test_tensors_are_drawn_as_their_arrays(name: str) -> None:
    function, arguments, words = ONE_EACH[name]
    expected = drawn(function(*arguments, **words))
    found = drawn(function(*tensors(arguments), **tensors(words)))
    assert expected
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64, torch.uint8])
def test_a_tensor_of_any_type_keeps_its_values(dtype: torch.dtype) -> None:
    found = as_array("x", torch.tensor([0.0, 1.0, 2.0]).to(dtype))
    assert found.tolist() == [0, 1, 2]
    assert as_array("mask", torch.tensor([True, False])).dtype == np.bool_


def test_a_view_and_a_conjugate_are_read_as_they_are() -> None:
    x = torch.arange(6.0).view(2, 3).requires_grad_()
    assert as_array("x", x.T[::2]).tolist() == [[0, 3], [2, 5]]
    assert as_array("x", x._neg_view()).tolist() == [[0, -1, -2], [-3, -4, -5]]


def test_an_array_is_not_copied() -> None:
    assert as_array("x", X) is X


@pytest.mark.parametrize(
    "value", [["a", "b"], None, np.array([None]), [[1.0], [1.0, 2.0]], torch.ones(2) * 1j]
)
def test_what_is_no_array_of_numbers_is_refused_by_name(value: Any) -> None:
    with pytest.raises(UsageError, match=r"^means: expected an array or a tensor of numbers"):
        figures.samples(value, X)
