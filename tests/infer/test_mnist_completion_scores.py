"""Completion scores of MNIST images, by every method, against two grids and sequential Monte Carlo.

The top half is seen. Run `pytest -m full -s` on this file for the table.
"""

from functools import cache

import pytest
import torch

from elboroom import VAE, ModelConfig, TrainConfig, half_mask, infer, load_mnist, train
from elboroom.infer.methods import REGISTRY
from elboroom.infer.methods import infer as infer_by
from tests.support.tempered import log_evidence

EVENT = (1, 28, 28)
IMAGES = {2: 100, 10: 25}
METHODS = sorted(REGISTRY)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@cache
def trained(latents):
    """A model of 10,000 digits after 20 epochs, and images that it has not seen."""
    data = load_mnist(binarisation="threshold", split="reference")
    config = ModelConfig(latents=latents, hidden=(100,), likelihood="bernoulli")
    model = VAE.from_config(config, EVENT, generator=generator())
    train(model, data, TrainConfig(epochs=20, threads=1, precision="fp32"))
    return model.eval(), data.test.x[: IMAGES[latents]]


@cache
def expected(latents):
    """log p(x) − log p(x_seen) of each image and its standard error."""
    model, x = trained(latents)
    top = half_mask("top", EVENT)
    if latents == 2:
        whole, part = (infer.grid(model, x, m, generator=generator()) for m in (None, top))
        return whole.log_evidence - part.log_evidence, whole.error + part.error
    options = {"particles": 1_024, "runs": 3}
    pairs = [
        [log_evidence(model, row, m, generator(i), **options) for m in (top | True, top)]
        for i, row in enumerate(x)
    ]
    difference = torch.stack([whole[0] - part[0] for whole, part in pairs])
    error = torch.stack([(whole[1].square() + part[1].square()).sqrt() for whole, part in pairs])
    # the error of three runs is itself known to a half
    return difference, error.maximum(error.square().mean().sqrt())


@pytest.mark.full
@pytest.mark.parametrize("latents", IMAGES)
@pytest.mark.parametrize("name", METHODS)
def test_reliable_scores_lie_within_three_standard_errors(latents, name):
    if name == "grid" and latents > 2:
        pytest.skip("a grid is for one or two latents")
    model, x = trained(latents)
    posterior = infer_by(name, model, x, half_mask("top", EVENT), generator=generator(3))
    found = infer.completion_score(
        model, x, half_mask("top", EVENT), posterior, generator=generator(4)
    )
    truth, error = expected(latents)
    off = found.log_prob - truth
    # grids are refined until log p changes by less than 1e-3 nats
    within = off.abs() < 3 * (found.standard_error.square() + error.square()).sqrt() + 2e-3
    good = found.reliable
    print(  # noqa: T201
        f"\n{name}, {latents} latents: {within[good].double().mean():.1%} within 3 s.e., "
        f"worst {off[good].abs().max():.2f} nats, flagged {(~good).double().mean():.0%}"
    )
    assert within[good].double().mean() >= 0.98 - 1 / len(x)
    assert (~good).double().mean() <= 0.1
