import re
import shutil
from copy import deepcopy as copy_of
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from torch import nn

from elboroom import VAE, Dataset, ModelConfig, TrainConfig
from elboroom.errors import RunError
from elboroom.model.vae import least_weights
from elboroom.randomness import stream
from elboroom.runs.checkpoints import listing, load, require_room
from elboroom.training.loop import train
from tests.support.checkpoint_cases import FILES, content, fresh, same_bits, save, step


def test_a_checkpoint_is_two_safetensors_and_a_manifest(copy: Path):
    assert sorted(p.name for p in (copy / "step-000002").iterdir()) == FILES
    for name in FILES[1:]:
        with safe_open(copy / "step-000002" / name, framework="numpy") as file:
            assert list(file.keys())


def test_the_newest_checkpoint_is_loaded_bit_for_bit(
    saved: tuple[Path, list[dict[str, torch.Tensor]]],
):
    folder, contents = saved
    training = fresh(seed=1)
    assert not same_bits(content(training), contents[1])
    assert load(folder, *training) == 2
    assert training[1].step == 2
    assert same_bits(content(training), contents[1])


@given(st.lists(st.integers(0, 2**32 - 1), min_size=4, max_size=4))
@settings(deadline=None, max_examples=30)
def test_any_bits_of_a_weight_come_back(tmp_path_factory: pytest.TempPathFactory, bits: list[int]):
    folder = tmp_path_factory.mktemp("bits") / "checkpoints"
    model, state = fresh()
    last = model.decoder.get_parameter("trunk.2.bias")
    last.data = torch.tensor(bits, dtype=torch.uint32).view(torch.float32)
    save(folder, model, state)
    loaded, _ = fresh(seed=1)
    load(folder, loaded)
    found = loaded.decoder.get_parameter("trunk.2.bias").data.view(torch.uint32).tolist()
    assert found == bits


def test_a_loaded_training_takes_the_same_next_step(
    saved: tuple[Path, list[dict[str, torch.Tensor]]],
):
    loaded, through = fresh(seed=1), step(step(fresh()))
    load(saved[0], *loaded)
    assert same_bits(content(step(loaded)), content(step(through)))


class Kernels(nn.Module):
    """An encoder whose kernel is stored with its channels last."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.kernel = nn.Conv2d(3, 4, 2).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean, log_std = self.kernel(x).flatten(1).chunk(2, 1)
        return mean, log_std


def test_moments_keep_the_order_of_their_parameter_in_memory(tmp_path: Path):
    """A fused step reads parameters and moments in the order that they have in memory."""
    decoder = nn.Sequential(nn.Linear(2, 12), nn.Unflatten(-1, (3, 2, 2)))
    model = VAE(Kernels(), decoder, 2)
    assert not model.encoder.kernel.weight.is_contiguous()
    data = Dataset.from_arrays(torch.rand(8, 3, 2, 2) < 0.5, torch.rand(8, 3, 2, 2) < 0.5)
    config = TrainConfig(epochs=1, batch_size=4, device="cpu", precision="fp32", threads=1)
    state = train(model, data, config)
    save(tmp_path, model, state)
    loaded = copy_of((model, state))
    load(tmp_path, *loaded)
    loaded[1].history = state.history
    longer = replace(config, epochs=2)
    train(model, data, longer, state=state)
    train(loaded[0], data, longer, state=loaded[1])
    assert same_bits(content(loaded), content((model, state)))


def test_a_checkpoint_before_the_first_step_can_be_loaded(tmp_path: Path):
    save(tmp_path / "checkpoints", *fresh())
    loaded = fresh(seed=1)
    assert load(tmp_path / "checkpoints", *loaded) == 0
    assert same_bits(content(loaded), content(fresh()))


def test_the_newest_two_are_kept(tmp_path: Path):
    training = fresh()
    for number in (5, 999_999, 1_000_000, 1_000_001):
        training[1].step = number
        save(tmp_path, *training)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-1000000", "step-1000001"]
    assert load(tmp_path, fresh()[0]) == 1_000_001


def test_a_step_that_is_saved_again_takes_the_next_number_and_is_the_newest(tmp_path: Path):
    for seed, name in enumerate(["step-000000", "step-000000-2", "step-000000-3"]):
        assert save(tmp_path, *fresh(seed=seed)) == tmp_path / name
        assert [path.name for path in tmp_path.iterdir()] == [name]
        loaded, _ = fresh(seed=9)
        assert load(tmp_path, loaded) == 0
        assert same_bits(loaded.state_dict(), fresh(seed=seed)[0].state_dict())


def test_checkpoints_are_ordered_by_step_and_then_by_number(tmp_path: Path):
    ordered = ["step-1000000", "step-000012-10", "step-000012-9", "step-000012", "step-000011-2"]
    others = ["step-12", "step-000012-", "step-000012-x", ".step-000012-3.part", "step-000012-2-3"]
    for name in [*ordered, *others]:
        (tmp_path / name).mkdir()
    assert [path.name for path in listing.newest_first(tmp_path)] == ordered
    assert listing.newest_step(tmp_path) == 1_000_000
    assert listing.newest_at(tmp_path, 12) == tmp_path / "step-000012-10"
    assert listing.next_path(tmp_path, 12) == tmp_path / "step-000012-11"
    assert listing.next_path(tmp_path, 13) == tmp_path / "step-000013"


def test_a_checkpoint_that_was_never_finished_is_not_seen(copy: Path):
    shutil.copytree(copy / "step-000001", copy / ".step-000003.part")
    assert load(copy, fresh()[0]) == 2


def test_without_any_whole_checkpoint_the_error_names_what_is_wrong_with_each(copy: Path):
    (copy / "step-000001" / "model.safetensors").write_bytes(b"x")
    (copy / "step-000002" / "optimizer.safetensors").write_bytes(b"x")
    with pytest.raises(RunError) as error:
        load(copy, *fresh())
    assert str(error.value) == (
        f"no checkpoint of {copy.parent} can be used\n"
        "  why: step-000002: optimizer.safetensors does not match its manifest; "
        "step-000001: model.safetensors does not match its manifest\n"
        "  fix: train the run again"
    )


def test_without_a_checkpoint_the_error_says_how_to_get_one(tmp_path: Path):
    with pytest.raises(RunError) as error:
        load(tmp_path / "checkpoints", fresh()[0])
    assert str(error.value) == (
        f"no checkpoint of {tmp_path} can be used\n"
        "  why: it has none yet: the run was stopped before its first one\n"
        f"  fix: `elboroom train --resume {tmp_path}`"
    )


def test_a_checkpoint_of_another_model_cannot_be_used(copy: Path):
    with pytest.raises(RunError, match="size mismatch"):
        load(copy, *fresh(hidden=4))


def test_the_warning_of_a_broken_checkpoint_names_it_and_the_one_that_is_used(copy: Path):
    (copy / "step-000002" / "model.safetensors").write_bytes(b"x")
    said = (
        f"the checkpoint step-000001 of {copy.parent} is used, since others are broken: "
        "step-000002: model.safetensors does not match its manifest"
    )
    with pytest.warns(UserWarning, match=f"^{re.escape(said)}$"):
        assert load(copy, *fresh()) == 1


@pytest.mark.parametrize("change", [{"latents": 90}, {"hidden": (70,)}, {"prior": "vamp"}])
def test_networks_larger_than_any_checkpoint_are_refused_before_they_are_made(
    copy: Path, change: dict[str, Any]
):
    config = ModelConfig(hidden=(3,))
    require_room(copy, least_weights(config, (1, 2, 2)))
    weights = least_weights(replace(config, **change), (1, 2, 2))
    with pytest.raises(RunError, match=r"; the networks of config\.toml take at least [\d,]+"):
        require_room(copy, weights)


CONFIGS = [
    ModelConfig(latents=latents, hidden=hidden, network=network, posterior=posterior, prior=prior)
    for latents in (1, 3, 70)
    for hidden, network in [((), "mlp"), ((5, 7), "gated"), ((6, 6), "residual")]
    for posterior, prior in [
        *(("diagonal", "vamp"), ("full", "mixture"), ("flow", "standard"), ("diagonal", "flow")),
    ]
]


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_a_model_has_the_least_weights_of_its_config_or_more(config: ModelConfig):
    images = torch.zeros(config.components, 1, 2, 2)
    model = VAE.from_config(config, (1, 2, 2), generator=stream(0, "weights"), images=images)
    weights = sum(parameter.numel() for parameter in model.parameters())
    assert weights / 3 - 4_000 < least_weights(config, (1, 2, 2)) < weights
