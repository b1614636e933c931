from dataclasses import replace

import torch

from elboroom import Dataset
from elboroom.training.amortisation.pairs import Pairs, PairSource
from tests.support.oracles import LinearGaussian, assert_mean, assert_rejected

ROWS, PIXELS, LATENTS = 4_000, 5, 2


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def source(
    share: float, draws: int = 1, *, missing: bool = False
) -> tuple[LinearGaussian, PairSource]:
    exact = LinearGaussian(PIXELS, LATENTS, seed=80)
    x = exact.data(300, seed=1)
    if missing:
        x[torch.rand(x.shape, generator=generator()) < 0.2] = torch.nan
    part = Dataset.from_arrays(x.float().numpy()).train
    return exact, PairSource(exact.model, part, share, draws)


def test_pairs_of_the_model_have_latents_of_its_posterior():
    exact, pairs = source(0.0)
    found = pairs.draw(ROWS, generator())

    def check(found: Pairs) -> None:
        mean, precision = exact.posterior(found.x.nan_to_num(), found.mask)
        apart = (found.z - mean)[..., None]
        # E (z − μ)ᵀ Λ (z − μ) = D
        assert_mean((apart.mT @ precision @ apart)[:, 0, 0], LATENTS)

    check(found)
    assert_rejected(lambda: check(replace(found, z=found.z.roll(1, 0))))


def test_pairs_of_the_data_have_latents_of_the_encoder():
    exact, pairs = source(1.0)
    found = pairs.draw(ROWS, generator())
    q = exact.model.posterior(found.x.double())
    assert_mean(found.z - q.mean, 0.0)
    rows = pairs.part.x
    assert (found.x[:50, None] == rows).all(-1).any(1).all()


def test_weights_move_latents_of_the_data_to_the_posterior():
    def check(draws: int) -> None:
        exact, pairs = source(1.0, draws)
        found = pairs.draw(ROWS // 4, generator())
        mean, _ = exact.posterior(found.x.double(), torch.ones_like(found.mask))
        assert_mean(found.z - mean, 0.0)

    check(1_000)
    assert_rejected(lambda: check(1))


def test_a_missing_value_is_never_seen():
    _, pairs = source(0.5, missing=True)
    found = pairs.draw(ROWS, generator())
    assert found.x.isnan().any()
    assert not (found.mask & found.x.isnan()).any()
    assert found.z.isfinite().all()
    half = pairs.of_data(ROWS, generator()).half_seen(generator())
    assert not (half.mask & half.x.isnan()).any()
    assert_mean(half.mask[~half.x.isnan()].double(), 0.5)


def test_the_share_of_the_data_is_exact():
    _, pairs = source(0.25, missing=True)
    whole = pairs.part.x
    found = pairs.draw(100, generator()).x[:25]
    same = (found[:, None].nan_to_num(9) == whole.nan_to_num(9)).all(-1).any(1)
    assert same.all()
