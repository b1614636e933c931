"""Whole steps as one graph: the same run as by eager steps, with the same draws."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal

from elboroom.config import (
    BinarisationName,
    DataConfig,
    ModelConfig,
    ObjectiveConfig,
    TrainConfig,
)
from elboroom.data import Dataset, load_data
from elboroom.model.likelihoods import Bernoulli
from elboroom.model.networks import decoder_network
from elboroom.model.vae import VAE
from elboroom.randomness import DrawnBefore, normals, stream, uniforms
from elboroom.training.loop import ELBO, train
from elboroom.training.speed import compilation, fast_steps
from elboroom.training.speed.compilation import (
    is_compiled,
    is_traceable,
    seconds_saved,
    why_not_compilable,
)
from elboroom.training.speed.fast_steps import fastest_step
from elboroom.training.speed.threads import restore_thread_count
from elboroom.training.speed.traced_step import TracedStep
from elboroom.training.state import TrainState, mutable_tensors, new_state
from elboroom.training.step import Step

CPU = torch.device("cpu")
CONFIG = TrainConfig(
    epochs=2, batch_size=16, device="cpu", threads=1, precision="fp32", learning_rate=0.01
)
RECIPE = {"optimiser": "adamax", "clip": 1.0, "skip": 4.0, "ema": 0.9, "hide": 0.5}
LADDER = {"network": "ladder", "hidden": (), "channels": (4,), "level_channels": (1,)}
COMPILER = pytest.mark.skipif(why_not_compilable(CPU) is not None, reason="needs a C++ compiler")


def data(shape: tuple[int, ...] = (1, 8, 8), *, missing: bool = False) -> Dataset:
    x = (torch.rand(60, *shape, generator=stream(0, "bits")) < 0.4).float()
    if missing:
        x[::3, ..., 2] = torch.nan
    return Dataset.from_arrays(x[:50], x[50:])


def stored(folder: Path, **options: Any) -> Dataset:
    grey = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
    np.save(folder / "x.npy", grey)
    return load_data(DataConfig(str(folder / "x.npy"), **options))


def new_model(shape: tuple[int, ...] = (1, 8, 8), **options: Any) -> VAE:
    config = ModelConfig(**{"latents": 2, "hidden": (5,)} | options)
    images = data(shape).train.x[: config.components] if config.prior == "vamp" else None
    return VAE.from_config(config, shape, generator=stream(0, "weights"), images=images)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch, graphs: list[Any]) -> list[TracedStep]:
    """Run steps as they were traced, and note them."""
    found = list[TracedStep]()

    def noted(step: Step, state: TrainState, batch_size: int) -> TracedStep:
        found.append(TracedStep(step, state, batch_size))
        return found[-1]

    monkeypatch.setattr(
        "elboroom.training.speed.compilation.why_not_compilable", lambda device: None
    )
    monkeypatch.setattr(fast_steps, "_traced", noted)
    return found


def states_of(
    dataset: Dataset, model: dict[str, Any], config: TrainConfig, objective: ObjectiveConfig
) -> list[dict[str, Tensor]]:
    """All that training changes, by traced and by eager steps."""
    found = []
    for way in ("on", "off"):
        net = new_model(dataset.event_shape, **model)
        state = train(net, dataset, replace(config, compile=way), objective=objective)
        found.append(mutable_tensors(net, state))
    return found


def assert_alike(dataset: Dataset, model: Any, config: Any = CONFIG, objective: Any = ELBO) -> None:
    traced, eager = states_of(dataset, model, config, objective)
    assert list(traced) == list(eager)
    for name, value in eager.items():
        apart = (traced[name].double() - value.double()).norm()
        assert apart <= 1e-3 * value.double().norm() + 1e-6, name


@pytest.mark.parametrize(
    "objective",
    [
        ELBO,
        ObjectiveConfig(free_bits=0.1, beta=0.7),
        ObjectiveConfig("elbo-sampled", gradient="stl"),
        ObjectiveConfig("iwae", k=3, m=2, gradient="dreg"),
    ],
    ids=["elbo", "free bits", "stl", "dreg"],
)
def test_objectives(steps: list[TracedStep], objective: ObjectiveConfig):
    assert_alike(data(), {}, objective=objective)
    assert len(steps) == 1


@pytest.mark.parametrize(
    "model",
    [
        {"prior": "mixture", "components": 3},
        {"prior": "vamp", "components": 3},
        pytest.param({"prior": "flow", "posterior": "full"}, marks=pytest.mark.full),
        {"network": "residual", "hidden": (4, 4), "normalisation": "layer"},
        {"likelihood": "discretized-logistic"},
        {"likelihood": "gaussian"},
        pytest.param(LADDER, marks=pytest.mark.full),
    ],
    ids=lambda model: ", ".join(str(value) for value in model.values()),
)
def test_models(steps: list[TracedStep], model: dict[str, Any]):
    assert_alike(data(), model)
    assert len(steps) == 1


@pytest.mark.parametrize(
    "optimiser",
    ["adamax", *(pytest.param(other, marks=pytest.mark.full) for other in ("adam", "adamw"))],
)
def test_optimisers_with_all_that_follows_a_gradient(steps: list[TracedStep], optimiser: str):
    decay = 0.1 if optimiser == "adamw" else 0.0
    config = replace(CONFIG, **RECIPE | {"optimiser": optimiser}, weight_decay=decay)
    net = new_model()
    state = train(net, data(), replace(config, compile="on"))
    assert 0 < sum(m.skipped for m in state.history) < state.step
    assert_alike(data(), {}, config)
    assert len(steps) == 2


def test_missing_values(steps: list[TracedStep]):
    assert_alike(data((6,), missing=True), {})
    assert len(steps) == 1


@pytest.mark.parametrize("binarisation", ["static", "dynamic"])
def test_images_on_disk_are_read_before_the_step(
    steps: list[TracedStep], tmp_path: Path, binarisation: BinarisationName
):
    assert_alike(stored(tmp_path, memory=0.0, binarisation=binarisation), {})
    assert len(steps) == 1


def test_joined_images_are_read_before_the_step(steps: list[TracedStep], tmp_path: Path):
    found = stored(tmp_path, memory=2.0, binarisation="static")
    assert_alike(replace(found, train=found.part("all")), {})
    assert len(steps) == 1


@COMPILER
@pytest.mark.full
def test_a_compiled_run_is_the_same_from_disk_and_from_memory(tmp_path: Path):
    found = []
    for memory in (0.0, 2.0):
        dataset, net = stored(tmp_path, memory=memory, binarisation="dynamic"), new_model()
        assert dataset.train.on_disk == (memory == 0)
        train(net, dataset, replace(CONFIG, compile="on", precision="auto"))
        found.append(net.state_dict())
    for name, value in found[0].items():
        assert torch.equal(value, found[1][name]), name


def test_rates_and_warm_up_are_those_of_each_step(steps: list[TracedStep]):
    assert_alike(data(), {}, replace(CONFIG, schedule="one-cycle", warmup=1.5))
    assert len(steps) == 1


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="needs oneDNN")
def test_products_by_onednn(steps: list[TracedStep], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("elboroom.device.graph.is_onednn_faster", lambda: True)
    products = list[str]()

    def noting(graph: Any, inputs: list[Tensor]) -> Callable[..., Any]:
        products.extend(str(n.target) for n in graph.graph.nodes if "product" in str(n.target))
        return graph

    monkeypatch.setattr("elboroom.device.graph.compiled", noting)
    assert_alike(data(), {})
    assert products == ["elboroom.product.default"] * 11  # 4 layers, 7 gradients


def test_a_graph_leaves_all_as_it_was(steps: list[TracedStep]):
    net = new_model(network="residual", hidden=(4, 4), normalisation="batch").train()
    config = replace(CONFIG, **RECIPE)
    state = new_state(net, config)
    before = {name: value.clone() for name, value in mutable_tensors(net, state).items()}
    step = Step(net, data().train, state, config, ELBO, torch.float32)
    TracedStep(step, state, 16)
    for name, value in mutable_tensors(net, state).items():
        assert torch.equal(value, before[name]), name
    assert all(parameter.grad is None for parameter in net.parameters())


def test_the_norm_of_a_step_is_known_after_it(steps: list[TracedStep]):
    norms = []
    for way in (False, True):
        net, config = new_model(), replace(CONFIG, skip=1e9)
        state = new_state(net, config)
        step = Step(net.train(), data().train, state, config, ELBO, torch.float32)
        taken = TracedStep(step, state, 16) if way else step
        step.restart(0)
        taken(torch.arange(16), 0.01, 1.0, False)
        assert step.skipping is not None
        norms.append(step.skipping.norm.item())
    assert norms[1] == pytest.approx(norms[0], rel=1e-5)


def test_draws_made_before_are_those_that_the_code_would_draw():
    like, found = torch.zeros(()), DrawnBefore(CPU)

    def draw(generator: torch.Generator) -> list[Tensor]:
        return [normals((2, 3), like, generator), uniforms((4,), like.double(), generator)]

    draw(found)
    expected, values = draw(stream(0, "a")), found.draw(stream(0, "a"))
    found.give(values)
    for mine, theirs in zip(draw(found), expected, strict=True):
        assert torch.equal(mine, theirs)


class Moody(nn.Module):
    """A network of one's own, whose Python decides otherwise each time."""

    calls = 0

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        self.calls += self.training
        return x.flatten(1)[:, :2] * (self.calls % 2), x.flatten(1)[:, 2:4]


class Coins(Bernoulli):
    """A likelihood of one's own."""


WHY = [
    "own networks",
    "own likelihood",
    "own prior",
    "several processes",
    "moved",
    "a card",
    "convolutions",
]


@pytest.mark.parametrize("why", WHY)
def test_what_may_differ_between_steps_is_not_traced(why: str, monkeypatch: pytest.MonkeyPatch):
    model, config, device = new_model(), CONFIG, CPU
    assert is_traceable(model, config, device)
    if why == "own networks":
        model = VAE(Moody(), nn.Linear(2, 64), 2)
    if why == "own likelihood":
        model = VAE(model.encoder, model.decoder, 2, Coins)
    if why == "own prior":
        model = VAE(model.encoder, model.decoder, 2, prior=Normal(torch.zeros(2), torch.ones(2)))
    if why == "several processes":
        world = type("World", (), {"size": 2})()
        monkeypatch.setattr("elboroom.training.speed.compilation.world", lambda: world)
    if why == "moved":
        config = replace(CONFIG, shift=1)
    if why == "convolutions":
        model = new_model(network="conv", hidden=(), channels=(2, 2))
    if why == "a card":
        device = torch.device("cuda")
    assert not is_traceable(model, config, device)


def test_running_statistics_move_with_each_step(steps: list[TracedStep]):
    options = {"network": "residual", "hidden": (4, 4), "normalisation": "batch"}
    config = replace(CONFIG, epochs=1, batch_size=50)
    moved = [dict(new_model(**options).named_buffers())]  # those of the start
    for way in ("on", "off"):
        net = new_model(**options)
        train(net, data(), replace(config, compile=way))
        moved.append(dict(net.named_buffers()))
    start, traced, eager = moved
    assert any(not torch.equal(eager[name], start[name]) for name in eager)
    for name, value in eager.items():
        torch.testing.assert_close(traced[name], value, msg=name)


@pytest.mark.parametrize("why", ["it draws by itself", "its compiled code fails"])
def test_a_step_is_compiled_another_way_if(monkeypatch: pytest.MonkeyPatch, why: str):
    def draw(shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=like.dtype)

    def failing(*_: object) -> list[Tensor]:
        raise RuntimeError("expected m1 and m2 to have the same dtype")

    if why == "it draws by itself":
        monkeypatch.setattr("elboroom.model.posteriors.density.normals", draw)
    else:
        monkeypatch.setattr("elboroom.device.graph.compiled", lambda graph, inputs: failing)
    monkeypatch.setattr(fast_steps, "_compiled_or_plain", lambda step, batch_size: step)
    monkeypatch.setattr(
        "elboroom.training.speed.compilation.why_not_compilable", lambda device: None
    )
    config, net = replace(CONFIG, compile="on"), new_model().train()
    state = new_state(net, config)
    step = Step(net, data().train, state, config, ELBO, torch.float32)
    assert fastest_step(step, state, config, 1) is step


@COMPILER
@restore_thread_count()
def test_compiled_steps_train_alike_by_any_number_of_threads():
    config, found = replace(CONFIG, **RECIPE), []
    for way in (False, True):
        net = new_model()
        state = new_state(net, config)
        step = Step(net.train(), data().train, state, config, ELBO, torch.float32)
        taken = TracedStep(step, state, 16) if way else step
        for number in range(6):
            torch.set_num_threads(1 + number // 3)
            step.restart(number)
            taken(torch.arange(16) + number, 0.01, 1.0, False)
        found.append(mutable_tensors(net, state))
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, rtol=1e-3, atol=1e-6)


@COMPILER
@pytest.mark.full
def test_compiled_steps_train_a_ladder_alike():
    assert_alike(data(), LADDER)


@pytest.mark.parametrize(
    ("model", "steps", "compiled"),
    [({}, 16_500, True), ({}, 16_000, False), (LADDER, 16_500, False)],
)
def test_auto_compiles_steps_that_gain_enough(
    monkeypatch: pytest.MonkeyPatch, model: dict[str, Any], steps: int, compiled: bool
):
    """A step decodes 16 rows of 64 pixels: 0.7 ns each and 0.8 ms; 8 tensors take 13 s."""
    monkeypatch.setattr(compilation, "why_not_compilable", lambda device: None)
    found = is_compiled(new_model(**model), data().train, CONFIG, ELBO, CPU, steps)
    assert found == compiled


def test_the_values_of_a_ladder_are_the_outputs_of_its_layers():
    net, values = new_model(**LADDER), 0

    def count(layer: nn.Module, _: object, output: Tensor) -> None:
        nonlocal values
        values += output.numel()

    for level in net.decoder.levels:  # type: ignore[union-attr]
        for layer in level.modules():
            if isinstance(layer, nn.Conv2d):
                layer.register_forward_hook(count)
    net.decoder(torch.zeros(1, net.latents))
    assert decoder_network(net.decoder).values_of_layers == 2 * values
    found = seconds_saved(net, data().train, CONFIG, ELBO, CPU, 1_000)
    assert found == pytest.approx(1_000 * (16 * 2 * values * 7e-10 + 8e-4))
