"""Small trainings that are saved and loaded."""

from pathlib import Path

import torch

from elboroom import VAE, ModelConfig, TrainState
from elboroom.config import ObjectiveConfig
from elboroom.randomness import stream
from elboroom.runs.checkpoints import capture, write
from elboroom.training.objective import bound
from elboroom.training.state import EpochMetrics, new_state

FILES = ["manifest.json", "model.safetensors", "optimizer.safetensors"]
Training = tuple[VAE, TrainState]
Bits = dict[str, torch.Tensor]


def fresh(seed: int = 0, hidden: int = 3) -> Training:
    config = ModelConfig(hidden=(hidden,))
    model = VAE.from_config(config, (1, 2, 2), generator=stream(seed, "weights"))
    return model, new_state(model)


def save(folder: Path, model: VAE, state: TrainState) -> Path:
    """Write a checkpoint of a training as it is now."""
    return write(folder, capture(model, state))


def step(training: Training) -> Training:
    """Take one step of Adam, as training does."""
    model, state = training
    x, noise = torch.ones(4, 1, 2, 2), stream(0, "step", state.step)
    found = bound(model, x, config=ObjectiveConfig(), generator=noise)
    state.optimiser.zero_grad()
    (-found.value.mean()).backward()
    state.optimiser.step(1e-3)
    state.totals += found.totals
    state.step += 1
    return training


def content(training: Training) -> dict[str, torch.Tensor]:
    """Return every number that a checkpoint must give back."""
    model, state = training
    moments = {
        f"{name} {key}": value
        for name, parameter in model.named_parameters()
        for key, value in state.optimiser.state[parameter].items()
    }
    tensors = {**model.state_dict(), **moments, "totals": state.totals}
    return {name: tensor.clone() for name, tensor in tensors.items()}


def epoch(step: int, held_out_elbo: float | None) -> EpochMetrics:
    """Return the metrics of an epoch that ends at `step`."""
    return EpochMetrics(1, step, -5.0, -4.0, 1.0, -5.0, 1.0, 1e-3, held_out_elbo, 1e4)


def same_bits(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    """Compare names, types and bits; −0 differs from 0, and NaN equals itself."""
    return a.keys() == b.keys() and all(
        a[name].dtype == b[name].dtype
        and a[name].numpy(force=True).tobytes() == b[name].numpy(force=True).tobytes()
        for name in a
    )


def flip(content: bytes, bit: int) -> bytes:
    flipped = bytearray(content)
    flipped[bit // 8] ^= 1 << bit % 8
    return bytes(flipped)


def saved_at(folder: Path, *elbos: float | None) -> None:
    """Save checkpoints at the ends of epochs of one step with these held-out ELBOs."""
    model, state = fresh()
    for elbo in elbos:
        state.step += 1
        state.history.append(epoch(state.step, elbo))
        save(folder, model, state)
