"""Consistency under augmentation: its divergence, its objective, its steps, and its refusals."""

from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal, kl_divergence

from elboroom.config import Config, ModelConfig, ObjectiveConfig, TrainConfig
from elboroom.data import Dataset, Part
from elboroom.errors import UsageError
from elboroom.model.posteriors import CholeskyGaussian, LadderPosterior
from elboroom.model.vae import VAE
from elboroom.randomness import stream
from elboroom.training.augmentation import Augmentation
from elboroom.training.consistency import divergence
from elboroom.training.loop import train
from elboroom.training.objective import bound
from elboroom.training.state import mutable_tensors, new_state
from elboroom.training.step import Step
from tests.support import ladder_cases
from tests.support.oracles import (
    Affine,
    LinearGaussian,
    UnitNoise,
    assert_mean,
    assert_rejected,
    random_masks,
)

CONSISTENT = ObjectiveConfig(consistency=0.7)
QUICK = TrainConfig(
    epochs=4, batch_size=10, flip=True, device="cpu", precision="fp32", threads=1, compile="off"
)


class Following(nn.Module):
    """An encoder whose q depends on x: the mean and the log standard deviation are affine."""

    def __init__(self, pixels: int, latents: int) -> None:
        super().__init__()
        self.mean, self.log_std = (
            nn.Parameter(0.3 * ladder_cases.numbers(pixels, latents, seed=seed)) for seed in (5, 6)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x @ self.mean, 0.3 * x @ self.log_std


@pytest.mark.parametrize("objective", ["elbo", "elbo-sampled"])
def test_the_objective_has_the_exact_mean(objective: str):
    """½ [L(x) + L(x̃) − λ KL(q(z | x̃) ‖ q(z | x))], each under a mask of its own."""
    exact, draws = LinearGaussian(pixels=4, latents=2, seed=10), 30_000
    exact.model = VAE(Following(4, 2), Affine(exact.weight, exact.bias), 2, UnitNoise).double()
    x, moved = exact.data(3, seed=11), exact.data(3, seed=12)
    masks = random_masks(3, 4, seed=12), random_masks(3, 4, seed=13)
    config = replace(CONSISTENT, objective=objective, k=draws)
    with torch.no_grad():
        q, other = (exact.model.posterior(*pair) for pair in zip((x, moved), masks, strict=True))
        found = bound(
            exact.model,
            x,
            masks[0],
            config=config,
            generator=ladder_cases.generator(3),
            moved=(moved, masks[1]),
        )
        own = bound(exact.model, x, masks[0], config=config, generator=ladder_cases.generator(3))
    elbos = [
        exact.elbo(a, mask, one.mean, one.log_std)  # type: ignore[attr-defined]
        for a, mask, one in zip((x, moved), masks, (q, other), strict=True)
    ]
    gaussian, its = (MultivariateNormal(one.mean, one.covariance) for one in (q, other))

    def check(kl: Tensor) -> None:
        expected = 0.5 * (elbos[0] + elbos[1] - 0.7 * kl)
        torch.testing.assert_close(found.value, expected, atol=0.05, rtol=0)

    check(kl_divergence(its, gaussian))
    assert_rejected(lambda: check(kl_divergence(gaussian, its)))
    assert torch.equal(found.reconstruction, own.reconstruction)
    assert torch.equal(found.kl, own.kl)


def test_the_divergence_of_diagonal_gaussians_is_in_closed_form():
    model = VAE(Following(4, 2), nn.Linear(2, 4).double(), 2)
    x, other = ladder_cases.numbers(2, 5, 4)
    q, r = model.posterior(x), model.posterior(other)
    found = divergence(q, r, 1, ladder_cases.generator())
    gaussians = (MultivariateNormal(one.mean, one.covariance) for one in (q, r))  # type: ignore[arg-type]
    torch.testing.assert_close(found, kl_divergence(*gaussians))


def test_the_divergence_of_other_densities_is_estimated_from_draws():
    numbers, rows, k = ladder_cases.numbers, 3, 20_000

    def cholesky(seed: int) -> CholeskyGaussian:
        mean, log_std = 0.5 * numbers(2, rows, 3, seed=seed)
        return CholeskyGaussian(mean, log_std, 0.5 * numbers(rows, 3, seed=seed + 1))

    q, r = cholesky(1), cholesky(3)
    dense = [MultivariateNormal(one.mean, scale_tril=one.scale) for one in (q, r)]
    z, log_q = q.draw(k, ladder_cases.generator())
    found = divergence(q, r, k, ladder_cases.generator())
    torch.testing.assert_close(found, (log_q - r.log_prob(z)).mean(0))

    def check(kl: Tensor) -> None:
        assert_mean(log_q - r.log_prob(z), kl)

    check(kl_divergence(*dense))
    assert_rejected(lambda: check(kl_divergence(*dense[::-1])))


def two_posteriors(model: VAE) -> tuple[LadderPosterior, LadderPosterior]:
    pixels = model.event_shape[0]
    found = [
        model.posterior((ladder_cases.numbers(2, pixels, seed=s) > 0).double()) for s in (3, 4)
    ]
    assert all(isinstance(q, LadderPosterior) for q in found)
    return found[0], found[1]  # type: ignore[return-value]


def test_the_divergence_of_a_ladder_of_two_scalars_is_that_of_a_grid():
    q, r = two_posteriors(ladder_cases.two_scalars())
    side = torch.linspace(-9, 9, 200, dtype=torch.float64)
    points = torch.cartesian_prod(side, side)[:, None].expand(-1, 2, -1)
    log_q, log_r = (one.log_prob(points) for one in (q, r))
    area = (side[1] - side[0]) ** 2
    drawn = q.descend(10_000, ladder_cases.generator(), r).divergence
    assert drawn is not None

    def check(kl: Tensor) -> None:
        assert_mean(drawn.sum(0), kl)

    check((log_q.exp() * (log_q - log_r)).sum(0) * area)
    assert_rejected(lambda: check((log_r.exp() * (log_r - log_q)).sum(0) * area))


def test_each_level_of_a_ladder_has_the_divergence_of_its_draws():
    """It has less noise than log q − log r, and none where the two are the same."""
    q, r = two_posteriors(ladder_cases.ladder((5,), spread=0.3, levels=(2,), level_channels=(2,)))
    found = q.descend(5_000, ladder_cases.generator(), r)
    assert found.divergence is not None
    sampled = found.log_q.sum(0) - r.log_prob(found.z)
    assert_mean(sampled - found.divergence.sum(0), 0.0)
    assert_rejected(lambda: assert_mean(sampled - found.divergence[1:].sum(0), 0.0))  # type: ignore[index]
    assert found.divergence.sum(0).var(0).mean() < 0.1 * sampled.var(0).mean()
    itself = q.descend(5, ladder_cases.generator(), q).divergence
    torch.testing.assert_close(itself, torch.zeros(3, 5, 2).double())
    assert q.descend(5, ladder_cases.generator()).divergence is None


@pytest.mark.parametrize("config", [CONSISTENT, replace(CONSISTENT, objective="iwae", k=3)])
def test_the_objective_of_a_ladder_takes_the_divergence_of_the_draws_of_the_copy(
    config: ObjectiveConfig,
):
    model = ladder_cases.ladder((5,), spread=0.4, levels=(2,))
    x, moved = (ladder_cases.numbers(2, 6, 5) > 0).double()
    found, half, none = (
        bound(
            model,
            x,
            config=replace(config, consistency=weight),
            generator=ladder_cases.generator(1),
            moved=(moved, None),
        ).value
        for weight in (0.8, 0.4, 0.0)
    )
    torch.testing.assert_close(found - none, 2 * (half - none))
    noise = ladder_cases.generator(1)
    own = bound(model, x, config=config, generator=noise).value
    copy = bound(model, moved, config=config, generator=noise).value
    torch.testing.assert_close(none, 0.5 * (own + copy))
    assert (found < none).all()


def pictures() -> Dataset:
    x = torch.rand(30, 1, 4, 6, generator=stream(0, "values")) < 0.5
    return Dataset.from_arrays(x[:20], x[20:])


def new_model(**options: Any) -> VAE:
    config = ModelConfig(2, (3,), **options)
    return VAE.from_config(config, (1, 4, 6), generator=stream(0, "weights"))


def seen_in_a_step(objective: ObjectiveConfig, *, augments: bool) -> list[Tensor]:
    """What the encoder sees of pictures that are all mirrored, in one step."""
    model, data, seen = new_model().train(), pictures(), list[Tensor]()
    model.encoder.register_forward_pre_hook(lambda encoder, x: seen.append(x[0].clone()))
    step = Step(model, data.train, new_state(model), QUICK, objective, torch.float32)
    with patch.object(
        Augmentation, "__call__", lambda self, x, noise: x.flip(3) if self.flip else x
    ):
        step(torch.arange(20), 0.0, 1.0, augments)
    return seen


def test_a_step_encodes_each_image_and_a_moved_copy_until_augmentation_ends():
    x = pictures().train.x
    plain, once = ObjectiveConfig(), [x.flip(3)]
    for objective, augments, expected in (
        (CONSISTENT, True, [x, x.flip(3)]),
        (CONSISTENT, False, [x]),
        (plain, True, once),
        (plain, False, [x]),
    ):
        found = seen_in_a_step(objective, augments=augments)
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_grey_levels_are_drawn_for_the_image_and_its_copy_apart():
    grey = torch.full((400, 1, 2, 2), 128, dtype=torch.uint8)
    part = Part(grey, None, replace(pictures().train.binarisation, name="dynamic", white=255.0))
    model, seen = VAE.from_config(ModelConfig(2, (3,)), (1, 2, 2), generator=stream(0, "w")), []
    model.encoder.register_forward_pre_hook(lambda encoder, x: seen.append(x[0].clone()))
    step = Step(model.train(), part, new_state(model), QUICK, CONSISTENT, torch.float32)
    step(torch.arange(400), 0.0, 1.0)
    both = torch.stack(seen)
    assert set(both.unique().tolist()) == {0.0, 1.0}
    assert_mean((both[0] - both[1]).square().flatten()[:, None], 0.5)


@pytest.mark.parametrize("posterior", ["diagonal", "full", "flow"])
def test_after_the_end_of_augmentation_steps_are_those_of_the_bound_alone(posterior: str):
    """Bit for bit, and so is a training that is stopped and goes on."""
    data, ends = pictures(), list[dict[str, Tensor]]()
    moved = replace(QUICK, rotate=20.0, augment_until=0.5)
    still = replace(moved, flip=False, rotate=0.0, augment_until=1.0)
    for config, objective, stops in (
        (moved, CONSISTENT, ()),
        (moved, CONSISTENT, (3, 5)),
        (still, ObjectiveConfig(), (4,)),
        (still, ObjectiveConfig(), (3,)),
    ):
        model = new_model(posterior=posterior)
        state = new_state(model, moved)
        for end in stops:
            stop = lambda end=end, state=state: state.step == end  # noqa: E731
            train(model, data, moved, objective=CONSISTENT, state=state, stop=stop)
        train(model, data, config, objective=objective, state=state)
        assert state.step == 8
        ends.append({n: value.clone() for n, value in mutable_tensors(model, state).items()})

    def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
        return all(torch.equal(one[n], other[n]) for n in one if n != "totals")

    assert same(ends[0], ends[1])
    assert same(ends[0], ends[2])
    assert not same(ends[0], ends[3])


def test_a_consistent_encoder_gives_a_mirrored_picture_much_the_same_q():
    data, found = pictures(), list[float]()
    for weight in (0.0, 30.0):
        model = new_model()
        config = replace(QUICK, epochs=30, learning_rate=0.01)
        train(model, data, config, objective=replace(CONSISTENT, consistency=weight))
        with torch.no_grad():
            q, r = model.posterior(data.train.x.flip(3)), model.posterior(data.train.x)
            found.append(divergence(q, r, 1, stream(0, "z")).mean().item())
    assert found[1] < 0.1 * found[0]


def test_what_has_no_moved_copies_or_no_encoder_is_refused():
    said = "--consistency 0.7 cannot be used"
    still, no_encoder = replace(QUICK, flip=False), {"posterior": "laplace"}
    for config, options, why in (
        (still, {}, "consistency must be 0 without --flip, --shift, --rotate or --zoom"),
        (QUICK, no_encoder, "consistency must be 0 with the posterior laplace"),
    ):
        for refused in (
            lambda config=config, options=options: train(
                new_model(**options), pictures(), config, objective=CONSISTENT
            ),
            lambda config=config, options=options: Config(
                model=ModelConfig(**options), train=config, objective=CONSISTENT
            ),
        ):
            with pytest.raises(UsageError, match=said) as error:
                refused()
            assert error.value.why.startswith(why)
    with pytest.raises(UsageError, match="--consistency -1 cannot"):
        ObjectiveConfig(consistency=-1)
    table = Dataset.from_arrays(torch.eye(20)[:, :3], torch.eye(5)[:, :3])
    model = VAE.from_config(ModelConfig(2, (3,)), (3,), generator=stream(0, "weights"))
    with pytest.raises(UsageError, match="--flip cannot be used with these data"):
        train(model, table, QUICK, objective=CONSISTENT)
