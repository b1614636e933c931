"""The check of an export: what differences are relative to."""

import math

import pytest
import torch
from torch import Tensor

from elboroom.errors import UsageError
from elboroom.exports.coder import Coder, coders, portable
from elboroom.exports.parity import parity
from elboroom.model.likelihoods import TableModel
from tests.support.exported_models import exported_model


def decoder(name: str) -> Coder:
    return [*coders(portable(exported_model(name)))][-1]


def changed(coder: Coder, output: str, place: int, by: float):
    """The outputs of a coder, of which one value of each event is changed."""

    def run(**inputs: Tensor) -> dict[str, Tensor]:
        found = coder.module(**inputs)
        found[output] = found[output].clone()
        found[output].flatten(2)[..., place] += by
        return found

    return run


def test_the_same_numbers_differ_by_nothing():
    coder = decoder("mlp")
    assert parity(coder, coder.module, "itself") == 0.0


def test_logits_are_compared_with_the_largest():
    coder = decoder("mlp")
    coder.model.decoder.output_bias.fill_(50.0)
    assert parity(coder, changed(coder, "logits", 0, 1e-4), "") == pytest.approx(2e-6, rel=0.2)
    with pytest.raises(UsageError, match=r"its output mean differs by 2.0e-05, of 1e-05 at most"):
        parity(coder, changed(coder, "mean", 0, 2e-5), "")


def test_values_in_units_of_the_data_are_compared_in_these():
    coder = decoder("channels")
    assert coder.model.likelihood.units is not None
    coder.model.likelihood.units.location.zero_()
    coder.model.likelihood.units.scale.fill_(1e-6)
    with pytest.raises(UsageError, match="its output mean differs"):
        parity(coder, changed(coder, "mean", 0, 1e-9), "")
    coder.model.likelihood.units.scale.fill_(1e6)
    assert parity(coder, changed(coder, "mean", 0, 1.0), "") < 1e-5


def test_a_column_of_small_numbers_is_not_hidden_by_one_of_large_numbers():
    coder = decoder("table")
    likelihood = coder.model.likelihood
    assert isinstance(likelihood, TableModel)
    first, second = (
        p for p, (name, _) in enumerate(likelihood.layout.columns) if name == "gaussian"
    )
    places = [likelihood.layout.place_of(column)[1] for column in (first, second)]
    likelihood.location[: len(places)] = torch.tensor([1e6, 0.0])
    likelihood.spread[: len(places)] = torch.tensor([1e5, 1e-3])
    assert parity(coder, changed(coder, "mean", first, 0.5), "") < 1e-5
    with pytest.raises(UsageError, match="its output mean differs"):
        parity(coder, changed(coder, "mean", second, 1e-6), "")
    with pytest.raises(UsageError, match="its output gaussian_location differs"):
        parity(coder, changed(coder, "gaussian_location", places[1], 1e-6), "")


def test_a_level_may_be_another_one_that_is_as_probable():
    coder = decoder("table")
    assert parity(coder, changed(coder, "mean", 0, 1.0), "") == 0.0  # a categorical column
    with pytest.raises(UsageError, match="its output categorical_probabilities differs"):
        parity(coder, changed(coder, "categorical_probabilities", 0, 1e-4), "")


@pytest.mark.parametrize("planted", [math.nan, math.inf])
def test_numbers_that_are_not_finite_are_refused(planted: float):
    coder = decoder("mlp")
    with pytest.raises(UsageError, match=f"differs by {planted}"):
        parity(coder, changed(coder, "logits", 3, planted), "")


def test_another_shape_is_refused_though_it_could_be_broadcast():
    coder = decoder("mlp")
    with pytest.raises(UsageError, match="differs by inf"):
        parity(coder, lambda z: {n: v[:1] for n, v in coder.module(z=z).items()}, "")


def test_an_output_that_is_missing_is_refused():
    coder = decoder("mlp")
    with pytest.raises(UsageError, match="its output logits differs by inf"):
        parity(coder, lambda z: {"mean": coder.module(z=z)["mean"]}, "")
