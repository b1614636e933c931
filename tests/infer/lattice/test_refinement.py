"""Refinement of the lattice: when it stops, and when it cannot resolve a posterior."""

import math

import pytest
import torch

from elboroom.infer import grid
from elboroom.infer.grid import GridError
from tests.support.grid_cases import generator, problem, small_vae
from tests.support.oracles import LinearGaussian, assert_rejected


def assert_no_chance_agreement():
    """Check the evidence of posteriors of many widths, half-way between points of every lattice."""
    for weight in (4.0, 8.0, 16.6, 25.0, 33.0):
        exact = LinearGaussian(pixels=1, latents=1, seed=1)
        exact.weight.fill_(weight)  # the decoder's own
        mean = torch.arange(64).double() / 128
        x = (mean * (1 + weight**2) / weight)[:, None] + exact.bias
        found = grid(exact.model, x, generator=generator())
        expected = exact.log_evidence(x, torch.ones_like(x).bool())
        torch.testing.assert_close(found.log_evidence, expected, atol=1e-3, rtol=0)


def test_two_spacings_that_agree_by_chance_do_not_end_the_refinement(monkeypatch):
    assert_no_chance_agreement()
    monkeypatch.setattr("elboroom.infer.lattice.refinement._RISE_OF_MASS", 4.0)
    assert_rejected(assert_no_chance_agreement)


@pytest.mark.parametrize("latents", [1, 2])
def test_a_posterior_too_narrow_for_the_finest_grid_is_an_error(latents):
    exact, x, _ = problem(latents)
    exact.model.decoder.weight.data *= 1e6
    with pytest.raises(GridError, match="does not resolve"):
        grid(exact.model, x, generator=generator())


def test_a_tolerance_below_rounding_is_an_error():
    model, x, mask = small_vae(2, 1, 2.0)
    with pytest.raises(GridError, match="does not resolve"):
        grid(model, x, mask, generator=generator(), tolerance=0.0)


def test_densities_that_are_not_finite_are_an_error():
    model, x, mask = small_vae(2, 1, math.inf)
    with pytest.raises(GridError, match="does not resolve"):
        grid(model, x, mask, generator=generator())


@pytest.mark.parametrize("latents", [1, 2])
def test_a_posterior_beyond_any_grid_is_an_error(latents):
    exact, x, _ = problem(latents)
    with pytest.raises(GridError, match="reaches beyond the grid"):
        grid(exact.model, x + 1e6, generator=generator())


def test_refinement_goes_on_until_the_evidence_stands_still():
    exact, x, _ = problem(1)
    exact.model.decoder.weight.data *= 12
    coarse = grid(exact.model, x, generator=generator(), tolerance=0.1)
    fine = grid(exact.model, x, generator=generator(), tolerance=1e-9)
    assert (fine.cells.spacing <= coarse.cells.spacing).all()
    assert (fine.cells.spacing < coarse.cells.spacing).any()
    assert fine.error.max() <= 1e-9
