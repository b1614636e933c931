"""Runs of every released format load and resume; this version still writes what it released."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from elboroom import __version__
from elboroom.config import TrainConfig
from elboroom.model.vae import VAE
from elboroom.training.loop import train
from elboroom.training.state import TrainState
from tests.support import golden_runs
from tests.support.golden_runs import FOLDER, GOLDEN, faults, layout, make


def test_this_version_has_a_golden_run():
    assert __version__ in GOLDEN, "python -m tests.support.golden_runs"


@pytest.mark.parametrize("version", GOLDEN)
def test_a_golden_run_loads_and_goes_on(version: str, tmp_path: Path):
    assert faults(version, tmp_path / version) == []


def test_a_run_without_a_list_of_its_results_loads_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    listed = faults(__version__, tmp_path / "listed")
    golden = Path(shutil.copytree(FOLDER, tmp_path / "golden"))
    (golden / __version__ / "run" / "results.json").unlink()
    monkeypatch.setattr(golden_runs, "FOLDER", golden)
    assert faults(__version__, tmp_path / "unlisted") == listed


def test_this_version_writes_what_it_released(tmp_path: Path):
    make(tmp_path / "now")
    assert layout(tmp_path / "now") == layout(FOLDER / __version__)


@pytest.mark.parametrize(
    ("file", "old", "new", "wrong"),
    [
        ("expected.json", '"newest": "', '"newest": "0', "other weights"),
        ("expected.json", '"epoch": 2', '"epoch": 9', "another history"),
        ("expected.json", '"step": 30', '"step": 31', "another end"),
        ("run/evaluation.json", '"mean": -1', '"mean": -2', "an ELBO"),
        ("run/metrics.jsonl", '"epoch": 2', '"epoch": 3', "metrics.jsonl"),
    ],
)
def test_what_is_read_otherwise_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, old: str, new: str, wrong: str
):
    changed = Path(shutil.copytree(FOLDER, tmp_path / "golden")) / __version__ / file
    assert old in changed.read_text()
    changed.write_text(changed.read_text().replace(old, new, 1))
    monkeypatch.setattr(golden_runs, "FOLDER", tmp_path / "golden")
    found = faults(__version__, tmp_path / "run")
    assert [f for f in found if wrong in f], found


Change = Callable[[VAE, TrainState, TrainConfig], TrainConfig | None]


def resume_with(monkeypatch: pytest.MonkeyPatch, change: Change) -> None:
    """Have golden runs resumed from a state, or with options, that were changed."""

    def changed(model: VAE, data: Any, config: TrainConfig, *, state: TrainState, **options: Any):
        return train(model, data, change(model, state, config) or config, state=state, **options)

    monkeypatch.setattr(golden_runs, "train", changed)


def lose_moment(state: TrainState, name: str) -> None:
    for moments in state.optimiser.state.values():
        moments[name].zero_()


def lose_running_means(model: VAE) -> None:
    for name, value in model.state_dict().items():
        if name.endswith("running_mean"):
            value.zero_()


def lose_totals(state: TrainState) -> None:
    state.totals.zero_()


def skip_step(state: TrainState) -> None:
    state.step += 1


def count_step_twice(state: TrainState) -> None:
    for moments in state.optimiser.state.values():
        moments["step"] += 1


@pytest.mark.parametrize(
    "bug",
    [
        lambda model, state, config: replace(config, learning_rate=1.01 * config.learning_rate),
        lambda model, state, config: replace(config, seed=1),
        lambda model, state, config: lose_moment(state, "exp_avg"),
        lambda model, state, config: lose_moment(state, "exp_avg_sq"),
        lambda model, state, config: lose_running_means(model),
        lambda model, state, config: lose_totals(state),
        lambda model, state, config: skip_step(state),
        lambda model, state, config: count_step_twice(state),
    ],
    ids=[
        "learning rate",
        "seed",
        "first moment",
        "second moment",
        "running means",
        "totals",
        "skipped step",
        "count",
    ],
)
def test_a_planted_bug_in_resuming_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bug: Change
):
    resume_with(monkeypatch, bug)
    found = faults(__version__, tmp_path / "run")
    assert [f for f in found if "another end" in f], found


@pytest.mark.parametrize("seed", range(3))
def test_the_rounding_of_another_processor_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
):
    """By up to 100 rounding units, every weight moves before every step."""
    noise = torch.Generator().manual_seed(seed)

    @torch.no_grad()
    def rounded_otherwise(weight: torch.Tensor) -> None:
        units = 100 * (2 * torch.rand(weight.shape, generator=noise) - 1)
        weight.mul_(1 + units * torch.finfo(weight.dtype).eps / 2)

    def trained(model: VAE, *arguments: Any, **options: Any) -> TrainState:
        stop = options.pop("stop")

        def moved_then_stop() -> bool:
            for weight in model.parameters():
                rounded_otherwise(weight)
            return stop()

        return train(model, *arguments, **options, stop=moved_then_stop)

    monkeypatch.setattr(golden_runs, "train", trained)
    assert faults(__version__, tmp_path / "run") == []
