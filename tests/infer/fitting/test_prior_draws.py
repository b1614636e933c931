"""Draws of the prior that are kept from one fit to the next."""

import math

import pytest
import torch

from elboroom.errors import UsageError
from elboroom.infer import KeptDraws, laplace
from elboroom.infer.fitting import prior_draws
from elboroom.infer.fitting.prior_draws import PriorDraws
from elboroom.infer.target import Target
from tests.support.fit_cases import TwoModes, generator, pictures, small_vae


def test_kept_draws_score_as_new_ones_do():
    model, (x, mask) = small_vae(4), pictures(5, seed=1)
    target, kept = Target.of(model, x, mask), KeptDraws(model)
    assert kept.z.shape == (4_096, model.latents)
    expected = PriorDraws(kept.z).log_joint_table(target)
    torch.testing.assert_close(kept.log_joint_table(target), expected)


def test_fits_from_kept_draws_find_the_best_mode():
    case = TwoModes(2)
    x, mask = case.data(20, seed=4)
    kept = KeptDraws(case.model)
    one, two = (
        laplace(case.model, x, mask, generator=generator(), starts=starts, kept=kept)
        for starts in (1, 2)
    )
    new = laplace(case.model, x, mask, generator=generator())
    torch.testing.assert_close(two.elbo, new.elbo, atol=1e-2, rtol=0)
    assert (one.elbo <= two.elbo + 1e-2).all()


def test_what_was_decoded_is_not_decoded_again(monkeypatch):
    model, (x, mask) = small_vae(4), pictures(5, seed=1)
    kept, passes = KeptDraws(model), list[int]()
    decode = type(model).decode
    monkeypatch.setattr(
        type(model), "decode", lambda model, z: passes.append(len(z)) or decode(model, z)
    )
    laplace(model, x, mask, generator=generator(), refine=False, kept=kept)
    few = sum(passes)
    passes.clear()
    laplace(model, x, mask, generator=generator(), refine=False)
    assert sum(passes) >= few + 4_096


def test_few_draws_are_kept_of_large_events(monkeypatch):
    model = small_vae(4)
    monkeypatch.setattr(prior_draws, "_MOST_BYTES", 4 * 10 * math.prod(model.event_shape))
    assert len(KeptDraws(model).z) == 10
    monkeypatch.setattr(prior_draws, "_MOST_BYTES", 1)
    assert len(KeptDraws(model).z) == 1


def test_draws_of_other_weights_are_refused():
    model, (x, mask) = small_vae(4), pictures(5, seed=1)
    kept = KeptDraws(model)
    next(model.decoder.parameters()).data.mul_(1.01)
    with pytest.raises(UsageError, match="not of this model"):
        laplace(model, x, mask, generator=generator(), kept=kept)
