"""Compiled networks: the same run as by eager ones, where they are worth it and possible."""

import os
import warnings
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from elboroom.config import DataConfig, ModelConfig, ObjectiveConfig, Precision, TrainConfig
from elboroom.data import Dataset, load_data
from elboroom.errors import UsageError
from elboroom.model.networks import DecoderNetwork
from elboroom.model.vae import VAE
from elboroom.randomness import stream
from elboroom.training.loop import ELBO, train
from elboroom.training.speed import compilation, fast_steps
from elboroom.training.speed.compilation import (
    CompiledStep,
    CompiledVAE,
    is_compiled,
    seconds_saved,
    why_not_compilable,
)
from elboroom.training.speed.fast_steps import fastest_step
from elboroom.training.state import new_state
from elboroom.training.step import Step

CPU = torch.device("cpu")
CONFIG = TrainConfig(epochs=2, batch_size=64, device="cpu", threads=1)
CONV = {"network": "conv", "channels": (4, 8), "activation": "silu"}
MIXTURE = {**CONV, "likelihood": "discretized-logistic-mixture"}
MANY = ObjectiveConfig("iwae", k=50)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    """Two epochs are four whole batches and a last one of 22 images."""
    data = load_data(DataConfig(split="reference"))
    train = data.train.rows(list(range(150)))
    return replace(data, train=train, test=data.test.rows(list(range(50))))


@pytest.fixture
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what would be compiled run as it stands, also where there is no compiler."""
    monkeypatch.setattr(compilation, "_compiled", lambda function: function)
    monkeypatch.setattr(compilation, "why_not_compilable", lambda device: None)


@pytest.fixture(autouse=True)
def networks_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compile networks, as where a step cannot be compiled as a whole."""
    for module in (compilation, fast_steps):
        monkeypatch.setattr(module, "is_traceable", lambda *_: False)


def new_model(data: Dataset, **options: object) -> VAE:
    config = ModelConfig(hidden=(20,), **options)  # type: ignore[arg-type]
    return VAE.from_config(config, data.event_shape, generator=stream(0, "weights"))


class ManyValues(DecoderNetwork):
    """A decoder with more values outside of matrix products than pixels."""

    @property
    def widest_activation(self) -> int:
        return 10_000

    def forward(self, z: Tensor) -> Tensor:
        return z

    def values_outside_products(self, parameter_shape: tuple[int, ...]) -> int:
        return 10_000


def weights(model: VAE) -> Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def new_compiled(data: Dataset, **options: object) -> CompiledStep:
    model = new_model(data, **options)
    step = Step(model, data.train, new_state(model), CONFIG, ELBO, torch.float32)
    return CompiledStep(step, CONFIG.batch_size)


@pytest.mark.skipif(why_not_compilable(CPU) is not None, reason=str(why_not_compilable(CPU)))
@pytest.mark.filterwarnings("ignore")  # the compiler's own
@pytest.mark.parametrize(
    ("precision", "objective", "options"),
    [
        pytest.param("fp32", MANY, {}, id="fp32 IWAE", marks=pytest.mark.full),
        pytest.param("bf16", ELBO, {}, id="bf16 ELBO", marks=pytest.mark.full),
        pytest.param("fp32", ELBO, CONV, id="convolutions", marks=pytest.mark.full),
        pytest.param("fp32", ELBO, MIXTURE, id="a mixture", marks=pytest.mark.full),
    ],
)
def test_compiled_and_eager_train_alike(
    digits: Dataset, precision: Precision, objective: ObjectiveConfig, options: dict[str, Any]
):
    """A compiler may fail under a lowered ATEN_CPU_CAPABILITY; steps must fall back then."""
    eager, compiled, start = (new_model(digits, **options) for _ in range(3))
    config = replace(CONFIG, precision=precision)
    if os.environ.get("ATEN_CPU_CAPABILITY") is None:
        warnings.filterwarnings("error", message="training continues uncompiled")
    found = [
        train(model, digits, replace(config, compile=how), objective=objective).history[-1]
        for model, how in ((eager, "off"), (compiled, "on"))
    ]
    moved = weights(eager) - weights(start)
    apart = weights(compiled) - weights(eager)
    # Adam makes a step of a gradient that is all rounding: that may turn one weight in 10,000.
    assert apart.norm() < moved.norm() / 100
    assert (apart.abs() > moved.abs().max() / 20).double().mean() < 1e-4
    assert found[1].bound == pytest.approx(found[0].bound, rel=1e-4)
    assert found[1].held_out_elbo == pytest.approx(found[0].held_out_elbo, rel=1e-4)


@pytest.mark.usefixtures("uncompiled")
def test_all_batches_run_compiled_but_one_of_another_size(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch
):
    sizes: list[int] = []

    def noted(self: CompiledVAE, x: Tensor, z: Tensor, mask: Tensor | None = None) -> Tensor:
        sizes.append(len(x))
        return self.decode(z).log_prob(x, mask)

    monkeypatch.setattr(CompiledVAE, "log_likelihood", noted)
    model, plain = new_model(digits), new_model(digits)
    train(model, digits, replace(CONFIG, compile="on", precision="fp32"))
    train(plain, digits, replace(CONFIG, compile="off", precision="fp32"))
    assert sizes == [64] * (1 + 2 * 2)  # the rehearsal, and two steps of each epoch
    assert torch.equal(weights(model), weights(plain))


@pytest.mark.usefixtures("uncompiled")
def test_a_compiled_step_clips_skips_averages_and_moves_images_as_any_other(digits: Dataset):
    recipe = replace(
        CONFIG,
        precision="fp32",
        optimiser="adamax",
        clip=20.0,
        skip=40.0,
        ema=0.8,
        shift=1,
        augment_until=0.5,
    )
    model, plain = (new_model(digits, normalisation="batch") for _ in range(2))
    both = ObjectiveConfig(consistency=0.1)
    state = train(model, digits, replace(recipe, compile="on"), objective=both)
    same = train(plain, digits, replace(recipe, compile="off"), objective=both)
    assert torch.equal(weights(model), weights(plain))
    assert [m.skipped for m in state.history] == [m.skipped for m in same.history]
    assert 0 < sum(m.skipped for m in state.history) < 6


@pytest.mark.usefixtures("uncompiled")
def test_another_number_of_threads_runs_uncompiled(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch
):
    step = new_compiled(digits)
    monkeypatch.setattr(CompiledVAE, "log_likelihood", None)  # fails when it is called
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    step(torch.arange(64), 1e-3, 1.0, True)


@pytest.mark.usefixtures("uncompiled")
def test_a_rehearsal_leaves_all_as_it_was(digits: Dataset):
    step = new_compiled(digits, normalisation="batch")
    model = step.step.model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    step.rehearse()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert any(isinstance(layer, nn.BatchNorm1d) for layer in model.modules())


@pytest.mark.usefixtures("uncompiled")
def test_training_falls_back_to_uncompiled_steps_if_the_compiler_fails(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch
):
    def failing(*_: object) -> Tensor:
        raise RuntimeError("Python.h: No such file\nand a page more")

    monkeypatch.setattr(CompiledVAE, "log_likelihood", failing)
    model, plain = new_model(digits), new_model(digits)
    with pytest.warns(UserWarning, match=r"since compiling failed: Python\.h: No such file$"):
        train(model, digits, replace(CONFIG, compile="on"))
    train(plain, digits, replace(CONFIG, compile="off"))
    assert torch.equal(weights(model), weights(plain))


@pytest.mark.parametrize(
    ("device", "per_pixel", "per_step"), [("cpu", 1.3e-9, -4e-4), ("cuda", 2.4e-11, 5e-5)]
)
def test_what_compiling_saves(digits: Dataset, device: str, per_pixel: float, per_step: float):
    # 3,000 steps, which decode 50 · 64 images of 784 pixels
    options = digits.train, CONFIG, MANY, torch.device(device), 3_000
    found = seconds_saved(new_model(digits), *options)
    assert found == pytest.approx(3_000 * (per_pixel * 50 * 64 * 784 + per_step))
    found = seconds_saved(new_model(digits).fixed(ManyValues()), *options)
    assert found == pytest.approx(3_000 * (per_pixel * 50 * 64 * 10_000 + per_step))


def test_the_passes_of_a_mixture_count(digits: Dataset):
    options = digits.train, CONFIG, MANY, CPU, 6
    plain = seconds_saved(new_model(digits, **CONV), *options)
    assert plain == pytest.approx(6 * (1.3e-9 * 50 * 64 * 784 - 4e-4))
    mixture = new_model(digits, **MIXTURE)
    of_entries = 8 * 1.3e-9 * 50 * 64 * 30 * 784
    assert seconds_saved(mixture, *options) == pytest.approx(6 * (of_entries - 4e-4))


@pytest.mark.parametrize("likelihood", ["bernoulli", "discretized-logistic-mixture"])
def test_of_convolutions_only_what_follows_them_is_compiled(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch, likelihood: str
):
    """What is compiled here is counted, and runs as it stands."""
    calls: list[tuple[Any, ...]] = []

    def counted(function: Any) -> Any:
        return lambda *arguments: [calls.append(arguments), function(*arguments)][1]

    monkeypatch.setattr(compilation, "_compiled", counted)
    model = new_model(digits, **CONV, likelihood=likelihood)
    compiled = CompiledVAE(model)
    x, z = digits.train.x[:3], torch.randn(2, 3, 2, generator=stream(0, "z"))
    mask = torch.rand(x.shape, generator=stream(0, "mask")) < 0.7
    for seen in (None, mask):
        found, expected = (m.log_likelihood(x, z, seen) for m in (compiled, model))
        torch.testing.assert_close(found, expected)
        gradients = [
            torch.autograd.grad(value.sum(), list(model.decoder.parameters()))
            for value in (found, expected)
        ]
        torch.testing.assert_close(*gradients)
    compiled.posterior(x)
    assert [arguments[0].shape for arguments in calls] == [(6, calls[0][0].shape[1], 14, 14)] * 2


@pytest.mark.parametrize(
    ("steps", "objective", "compiled"),
    [(10_800, MANY, True), (10_200, MANY, False), (3 * 10**6, ELBO, False)],
)
def test_auto_compiles_runs_that_gain_enough(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch, steps, objective, compiled
):
    monkeypatch.setattr("elboroom.device.compiler.shutil.which", lambda name: f"/usr/bin/{name}")
    model, last = new_model(digits), (objective, CPU, steps)
    assert is_compiled(model, digits.train, CONFIG, *last) == compiled
    assert not is_compiled(model, digits.train, replace(CONFIG, compile="off"), *last)
    assert is_compiled(model, digits.train, replace(CONFIG, compile="on"), *last)


def test_without_a_compiler_auto_trains_and_on_says_what_is_missing(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    model = new_model(digits)
    state = new_state(model)
    step = Step(model, digits.train, state, CONFIG, MANY, torch.float32)
    assert type(fastest_step(step, state, CONFIG, 30_000)) is Step
    with pytest.raises(UsageError, match=r"--compile on is not possible here") as refusal:
        train(new_model(digits), digits, replace(CONFIG, compile="on"))
    assert "there is no C++ compiler" in str(refusal.value)


def test_the_compiler_that_the_environment_names_counts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert why_not_compilable(CPU) == "there is no C++ compiler no-such-compiler"


def test_cuda_needs_triton(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("elboroom.device.compiler.find_spec", lambda name: None)
    found = why_not_compilable(torch.device("cuda"))
    assert found is not None
    assert found.startswith("Triton")


def test_an_unmeasured_device_is_left_alone():
    assert (
        why_not_compilable(torch.device("mps"))
        == "the gain of compiling for mps has not been measured"
    )
