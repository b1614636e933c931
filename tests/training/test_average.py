"""The moving average of the weights: its numbers, and where it takes their place."""

import copy
import itertools
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from elboroom.config import Config, DataConfig, ModelConfig, TrainConfig
from elboroom.data import Dataset, load_data
from elboroom.errors import UsageError
from elboroom.model.vae import VAE
from elboroom.randomness import stream
from elboroom.runs import checkpoints
from elboroom.runs.run import Run
from elboroom.runs.training import train_run
from elboroom.training.average import Average, averaged, unshared_tensors
from elboroom.training.held_out import held_out_elbo
from elboroom.training.loop import train
from elboroom.training.state import TrainState, new_state
from tests.support.small_run import write_digits

CONFIG = TrainConfig(
    epochs=3,
    batch_size=8,
    learning_rate=0.01,
    evaluate_every=1,
    ema=0.7,
    device="cpu",
    precision="fp32",
    threads=1,
)
MODEL = ModelConfig(2, (3,), normalisation="batch")
LADDER = ModelConfig(1, (), "silu", "ladder", channels=(4,), levels=(2,), level_channels=(1,))


@pytest.fixture(scope="module")
def data() -> Dataset:
    """Return 20 binary rows of 4 to train on, three steps an epoch, and 10 to test on."""
    x = torch.rand(30, 4, generator=torch.Generator().manual_seed(0)) < 0.5
    return Dataset.from_arrays(x[:20], x[20:])


def new_model(config: ModelConfig = MODEL) -> VAE:
    images = torch.rand(config.components, 4, generator=stream(0, "images"))
    return VAE.from_config(config, (4,), generator=stream(0, "weights"), images=images)


def values(model: VAE) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def trained(
    data: Dataset, config: TrainConfig = CONFIG, networks: ModelConfig = MODEL, **hooks
) -> tuple[VAE, TrainState]:
    model = new_model(networks)
    return model, train(model, data, config, **hooks)


def by_hand(weights: list[dict[str, Tensor]], decay: float) -> dict[str, Tensor]:
    """Average the weights of steps 0, 1, … in double precision."""
    mean = {name: value.double() for name, value in weights[0].items()}
    for t, now in enumerate(weights[1:]):
        kept = min(decay, (1 + t) / (10 + t))
        mean = {name: kept * mean[name] + (1 - kept) * now[name].double() for name in mean}
    return mean


def test_the_model_ends_with_the_average_of_its_steps_and_the_state_with_its_weights(data):
    plain, seen = new_model(), list[dict[str, Tensor]]()
    seen.append(values(plain))
    config = replace(CONFIG, ema=0.0)
    keep = {"on_step": lambda s: seen.append(values(plain))}
    train(plain, data, config, **keep, on_epoch=lambda s: seen.append(values(plain)))
    assert len(seen) == 10
    model, state = trained(data)
    expected = by_hand(seen, 0.7)
    found = model.state_dict()
    for name, value in expected.items():
        if not name.endswith("num_batches_tracked"):
            torch.testing.assert_close(found[name].double(), value, rtol=1e-5, atol=1e-6)
    assert found["encoder.trunk.1.num_batches_tracked"] == 9
    assert state.average.in_model
    assert same(state.average.tensors, plain.state_dict())
    assert not same(found, plain.state_dict())


def test_the_decay_rises_from_a_tenth_to_its_value():
    model = new_model()
    average, before = Average(model, 0.999), values(model)
    for parameter in model.parameters():
        parameter.data += 1
    average.update()
    for name, _ in model.named_parameters():
        torch.testing.assert_close(average.tensors[name], before[name] + 0.9)
    average.steps.fill_(1e5)
    start = copy.deepcopy(average.tensors)
    average.update()
    moved = average.tensors["decoder.trunk.0.weight"] - start["decoder.trunk.0.weight"]
    still = model.decoder.trunk[0].weight - start["decoder.trunk.0.weight"]
    torch.testing.assert_close(moved, 0.001 * still, rtol=1e-3, atol=1e-8)


def test_what_is_held_out_is_evaluated_by_the_average(data):
    config = replace(CONFIG, epochs=1)
    model, state = trained(data, config)
    assert held_out_elbo(model, data.test, config, 0) == state.history[-1].held_out_elbo
    state.average.exchange()
    assert held_out_elbo(model, data.test, config, 0) != state.history[-1].held_out_elbo


@pytest.mark.parametrize("steps", [0, 1, 3, 4, 8])
def test_a_stopped_run_resumes_as_if_it_had_never_stopped(data, steps):
    whole, state = trained(data)
    asked = itertools.count()
    part, half = trained(data, stop=lambda: next(asked) >= steps)
    assert half.step == steps
    train(part, data, CONFIG, state=half)
    assert same(part.state_dict(), whole.state_dict())
    assert same(half.average.tensors, state.average.tensors)
    assert half.average.steps == state.average.steps == 9


@pytest.mark.parametrize(
    ("networks", "steps", "inside"),
    [*((MODEL, n, inside) for n in (2, 6) for inside in (True, False)), (LADDER, 6, True)],
    ids=lambda value: str(getattr(value, "network", value)),
)
def test_a_checkpoint_holds_the_average_as_the_model_and_resumes(
    data, tmp_path, networks, steps, inside
):
    """A checkpoint is written within training, where the model has its weights, or after it."""
    whole, end = trained(data, networks=networks)
    training = new_model(networks), None
    training = training[0], new_state(training[0], CONFIG)

    def save() -> None:
        checkpoints.write(tmp_path, checkpoints.capture(*training))

    def stop() -> bool:
        if training[1].step == steps and inside:
            save()
        return training[1].step == steps

    train(training[0], data, CONFIG, state=training[1], stop=stop)
    if not inside:
        save()
    alone = new_model(networks)
    assert checkpoints.load(tmp_path, alone) == steps
    assert same(alone.state_dict(), training[0].state_dict())
    resumed = new_model(networks)
    state = new_state(resumed, CONFIG)
    checkpoints.load(tmp_path, resumed, state)
    assert same(resumed.state_dict(), training[1].average.tensors)
    train(resumed, data, CONFIG, state=state)
    assert same(resumed.state_dict(), whole.state_dict())
    assert same(state.average.tensors, end.average.tensors)


def test_the_best_weights_are_those_of_the_average(data):
    config = replace(CONFIG, epochs=6, keep_best=True, learning_rate=0.3)
    seen = dict[int, dict[str, Tensor]]()

    def on_epoch(state: TrainState) -> None:
        with averaged(state.average):
            seen[state.history[-1].epoch] = values(model)

    model = new_model()
    state = train(model, data, config, on_epoch=on_epoch)
    best = max(state.history, key=lambda m: m.held_out_elbo)
    assert best.epoch < 6
    assert same(model.state_dict(), seen[best.epoch])
    assert held_out_elbo(model, data.test, config, best.epoch - 1) == best.held_out_elbo
    assert checkpoints.capture(model, state).weights_step == best.step


def test_weights_that_parts_share_are_exchanged_once(data):
    model = new_model()
    model.encoder.tied = model.decoder.trunk[0]  # type: ignore[assignment]
    assert len(model.state_dict()) == len(unshared_tensors(model)) + 2
    state = train(model, data, CONFIG)
    average = values(model)
    state.average.exchange()
    weights = values(model)
    state.average.exchange()
    assert same(values(model), average)
    for name in ("encoder.tied.weight", "decoder.trunk.0.weight", "encoder.trunk.0.weight"):
        assert not torch.equal(weights[name], average[name])


def test_a_run_gives_the_average_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    source = DataConfig(str(write_digits(tmp_path / "digits.npz")), "threshold")
    digits = load_data(source)
    config = Config(source, ModelConfig(hidden=(4,)), train=replace(CONFIG, batch_size=64))
    run = Run.create("run", config, digits)
    model, state = train_run(run, digits)
    assert same(Run("run").load_model().state_dict(), model.state_dict())
    best = max(state.history, key=lambda m: m.held_out_elbo or -math.inf)
    found = held_out_elbo(
        Run("run").load_model(best=True), digits.held_out[1], config.train, best.epoch - 1
    )
    assert found == best.held_out_elbo
    weights, resumed = Run("run").load_training(digits)
    assert same(weights.state_dict(), state.average.tensors)
    assert same(resumed.average.tensors, values(model))
    run.extend(4)
    longer, _ = train_run(run, digits)
    once = Run.create("once", replace(config, train=replace(config.train, epochs=4)), digits)
    assert same(train_run(once, digits)[0].state_dict(), longer.state_dict())


def test_a_model_and_its_state_are_copied_together(data):
    model, state = trained(data)
    longer = replace(CONFIG, epochs=4)
    copied, its_state = copy.deepcopy((model, state))
    train(model, data, longer, state=state)
    train(copied, data, longer, state=its_state)
    assert same(copied.state_dict(), model.state_dict())


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"ema": 0.0}, "found ema 0.7; expected 0.0"),
        ({"ema": 0.9}, "found ema 0.7; expected 0.9"),
        ({"skip": 5.0}, "found skip None; expected a number"),
        ({"optimiser": "adamax"}, "found optimiser adam; expected adamax"),
        (
            {"optimiser": "adamw", "weight_decay": 0.1},
            "found optimiser adam; expected adamw, and weight_decay 0.0; expected 0.1",
        ),
    ],
)
def test_a_state_of_other_options_is_refused(data, options, why):
    model, state = trained(data, replace(CONFIG, epochs=1))
    before = values(model)
    with pytest.raises(UsageError) as error:
        train(model, data, replace(CONFIG, **options), state=state)
    assert error.value.what == "this state is of a training with other options"
    assert error.value.why == why
    assert same(before, values(model))
