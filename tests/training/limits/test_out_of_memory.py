"""Memory that is free, and memory that is not there."""

import re
from pathlib import Path

import pytest
import torch

from elboroom import TrainConfig
from elboroom.errors import DiskError, TrainingError
from elboroom.runs import training as run_training
from elboroom.training.limits.out_of_memory import memory_errors
from tests.support.command import Command
from tests.support.outcomes import error, last_checkpoint, metrics

CPU = torch.device("cpu")
CONFIG = TrainConfig(batch_size=200)


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
    with pytest.raises(TrainingError) as found, memory_errors(CONFIG, "rows"):
        exhaust()
    assert found.value.what == "memory ran out in training with batches of 200 rows"
    assert re.fullmatch(why, found.value.why)
    assert found.value.fix == (
        "train a new run with --batch-size 100 or less, or auto, which chooses a size that "
        "fits, or resume this one on a machine with more memory"
    )


def test_one_image_that_is_too_large_suggests_a_smaller_model():
    said = r"a smaller --hidden \(--channels with --network conv\), or resume this one"
    with pytest.raises(TrainingError, match=said), memory_errors(TrainConfig(batch_size=1), "rows"):
        on_a_card()


@pytest.mark.parametrize("other", [RuntimeError("shapes"), DiskError("a", why="b", fix="c")])
def test_other_errors_pass(other: Exception):
    with pytest.raises(type(other)) as found, memory_errors(CONFIG, "rows"):
        raise other
    assert found.value is other


@pytest.mark.filterwarnings("always:training starts from the beginning")
def test_a_run_whose_memory_ran_out_can_be_resumed(
    elboroom: Command, small: list[str], trained: Path, tmp_path: Path, monkeypatch
):
    run, train_model = tmp_path / "run", run_training.train

    def exhausted(*arguments, stop, **options):
        state = train_model(*arguments, stop=lambda: options["state"].step == 8, **options)
        on_a_card()
        return state

    with monkeypatch.context() as patch:
        patch.setattr(run_training, "train", exhausted)
        what, _, fix = error(elboroom("train", *small, "--quiet", "--out", run), 1)
    assert what == "memory ran out in training with batches of 50 images"
    assert fix.startswith("train a new run with --batch-size 25 or less, or auto")
    outcome = elboroom("train", "--resume", run, "--quiet")
    assert (outcome.code, outcome.out) == (0, "")
    assert outcome.err.startswith("warning: training starts from the beginning")
    assert last_checkpoint(run) == last_checkpoint(trained)
    assert metrics(run) == metrics(trained)
