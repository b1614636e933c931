import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from elboroom import VAE, DataConfig, Dataset, ModelConfig, evaluate, infer, load_data
from elboroom.data import Identity, Part
from elboroom.errors import IncomparableError, UsageError
from elboroom.evaluation import annealed_likelihood
from elboroom.infer.chains.noise import Noise
from elboroom.randomness import stream
from tests.support.oracles import assert_rejected

IDENTITY = Identity("mnist", "ab12", "threshold", "standard", 60)
QUICK = {"seed": 3, "distributions": 20, "chains": 4}


@pytest.fixture(scope="module")
def evaluated():
    """A model of 12 pixels, 60 images, and the evaluation of the model on them."""
    x = torch.randint(0, 2, (60, 1, 3, 4), generator=torch.Generator().manual_seed(0))
    part = Part(x.to(torch.uint8), None)
    data = Dataset(IDENTITY, part, None, part)
    model = VAE.from_config(
        ModelConfig(latents=2, hidden=(6,)), (1, 3, 4), generator=stream(0, "weights")
    )
    return model, data, evaluate(model, data, k=5, seed=0)


def test_log_evidence_is_that_of_the_first_images(evaluated):
    model, data, evaluation = evaluated
    found = annealed_likelihood(model, data, evaluation, images=7, **QUICK)
    exact = infer.grid(model, data.test.x[:7], generator=stream(0, "grid")).log_evidence
    torch.testing.assert_close(found.log_evidence.double(), exact.double(), atol=0.05, rtol=0)
    assert torch.equal(found.iwae, evaluation.per_image["iwae"][:7])
    assert set(found.estimates) == {"log_evidence", "iwae", "difference"}
    difference = (found.log_evidence - found.iwae).double().mean().item()
    assert found.estimates["difference"].mean == pytest.approx(difference)
    assert difference > 0  # five samples leave the bound below log p(x)


def test_images_of_all_batches_are_joined_and_counted(evaluated):
    model, data, evaluation = evaluated
    counts = []
    found = annealed_likelihood(
        model, data, evaluation, images=60, on_images=counts.append, **QUICK
    )
    assert counts == [50, 10]
    first = annealed_likelihood(model, data, evaluation, images=50, **QUICK)
    torch.testing.assert_close(found.log_evidence[:50], first.log_evidence)
    exact = infer.grid(model, data.test.x, generator=stream(0, "grid")).log_evidence
    torch.testing.assert_close(found.log_evidence.double(), exact.double(), atol=0.05, rtol=0)


def test_missing_pixels_are_not_observed(evaluated, tmp_path):
    model, data, _ = evaluated
    images = data.test.x.numpy().copy()
    images[:, :, 0] = np.nan
    np.save(tmp_path / "torn.npy", images)
    torn = load_data(DataConfig(str(tmp_path / "torn.npy"), split="standard"))
    found = annealed_likelihood(model, torn, evaluate(model, torn, k=5, seed=0), images=5, **QUICK)
    x = torn.test.x[:5]
    exact = infer.grid(model, x, ~x.isnan(), generator=stream(0, "grid")).log_evidence
    torch.testing.assert_close(found.log_evidence.double(), exact.double(), atol=0.05, rtol=0)


def test_the_bounds_of_an_evaluation_with_a_subset_have_all_its_samples():
    x = torch.randint(0, 2, (300, 1, 3, 4), generator=torch.Generator().manual_seed(0))
    part = Part(x.to(torch.uint8), None)
    data = Dataset(replace(IDENTITY, test_images=300), part, None, part)
    model = VAE.from_config(
        ModelConfig(latents=2, hidden=(6,)), (1, 3, 4), generator=stream(0, "weights")
    )
    evaluation = evaluate(model, data, k=2_000, k_all=2, seed=0, error=1.0)
    found = annealed_likelihood(model, data, evaluation, images=40, **QUICK)
    exact = infer.grid(model, data.test.x[:40], generator=stream(0, "grid")).log_evidence

    def check(bounds: torch.Tensor) -> None:
        assert abs((bounds.double() - exact.double()).mean()) < 0.02

    check(found.iwae)
    assert_rejected(lambda: check(evaluation.per_image["iwae"][:40]))


@pytest.mark.parametrize("images", [0, 61])
def test_images_must_be_in_the_test_part(evaluated, images):
    model, data, evaluation = evaluated
    with pytest.raises(UsageError, match="images"):
        annealed_likelihood(model, data, evaluation, images=images, **QUICK)


def test_bounds_of_another_model_or_of_other_data_are_refused(evaluated):
    model, data, evaluation = evaluated
    other = copy.deepcopy(model)
    other.decoder.output_bias.data[0] += 1e-6
    with pytest.raises(UsageError, match="bounds are of another model"):
        annealed_likelihood(other, data, evaluation, images=7, **QUICK)
    elsewhere = replace(data, identity=replace(IDENTITY, sha256="cd34"))
    with pytest.raises(IncomparableError, match="bounds are of other data"):
        annealed_likelihood(model, elsewhere, evaluation, images=7, **QUICK)


def ratio_of_variances():
    """The variance of the mean over images between seeds, over that which the images show."""
    model = VAE.from_config(
        ModelConfig(latents=3, hidden=(6,)), (1, 3, 4), generator=stream(0, "weights")
    )
    for parameter in model.decoder.parameters():
        parameter.data *= 3  # posteriors far from the Gaussians that the chains start from
    x = model.decode(model.prior(2).sample(1, stream(0, "z"))[0]).sample(stream(0, "x"))
    x = x.repeat(10, 1, 1, 1)  # alike, so that shared noise makes their errors alike too
    part = Part(x.to(torch.uint8), None)
    data = Dataset(IDENTITY, part, None, part)
    evaluation = evaluate(model, data, k=2, seed=0)
    options = {"images": 20, "distributions": 4, "chains": 2}
    found = torch.stack(
        [
            annealed_likelihood(model, data, evaluation, seed=seed, **options).log_evidence
            for seed in range(16)
        ]
    ).double()
    # Var_s[1/N Σ_i e_i] = 1/N² Σ_i Var_s[e_i] if the errors e_i of images are independent
    return found.mean(1).var() / (found.var(0).mean() / found.shape[1])


@pytest.mark.full
def test_the_spread_between_seeds_is_that_of_independent_images(monkeypatch):
    monkeypatch.setattr("elboroom.infer.chains.annealing.TUNING", 16)

    def check():
        # χ²/15 on 15 degrees of freedom, to within four standard deviations
        assert abs(ratio_of_variances() - 1) < 4 * (2 / 15) ** 0.5

    check()
    monkeypatch.setattr(Noise, "_rows", lambda self, rows: 1)  # the planted bug
    assert_rejected(check)
