"""Evaluations and annealing by compiled kernels: the same draws, and numbers up to rounding."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from elboroom import VAE, Dataset, ModelConfig, evaluate, infer
from elboroom.device.compiler import why_no_compiler
from elboroom.evaluation import annealed_likelihood
from elboroom.infer.chains import annealing
from elboroom.infer.chains.annealing import gradients
from elboroom.infer.target import Target
from elboroom.model import compilation
from elboroom.model.compilation import repays_compiling
from elboroom.model.decoding import values_in_passes
from elboroom.randomness import stream

CPU = torch.device("cpu")
SHAPE = (1, 8, 8)
LADDER = {"network": "ladder", "hidden": (), "channels": (4,), "level_channels": (1,)}


def new_model(**options: Any) -> VAE:
    config = ModelConfig(**{"latents": 2, "hidden": (5,)} | options)
    is_vamp = config.prior == "vamp"
    images = torch.rand(3, *SHAPE, generator=stream(0, "images")) if is_vamp else None
    return VAE.from_config(config, SHAPE, generator=stream(0, "weights"), images=images).eval()


def bits(rows: int, *, missing: bool = False) -> Dataset:
    x = (torch.rand(rows + 2, *SHAPE, generator=stream(0, "bits")) < 0.4).float()
    if missing:
        x[::3, ..., 2] = torch.nan
    return Dataset.from_arrays(x[:2], x[2:])


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch, graphs: list[Any]) -> Callable[[bool], list[Any]]:
    """Choose whether all is compiled."""

    def choose(repaid: bool) -> list[Any]:
        for module in ("evaluation.row_batches", "infer.target"):
            name = f"elboroom.{module}.repays_compiling"
            monkeypatch.setattr(name, lambda *args, **options: repaid)
        return graphs

    return choose


@pytest.mark.parametrize(
    "options",
    [
        {},
        pytest.param({"posterior": "full", "prior": "flow"}, marks=pytest.mark.full),
        {"posterior": "flow", "prior": "mixture", "components": 3},
        {"prior": "vamp", "components": 3},
        {"likelihood": "gaussian"},
        {"network": "residual", "hidden": (4, 4), "normalisation": "batch"},
        LADDER,
    ],
    ids=lambda options: ", ".join(map(str, options.values())),
)
@pytest.mark.parametrize("missing", [False, True])
def test_an_evaluation(compiled: Callable[[bool], list[Any]], options: Any, missing: bool):
    found = []
    for repaid in (True, False):
        graphs = compiled(repaid)
        data = bits(203, missing=missing)  # two batches of 100, and one of 3
        result = evaluate(new_model(**options), data, k=7, seed=0, error=1e-9, k_all=3)
        found.append(result.per_image)
    for name, expected in found[1].items():
        torch.testing.assert_close(found[0][name], expected, rtol=1e-4, atol=1e-4, equal_nan=True)
    assert [samples_of(graph) for graph in graphs] == [3, 4]


def samples_of(graph: Any) -> int:
    """The number of samples that a graph of an evaluation was traced for."""
    (results,) = graph.graph.output_node().args
    return results[0].meta["val"].shape[0]


@pytest.mark.parametrize(
    "options", [{}, pytest.param(LADDER, marks=pytest.mark.full)], ids=["", "ladder"]
)
def test_annealing(
    compiled: Callable[[bool], list[Any]], options: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(annealing, "TUNING", 8)
    model, data = new_model(**options).double(), bits(60)
    evaluation = evaluate(model, data, k=2, seed=0)
    found = []
    for repaid, count in ((False, 0), (True, 2)):
        graphs = compiled(repaid)
        result = annealed_likelihood(
            model, data, evaluation, images=60, seed=1, distributions=5, chains=3
        )
        found.append(result.log_evidence)
        assert len(graphs) == count  # of 4 chains and of 3, for both batches
    torch.testing.assert_close(found[0], found[1])


def test_draws_of_annealing(compiled: Callable[[bool], list[Any]]):
    x, found = bits(5).test.x, []
    mask = torch.arange(64).view(SHAPE) < 30
    for repaid in (False, True):
        compiled(repaid)
        generator = stream(0, "ais")
        posterior = infer.ais(
            new_model().double(), x, mask, generator=generator, distributions=5, chains=4
        )
        found.append(posterior.z)
        assert not posterior.target.kernels
    torch.testing.assert_close(found[0], found[1])


def test_targets_of_one_fixed_model_share_a_kernel(
    compiled: Callable[[bool], list[Any]],
):
    fixed = new_model(prior="mixture", components=2).fixed()
    assert fixed.fixed() is fixed
    first, second = (Target.of(fixed, bits(6).test.x[i : i + 3], None) for i in (0, 3))
    graphs = compiled(True)
    kernels = first.kernels_for(gradients(2, 4))
    z = torch.randn(4, 3, 2, generator=stream(0, "z"))
    for target in (first, second):
        expected = target.value_and_gradient(z)
        found = replace(target, kernels=kernels).value_and_gradient(z)
        for mine, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(mine, theirs)
    assert len(graphs) == 1


def test_a_fixed_model_is_restricted_to_what_is_seen():
    model, x, mask = new_model(), bits(4).test.x, torch.arange(64).view(SHAPE) < 30
    z = torch.randn(2, 4, 2, generator=stream(0, "z"))
    ways = [Target.of(one, x, mask) for one in (model, model.fixed())]
    torch.testing.assert_close(ways[0].log_joint(z), ways[1].log_joint(z))
    assert ways[1].x.shape == (4, 30)


def test_gradients_of_annealing_are_counted():
    assert gradients(100, 4) == {4: 2 * (256 + 100)}
    assert gradients(100, 16, 3) == {4: 2 * 3 * 256, 16: 2 * 3 * 100}


def repaid(model: VAE, draws: float, device: torch.device = CPU, passes: int = 1) -> bool:
    return repays_compiling(model, device, draws, 1_000, passes=passes)


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilation, "why_no_compiler", lambda device: None)


@pytest.mark.usefixtures("compiler")
def test_what_is_saved_is_compared_with_what_compiling_takes():
    model = new_model(hidden=(5, 5))
    tensors = len(list(model.parameters()))
    # 64 pixels at 0.5 ns for each z, 0.3 ms for each 1,000 of them; 3 s, and 0.1 for each tensor
    edge = (3 + 0.1 * tensors) / (64 * 5e-10 + 3e-7)
    assert repaid(model, 1.01 * edge)
    assert not repaid(model, 0.99 * edge)
    twice = (3 + 0.1 * tensors) / (2 * 64 * 5e-10 + 3e-7)
    assert repaid(model, 1.01 * twice, passes=2)
    assert not repaid(model, 0.99 * twice, passes=2)


@pytest.mark.usefixtures("compiler")
def test_layers_of_ladders_count():
    model = new_model(**LADDER)
    outputs = values_in_passes(model, of_layers=False)
    layers = values_in_passes(model, of_layers=True) - outputs
    assert layers > 0
    tensors = len(list(model.parameters()))
    edge = (3 + 0.1 * tensors) / (outputs * 5e-10 + layers * 1.5e-10 + 3e-7)
    assert repaid(model, 1.01 * edge)
    assert not repaid(model, 0.99 * edge)


class Own(nn.Linear):
    """A network of one's own."""


def test_what_cannot_be_compiled_repays_nothing(monkeypatch: pytest.MonkeyPatch):
    built_in = new_model()
    own = VAE(built_in.encoder, nn.Sequential(Own(2, 64), nn.Unflatten(-1, SHAPE)), 2)
    conv = new_model(network="conv", hidden=(), channels=(2, 2))
    monkeypatch.setattr(compilation, "why_no_compiler", lambda device: None)
    assert repaid(built_in, 1e12)
    assert not repaid(own, 1e12)
    assert not repaid(conv, 1e12)
    assert not repaid(built_in, 1e12, torch.device("cuda"))
    monkeypatch.setattr(compilation, "why_no_compiler", lambda device: "no C++ compiler")
    assert not repaid(built_in, 1e12)


@pytest.mark.full
@pytest.mark.skipif(why_no_compiler(CPU) is not None, reason="needs a C++ compiler")
@pytest.mark.parametrize("options", [{}, LADDER], ids=["", "ladder"])
def test_compiled_code(monkeypatch: pytest.MonkeyPatch, options: Any):
    found = list[dict[str, Tensor]]()
    for repaid in (True, False):
        name = "elboroom.evaluation.row_batches.repays_compiling"
        monkeypatch.setattr(name, lambda *args, repaid=repaid, **options: repaid)
        result = evaluate(new_model(**options), bits(200), k=100, seed=0, precision="auto")
        found.append(result.per_image)
    for name in ("elbo", "iwae"):
        torch.testing.assert_close(found[0][name], found[1][name], rtol=1e-3, atol=1e-2)
