"""The posterior that follows from the decoder, for any mask."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from elboroom.config import Config, DataConfig, ModelConfig, ObjectiveConfig, TrainConfig
from elboroom.data import Dataset
from elboroom.errors import UsageError
from elboroom.evaluation.likelihood import evaluate
from elboroom.infer.target import Target
from elboroom.model.laplace_posterior import laplace_posterior
from elboroom.model.posteriors import Gaussian, GaussianMixture
from elboroom.model.priors import MixturePrior
from elboroom.model.vae import VAE
from elboroom.randomness import stream
from elboroom.runs.run import Run
from elboroom.training.loop import train
from elboroom.training.resolve import resolve
from tests.support.oracles import LinearGaussian, LinearMixture, assert_rejected, random_masks

ROWS, PIXELS, LATENTS = 40, 6, 3
OPTIONS = ModelConfig(latents=2, hidden=(16,), posterior="laplace", likelihood="gaussian")


def mixture_prior() -> MixturePrior:
    """Return four components in three dimensions, some of them close together."""
    means, log_stds = torch.randn(2, 4, LATENTS, generator=stream(3, "prior"), dtype=torch.float64)
    return MixturePrior(torch.tensor([0.0, 1.0, -1.0, 0.5]).double(), means, 0.3 * log_stds)


def test_it_is_the_posterior_of_a_linear_model_under_any_mask():
    linear = LinearGaussian(PIXELS, LATENTS, seed=0)
    x, mask = linear.data(ROWS, seed=1), random_masks(ROWS, PIXELS, seed=2)
    mean, precision = linear.posterior(x, mask)

    def check(given: Tensor) -> None:
        q = laplace_posterior(linear.model, x, given)
        assert isinstance(q, Gaussian)
        assert (q.mean - mean).abs().max() < 1e-10
        assert (q.covariance - torch.linalg.inv(precision)).abs().max() < 1e-10

    check(mask)
    assert_rejected(lambda: check(torch.ones_like(mask)))


def test_every_draw_gives_the_evidence_of_a_linear_model():
    """log p(x_seen, z) − log q(z) = log p(x_seen) for each z, as q is the posterior."""
    linear = LinearGaussian(PIXELS, LATENTS, seed=0)
    x, mask = linear.data(ROWS, seed=1), random_masks(ROWS, PIXELS, seed=2)
    z, log_q = laplace_posterior(linear.model, x, mask).draw(5, stream(0, "z"))
    found = linear.model.log_joint(x, z, mask) - log_q
    assert (found - linear.log_evidence(x, mask)).abs().max() < 1e-8


def test_it_is_the_mixture_that_a_mixture_as_the_prior_gives():
    linear = LinearMixture(PIXELS, mixture_prior(), seed=0)
    x, mask = linear.data(ROWS, seed=1), random_masks(ROWS, PIXELS, seed=2)
    log_mass, means, covariances = linear.posterior(x, mask)

    def check(given: Tensor) -> None:
        q = laplace_posterior(linear.model, x, given)
        assert isinstance(q, GaussianMixture)
        assert (q.log_mass.T - log_mass.log_softmax(-1)).abs().max() < 1e-8
        assert (q.components.mean.transpose(0, 1) - means).abs().max() < 1e-8
        assert (q.components.covariance.transpose(0, 1) - covariances).abs().max() < 1e-8

    check(mask)
    assert_rejected(lambda: check(mask | (torch.arange(PIXELS) == 2)))


def test_the_gradient_at_the_mode_of_a_network_promises_nothing():
    model = VAE.from_config(OPTIONS, (PIXELS,), generator=stream(0, "weights")).eval()
    for layer in model.decoder.modules():
        if isinstance(layer, torch.nn.Linear):
            layer.weight.data.mul_(3.0)
    x = model.generate(ROWS, generator=stream(1, "x"))[1].detach()
    mask = random_masks(ROWS, PIXELS, seed=2)
    q = model.posterior(x, mask)
    gradient, precision = Target.of(model, x, mask).curvature(q.mean)
    gain = 0.5 * (gradient[:, None] @ torch.linalg.solve(precision, gradient[..., None])).flatten()
    assert gain.quantile(0.9) < 1e-3
    assert (q.covariance - torch.linalg.inv(precision)).abs().max() < 1e-4


def test_a_value_that_is_unseen_reaches_nothing():
    model = VAE.from_config(OPTIONS, (PIXELS,), generator=stream(0, "weights")).eval()
    x, mask = torch.randn(ROWS, PIXELS, generator=stream(0, "x")), random_masks(ROWS, PIXELS, 1)
    found = model.posterior(x.masked_fill(~mask, torch.nan), mask)
    assert torch.equal(found.mean, model.posterior(x, mask).mean)
    assert found.mean.isfinite().all()


def test_a_column_that_others_determine_leaves_it_finite():
    """The precision of z is 1e8 in float32, whose rounding would make it indefinite."""
    model = VAE.from_config(
        replace(OPTIONS, latents=6, hidden=(), noise=1e-4), (12,), generator=stream(0, "weights")
    ).eval()
    x = model.generate(ROWS, generator=stream(1, "x"))[0].detach()
    assert model.posterior(x, None).mean.isfinite().all()


@pytest.mark.parametrize("prior", ["standard", "mixture"])
def test_a_model_is_trained_and_loaded_without_an_encoder(prior: str, tmp_path):
    noise = torch.Generator().manual_seed(0)
    x = torch.randn(300, 2, generator=noise) @ torch.randn(2, PIXELS, generator=noise)
    x += 0.3 * torch.randn(x.shape, generator=noise)
    x[torch.rand(x.shape, generator=noise) < 0.3] = torch.nan
    config = Config(
        data=DataConfig(),
        model=replace(OPTIONS, hidden=(), prior=prior, components=3),
        objective=ObjectiveConfig("elbo" if prior == "standard" else "elbo-sampled"),
        train=TrainConfig(epochs=30, batch_size=100, learning_rate=2e-2, threads=1),
    )
    data = Dataset.from_arrays(x.numpy())
    run = Run.create(tmp_path / "run", resolve(config, data), data)
    model, state = run.new_training(data)
    history = train(model, data, run.config.train, objective=config.objective, state=state).history
    assert history[-1].elbo > history[0].elbo + 1
    # q is the posterior, so that all draws have the same weight.
    assert evaluate(model, data, k=10, seed=0).per_image["ess"].min() > 9.99


def test_a_prior_that_is_no_mixture_is_refused():
    with pytest.raises(UsageError, match="mixture"):
        ModelConfig(posterior="laplace", prior="flow")
