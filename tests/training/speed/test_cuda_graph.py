"""A recorded step draws, returns and changes what an unrecorded one does. Runs where CUDA is."""

import itertools
import warnings
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch

from elboroom.config import Config, DataConfig, ModelConfig, ObjectiveConfig, TrainConfig
from elboroom.data import Dataset, load_data
from elboroom.model.vae import VAE
from elboroom.randomness import restart, stream
from elboroom.training.initial_model import new_model
from elboroom.training.loop import train
from elboroom.training.objective import bound
from elboroom.training.speed.cuda_graph import CudaGraphStep
from elboroom.training.state import new_state
from elboroom.training.step import Step

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
SMALL = ModelConfig(latents=5, hidden=(40,), components=7)
TRAINING = TrainConfig(epochs=2, batch_size=64, learning_rate=3e-3, device="cuda")


@pytest.fixture(scope="module")
def digits() -> Dataset:
    """500 digits, the last batch of which is short, drawn anew each time."""
    data = load_data(DataConfig(binarisation="dynamic"))
    rows = list(range(500))
    return replace(data, train=data.train.rows(rows), test=data.test.rows(rows[:100]))


def taken(
    model: VAE,
    data: Dataset,
    objective: ObjectiveConfig,
    config: TrainConfig = TRAINING,
    *,
    recorded: bool,
):
    """The totals of 20 steps with a warm-up and a falling rate, and the weights after them.

    Half of the steps move the images, if `config` does.
    """
    model = deepcopy(model).cuda().train()
    part, state = data.train.to(torch.device("cuda")), new_state(model, config)
    step = Step(model, part, state, config, objective, torch.float32)
    step = CudaGraphStep(step, 64) if recorded else step
    rows, totals = torch.arange(500, device="cuda").split(64), []
    for i in range(20):
        restart(step.noise, 0, "step", i)
        found = step(rows[i % 8], 3e-3 / (1 + i), min(1.0, i / 10), i < 10)
        totals.append(found.clone())
    return torch.stack(totals), torch.cat([p.detach().flatten() for p in model.parameters()])


def agree(
    model: VAE, data: Dataset, objective: ObjectiveConfig, config: TrainConfig = TRAINING
) -> None:
    (totals, weights), (again, as_well) = (
        taken(model, data, objective, config, recorded=recorded) for recorded in (False, True)
    )
    torch.testing.assert_close(again, totals, rtol=1e-4, atol=1e-2)
    torch.testing.assert_close(as_well, weights, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("posterior", ["diagonal", "full", "flow"])
@pytest.mark.parametrize("prior", ["standard", "mixture", "vamp", "flow"])
def test_under_every_prior_and_posterior(digits, prior, posterior):
    if prior == "vamp" and posterior != "diagonal":
        pytest.skip("refused")
    config = replace(SMALL, prior=prior, posterior=posterior)
    agree(new_model(Config(model=config), digits), digits, ObjectiveConfig("elbo-sampled"))


@pytest.mark.parametrize(
    "objective",
    [
        ObjectiveConfig(),
        ObjectiveConfig(free_bits=0.1),
        ObjectiveConfig("iwae", k=5),
        ObjectiveConfig("iwae", k=5, gradient="dreg"),
        ObjectiveConfig("iwae", k=3, m=2),
        ObjectiveConfig("renyi", k=3, alpha=0.5),
    ],
    ids=str,
)
def test_under_every_objective(digits, objective):
    agree(new_model(Config(model=SMALL), digits), digits, objective)


@pytest.mark.parametrize(
    ("network", "normalisation"),
    [
        *itertools.product(["mlp", "gated", "residual"], ["none", "layer", "batch"]),
        *itertools.product(["conv"], ["none", "layer", "group"]),
    ],
)
def test_with_every_network(digits, network, normalisation):
    config = replace(SMALL, hidden=(40, 40), network=network, normalisation=normalisation)
    agree(new_model(Config(model=config), digits), digits, ObjectiveConfig())


@pytest.mark.parametrize("optimiser", ["adam", "adamw", "adamax"])
@pytest.mark.parametrize("skip", [None, 1e-6, 1e6])
def test_with_every_optimiser_limit_and_move(digits, optimiser, skip):
    decay = 0.1 if optimiser == "adamw" else 0.0
    limits = {"clip": None if skip == 1e-6 else 5.0, "skip": skip, "ema": 0.9}
    moves = {"flip": True, "shift": 2, "rotate": 15.0, "augment_until": 0.5}
    config = replace(TRAINING, optimiser=optimiser, weight_decay=decay, **limits, **moves)
    both = ObjectiveConfig(consistency=0.1)
    agree(new_model(Config(model=SMALL), digits), digits, both, config)


@pytest.mark.parametrize("optimiser", ["adam", "adamax"])
def test_a_recorded_step_that_is_skipped_changes_nothing(digits, optimiser):
    config = replace(TRAINING, optimiser=optimiser, skip=1e-6, ema=0.9)
    model = new_model(Config(model=replace(SMALL, normalisation="batch")), digits)
    totals, weights = taken(model, digits, ObjectiveConfig(), config, recorded=True)
    assert totals.count_nonzero() == 0
    assert torch.equal(weights.cpu(), torch.cat([p.detach().flatten() for p in model.parameters()]))


@pytest.mark.filterwarnings("ignore")  # what the compiler says of itself
@pytest.mark.parametrize("objective", [ObjectiveConfig(), ObjectiveConfig("iwae", k=5)], ids=str)
def test_compiled_networks_are_recorded_too(digits, objective):
    warnings.filterwarnings("error", message="training continues uncompiled")
    start, weights = new_model(Config(model=SMALL), digits), []
    for how in ("off", "on"):
        model = deepcopy(start)
        train(model, digits, replace(TRAINING, compile=how, precision="fp32"), objective=objective)
        weights.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    torch.testing.assert_close(weights[1], weights[0], rtol=1e-3, atol=1e-4)


def test_training_lowers_the_loss_and_a_stopped_run_resumes_where_it_was(digits):
    model = new_model(Config(model=SMALL), digits)
    whole, part = deepcopy(model), deepcopy(model)
    state = train(whole, digits, TRAINING)
    asked = iter(range(1_000))
    half = train(part, digits, TRAINING, stop=lambda: next(asked) > 10)
    assert 0 < half.step < state.step
    resumed = train(part, digits, TRAINING, state=half)
    weights = [torch.cat([p.flatten() for p in m.parameters()]) for m in (whole, part)]
    torch.testing.assert_close(weights[1], weights[0], rtol=1e-3, atol=1e-4)
    assert resumed.history[0].elbo < resumed.history[-1].elbo


def test_images_that_stay_on_disk_train_as_those_on_the_device(tmp_path):
    grey = np.random.default_rng(0).integers(0, 256, (500, 1, 8, 8), dtype=np.uint8)
    np.save(tmp_path / "grey.npy", grey)
    weights = []
    for memory in (1.0, 0.0):
        data = load_data(DataConfig(str(tmp_path / "grey.npy"), "dynamic", memory=memory))
        model = new_model(Config(model=SMALL), data)
        train(model, data, TRAINING)
        weights.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    torch.testing.assert_close(weights[1], weights[0], rtol=1e-3, atol=1e-4)


def test_the_bound_is_that_of_the_processor(digits):
    """Up to the Monte-Carlo error of other draws."""
    model, x = new_model(Config(model=SMALL), digits), digits.test.x
    found = []
    for device in ("cpu", "cuda"):
        noise = stream(0, "bound", device=torch.device(device))
        on = deepcopy(model).to(device)
        value = bound(on, x.to(device), config=ObjectiveConfig(k=200), generator=noise).value
        found.append(value.detach().cpu())
    assert abs((found[0] - found[1]).mean()) < 0.1


def test_a_recorded_run_rolls_back_and_continues(digits):
    """A weight that is spoilt once: what was recorded then reads the restored ones."""
    model = new_model(Config(model=SMALL), digits)
    training, spoilt = replace(TRAINING, batch_size=2, epochs=1), deepcopy(model).cuda()
    state = new_state(spoilt)

    def stop() -> bool:
        if state.step == 150 and not state.rollbacks:
            next(spoilt.parameters()).data.fill_(torch.nan)
        return False

    with pytest.warns(UserWarning, match=r"from step 100 with 0\.5 of its learning rate"):
        train(spoilt, digits, training, state=state, stop=stop)
    assert (state.step, state.rollbacks) == (250, 1)
    by_hand = deepcopy(model).cuda()
    halved = new_state(by_hand)
    halted = train(by_hand, digits, training, state=halved, stop=lambda: halved.step == 100)
    halted.rollbacks, halted.last_good = 1, None
    train(by_hand, digits, training, state=halted)
    weights = [torch.cat([p.flatten() for p in m.parameters()]) for m in (spoilt, by_hand)]
    torch.testing.assert_close(weights[1], weights[0], rtol=1e-3, atol=1e-4)
