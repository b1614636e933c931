"""Memory that is free, and memory that is not there."""

import os
import re
import sys
from pathlib import Path

import pytest
import torch

from conftest import Command
from elboroom import VAE, ModelConfig, TrainConfig, memory, training_commands
from elboroom.errors import DiskError, TrainingError
from elboroom.memory import decoded_at_a_time, free_memory, memory_for
from elboroom.randomness import stream
from outcomes import error, last_checkpoint, metrics

CPU = torch.device("cpu")
CONFIG = TrainConfig(batch_size=200)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux tells what is available")
def test_free_memory_is_what_linux_says_is_available():
    kibibytes = re.search(r"MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text())
    assert kibibytes is not None
    free = free_memory(CPU)
    assert free is not None
    assert 0 < free <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert free < 1.5 * 1024 * int(kibibytes[1])


def test_a_container_leaves_its_limit_less_what_it_uses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("700000\n")
    (tmp_path / "memory.stat").write_text("anon 500000\ninactive_file 200000\n")
    monkeypatch.setattr(memory, "_GROUP", tmp_path)
    assert free_memory(CPU) == 1_000_000 - (700_000 - 200_000)  # what was only read can go


def test_a_container_without_a_limit_leaves_what_the_system_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(memory, "_free_of_system", lambda: 5_000)
    monkeypatch.setattr(memory, "_GROUP", tmp_path)
    assert free_memory(CPU) == 5_000
    (tmp_path / "memory.max").write_text("max\n")
    assert free_memory(CPU) == 5_000


def test_free_memory_of_a_card_is_the_cards(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (3_000, 9_000))
    assert free_memory(torch.device("cuda")) == 3_000


def test_a_system_that_does_not_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory, "_free_of_system", lambda: None)
    monkeypatch.setattr(memory, "_GROUP", tmp_path)
    assert free_memory(CPU) is None


def on_a_card() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 TiB.\nSee the manual.")


def on_the_processor() -> None:
    torch.empty(1 << 58)


def in_python() -> None:
    raise MemoryError


@pytest.mark.parametrize(
    ("exhaust", "why"),
    [
        (on_a_card, r"CUDA out of memory\. Tried to allocate 2 TiB\."),
        (on_the_processor, r".*can't allocate memory.*"),
        (in_python, "MemoryError"),
    ],
)
def test_memory_that_runs_out_is_an_error_of_the_batch_size(exhaust, why: str):
    with pytest.raises(TrainingError) as found, memory_for(CONFIG):
        exhaust()
    assert found.value.what == "memory ran out in training by batches of 200 images"
    assert re.fullmatch(why, found.value.why)
    assert found.value.fix == (
        "train a new run with --batch-size 100 or less, or auto, which takes what fits; "
        "one that was begun goes on where there is more"
    )


def test_one_image_that_is_too_much_asks_for_another_model():
    said = "a new run with a smaller --hidden; one that"
    with pytest.raises(TrainingError, match=said), memory_for(TrainConfig(batch_size=1)):
        on_a_card()


@pytest.mark.parametrize("other", [RuntimeError("shapes"), DiskError("a", why="b", fix="c")])
def test_other_errors_pass(other: Exception):
    with pytest.raises(type(other)) as found, memory_for(CONFIG):
        raise other
    assert found.value is other


def test_a_run_whose_memory_ran_out_can_be_gone_on_with(
    elboroom: Command, small: list[str], trained: Path, tmp_path: Path, monkeypatch
):
    run, train_model = tmp_path / "run", training_commands.train_model

    def exhausted(*arguments, stop, **options):
        state = train_model(*arguments, stop=lambda: options["state"].step == 8, **options)
        on_a_card()
        return state

    with monkeypatch.context() as patch:
        patch.setattr(training_commands, "train_model", exhausted)
        what, _, fix = error(elboroom("train", *small, "--quiet", "--out", run), 1)
    assert what == "memory ran out in training by batches of 50 images"
    assert fix.startswith("train a new run with --batch-size 25 or less, or auto")
    assert elboroom("train", "--resume", run, "--quiet") == (0, "", "")
    assert last_checkpoint(run) == last_checkpoint(trained)
    assert metrics(run) == metrics(trained)


@pytest.mark.parametrize(
    ("hidden", "pixels", "rows"),
    [(5, 784, (12 << 20) // (4 * 784)), (1_000, 784, (12 << 20) // 4_000), (5, 1 << 22, 1)],
    ids=["pixels are the widest", "a layer is", "one does not fit"],
)
def test_as_many_are_decoded_together_as_the_budget_holds(hidden: int, pixels: int, rows: int):
    config = ModelConfig(latents=1, hidden=(hidden,))
    model = VAE.from_config(config, (2,), generator=stream(0, "weights"))
    assert decoded_at_a_time(model, torch.zeros(3, pixels)) == rows
    assert decoded_at_a_time(model, torch.zeros(3, pixels).double()) == max(1, rows // 2)
