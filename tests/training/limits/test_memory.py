"""Memory is counted before a run is made, and compared with what is free."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from elboroom import VAE, ModelConfig, ObjectiveConfig, TrainConfig
from elboroom.data import Dataset, Identity, Part
from elboroom.errors import UsageError
from elboroom.randomness import stream
from elboroom.training.limits import memory
from elboroom.training.limits.memory import Memory, require_memory, step_bytes
from elboroom.training.loop import ELBO
from tests.support.command import Command
from tests.support.outcomes import error

MIB = 2**20


def free(monkeypatch: pytest.MonkeyPatch, size: int | None) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda device: size)


def data_of(values: int, rows: int = 40) -> Dataset:
    part = Part(torch.rand(rows, values, generator=stream(0, "x")).round(), None)
    return Dataset(Identity("ones", "", "none", "standard", rows), part, None, part)


def model_of(values: int, hidden: int) -> VAE:
    return VAE.from_config(ModelConfig(hidden=(hidden,)), (values,), generator=stream(0, "w"))


def test_the_need_is_weights_times_copies_and_a_step(monkeypatch: pytest.MonkeyPatch):
    free(monkeypatch, None)
    model, config = model_of(40, 30), TrainConfig(batch_size=10, device="cpu")
    found = require_memory(model, data_of(40), config, ELBO)
    weights = 4 * sum(p.numel() for p in model.parameters())
    layers = 4 * 10 * (40 + 30 + 30 + 40)  # float32: the image, two hidden layers, the output
    assert (found.weights, found.copies) == (weights, 15)
    # 6 copies: gradient, two moments, and the last good state; 9 of checkpoints
    assert 2 * layers < found.step < 6 * layers + 3 * weights
    assert found.needed == 15 * weights + found.step


def test_an_average_and_the_way_back_of_a_skipped_step_are_counted(monkeypatch: pytest.MonkeyPatch):
    free(monkeypatch, None)
    model, data = model_of(40, 30), data_of(40)
    config = TrainConfig(batch_size=10, device="cpu")

    def copies(**options: object) -> int:
        return require_memory(model, data, replace(config, **options), ELBO).copies  # type: ignore[arg-type]

    # one of the state and of the last good one, one of the best checkpoint, two of another
    assert copies(ema=0.9) == 15 + 2 + 3
    assert copies(optimiser="adamax", skip=1.0) == 15 + 3
    assert copies(optimiser="adam", skip=1.0) == copies(optimiser="adamax") == 15


def test_moved_copies_of_the_images_are_counted():
    model, part, config = model_of(40, 30), data_of(40).train, TrainConfig(device="cpu")
    once, twice = (
        step_bytes(model, part, config, replace(ELBO, consistency=weight))[0] for weight in (0, 1)
    )
    assert 1.6 * once < twice < 2.2 * once


@pytest.mark.parametrize(("missing", "fits"), [(0, True), (1, False)])
def test_a_run_is_refused_as_soon_as_a_byte_is_missing(
    monkeypatch: pytest.MonkeyPatch, missing: int, fits: bool
):
    free(monkeypatch, None)
    model, data, config = model_of(40, 30), data_of(40), TrainConfig(batch_size=10, device="cpu")
    need = require_memory(model, data, config, ELBO).needed
    free(monkeypatch, need - missing)
    if fits:
        assert require_memory(model, data, config, ELBO).free == need
    else:
        with pytest.raises(UsageError, match=r"^this run needs about"):
            require_memory(model, data, config, ELBO)


@pytest.mark.parametrize(
    ("weights", "step", "event_shape", "fix"),
    [
        (
            100 * MIB,
            MIB,
            (1, 8, 8),
            "--hidden, --channels, --latents or --components, or smaller images",
        ),
        (100 * MIB, MIB, (64,), "--hidden, --latents or --components, or rows of fewer values"),
        (MIB, 9_999 * MIB, (1, 8, 8), "smaller --batch-size"),
    ],
)
def test_the_fix_names_what_is_large(
    weights: int, step: int, event_shape: tuple[int, ...], fix: str
):
    with pytest.raises(UsageError) as found:
        Memory(weights, 15, step, 100 * MIB, event_shape).require_fit()
    assert fix in found.value.fix
    assert "100.0 MiB is free" in found.value.what


@pytest.mark.parametrize("number", [50, 10**7])
@pytest.mark.parametrize("option", ["k", "m"])
def test_many_samples_are_counted_without_drawing_them(
    monkeypatch: pytest.MonkeyPatch, option: str, number: int
):
    free(monkeypatch, 2**30)
    model, data, config = model_of(40, 30), data_of(40), TrainConfig(batch_size=10, device="cpu")
    few, more, many = (
        replace(ObjectiveConfig(objective="iwae", k=3, m=3), **{option: n}) for n in (3, 5, number)
    )
    a, b = (sum(step_bytes(model, data.train, config, o)) for o in (few, more))
    each = (b - a) / 2
    assert sum(step_bytes(model, data.train, config, many)) == a + each * (number - 3)
    if number == 10**7:
        with pytest.raises(UsageError, match="this run needs about") as found:
            require_memory(model, data, config, many)
        assert found.value.fix.endswith("or fewer samples by --k and --m")


def test_a_system_that_hides_its_memory_is_trusted():
    Memory(2**50, 15, 0, None, (4,)).require_fit()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    path = tmp_path / "p.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8))
    return path


@pytest.mark.parametrize("more", [[], ["--batch-size", "auto"], ["--minutes", "1"], ["--explain"]])
def test_too_much_is_refused_before_a_run_is_made(
    elboroom: Command,
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    more: list[str],
):
    def unwanted(*_: object, **__: object) -> None:
        raise AssertionError("a model was made")

    monkeypatch.setattr("elboroom.training.resolve.new_model", unwanted)
    free(monkeypatch, 64 * MIB)
    out = [] if more == ["--explain"] else ["--out", tmp_path / "run"]
    wide = ["--latents", "2", "--hidden", "500", "--data", pictures, "--device", "cpu"]
    what, why, fix = error(elboroom("train", *wide, *out, *more), 2)
    # 12,288 values × 500 units × 2 networks × 4 bytes = 46.9 MiB, fifteen times
    assert what == "this run needs about 703.3 MiB of memory, and 64.0 MiB is free"
    assert "15 copies of 46.9 MiB of weights" in why
    assert "--hidden" in fix
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "wide",
    [
        ["--hidden", "8", "--latents", "100000"],
        ["--latents", "2", "--hidden", "8", "500000"],
        ["--latents", "2", "--hidden", "8", "--prior", "vamp", "--components", "500"],
        ["--latents", "2", "--hidden", "8", "--prior", "mixture", "--components", "400000"],
    ],
    ids=" ".join,
)
def test_weights_of_every_part_are_counted(
    elboroom: Command, pictures: Path, monkeypatch: pytest.MonkeyPatch, wide: list[str]
):
    def unwanted(*_: object, **__: object) -> None:
        raise AssertionError("a model was made")

    monkeypatch.setattr("elboroom.training.resolve.new_model", unwanted)
    free(monkeypatch, 64 * MIB)
    options = [*wide, "--data", pictures, "--device", "cpu"]
    assert "needs about" in error(elboroom("train", *options, "--explain"), 2)[0]


def test_a_resumed_run_is_counted_too(
    elboroom: Command, run: Path, monkeypatch: pytest.MonkeyPatch
):
    free(monkeypatch, 1000)
    assert "needs about" in error(elboroom("train", "--resume", run), 2)[0]


def test_the_count_is_explained(elboroom: Command, small: list[str]):
    lines = elboroom("train", *small, "--explain").out.splitlines()
    (line,) = [line for line in lines if line.startswith("memory: ")]
    assert "15 copies of" in line
    assert "is free" in line


def test_a_disk_without_room_for_the_checkpoints_is_refused(
    elboroom: Command, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    weights = 2 * 64 * 16 + 16 * (4 + 2)  # of both networks, without biases
    needed = 4 * 3 * 4 * weights
    usage = SimpleNamespace(free=needed - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    what, why, _ = error(elboroom("train", *small, "--out", tmp_path / "a" / "run"), 1)
    assert what == f"the checkpoints of this run do not fit on the disk of {tmp_path}/a/run"
    assert "up to 4 checkpoints" in why
    assert not (tmp_path / "a").exists()
    usage.free = needed
    assert elboroom("train", *small, "--quiet", "--out", tmp_path / "a" / "run").code == 0
