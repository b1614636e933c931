"""Several processes share each batch: real ones, which torchrun starts."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from elboroom.training.speed.compilation import why_not_compilable
from tests.support.ranks import found_by_ranks, torchrun
from tests.training.ranks_that_train import BATCHES, CONFIG, OBJECTIVES, all_found

MODULE = "tests.training.ranks_that_train"
SIZE = 3
CASES = [*(f"{o}, {b}" for o in OBJECTIVES for b in BATCHES), "missing values"]
EPOCH = list(range(20))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[Any]]:
    """What each rank found, by the number of processes."""
    several = found_by_ranks(SIZE, tmp_path_factory.mktemp("ranks"), MODULE)
    return {1: [json.loads(json.dumps(all_found()))], SIZE: several}


def difference(one: dict[str, Any], other: dict[str, Any]) -> float:
    """The norm of the difference of two gradients, relative to the first."""
    a, b = (np.array(found["gradients"]) for found in (one, other))
    return float(np.linalg.norm(a - b) / np.linalg.norm(a))


@pytest.mark.parametrize("case", CASES)
def test_gradients_are_those_of_one_process(found, case: str):
    one = found[1][0]["gradients"][case]
    for rank in found[SIZE]:
        other = rank["gradients"][case]
        assert difference(one, other) < 1e-10
        np.testing.assert_allclose(other["totals"], one["totals"], rtol=1e-10)
        assert other["norm"] == pytest.approx(one["norm"], rel=1e-10)


@pytest.mark.parametrize(
    ("bug", "objective", "caught"),
    [
        ("another's rows", "elbo", True),
        ("free bits of the own rows", "free bits", True),
        ("free bits of the own rows", "elbo", False),
    ],
)
def test_gradients_tell_a_planted_bug(found, bug: str, objective: str, caught: bool):
    one = found[1][0]["gradients"][f"{objective}, even"]
    other = found[SIZE][0]["planted"][bug][objective]
    assert (difference(one, other) > 1e-3) == caught


def test_every_epoch_visits_each_row_once_among_the_ranks(found):
    assert CONFIG.epochs == 2
    rows = [row for rank in found[SIZE] for row in rank["trained"]["rows"]]
    assert sorted(rows) == sorted(EPOCH * 2)
    assert all(len(rank["trained"]["rows"]) < len(rows) for rank in found[SIZE])


def test_all_ranks_end_with_the_same_bits_and_metrics(found):
    first, *others = (rank["trained"] | {"rows": None} for rank in found[SIZE])
    assert all(other == first for other in others)


def test_all_ranks_stop_to_move_images_at_the_same_step(found):
    first, *others = (rank["moved"] for rank in found[SIZE])
    assert all(other == first for other in others)


def test_another_number_of_processes_gives_the_run_within_its_noise(found):
    one, several = (found[n][0]["trained"] for n in (1, SIZE))
    assert one["step"] == several["step"]
    # One epoch of twenty rows, whose noise differs; the mean of the draws moves by about 0.1.
    for a, b in zip(one["history"], several["history"], strict=True):
        assert a["elbo"] == pytest.approx(b["elbo"], abs=0.5)
        assert a["held_out_elbo"] == pytest.approx(b["held_out_elbo"], abs=0.1)


@pytest.mark.full
def test_compiled_steps_give_the_same_run(tmp_path: Path):
    if obstacle := why_not_compilable(torch.device("cpu")):
        pytest.skip(obstacle)
    plain, compiled = found_by_ranks(SIZE, tmp_path, MODULE, "compiled")[0]
    assert compiled["step"] == plain["step"]
    assert [m["elbo"] for m in compiled["history"]] == pytest.approx(
        [m["elbo"] for m in plain["history"]], abs=1e-4
    )
    rehearsed = len(compiled["rows"]) - len(plain["rows"])
    assert compiled["rows"][rehearsed:] == plain["rows"]


def test_a_stop_that_one_rank_is_asked_for_stops_all_after_the_same_step(found):
    steps = {rank["stopped"]["stopped"] for rank in found[SIZE]}
    assert steps == {5}  # asked after the third step, told by the fourth, known after the fifth


def test_a_stopped_training_goes_on_to_the_same_bits_on_all_ranks(found):
    first, *others = (rank["stopped"]["weights"] for rank in found[SIZE])
    assert all(other == first for other in others)
    assert found[SIZE][0]["stopped"]["step"] == 6


@pytest.mark.full
def test_a_stop_that_reaches_one_rank_alone_is_noticed(tmp_path: Path):
    done = torchrun(2, MODULE, tmp_path, "deaf")
    steps = [json.loads(path.read_text())["stopped"] for path in tmp_path.glob("*.json")]
    assert done.returncode != 0 or len(set(steps)) > 1


def test_the_clock_of_the_first_rank_decides_when_a_training_by_time_ends(found):
    first, *others = (rank["by time"] for rank in found[SIZE])
    assert others == [first, first]
    assert first["plan"]["seconds"] == pytest.approx(60, abs=3)


def test_all_ranks_tell_of_the_same_row_that_is_not_finite(found):
    first, *others = (rank["not finite"] for rank in found[SIZE])
    assert all(other == first for other in others)
    assert "(rows 7 of the training part, 1 of 8 in the batch)" in first["errors"][0]
    assert first == found[1][0]["not finite"]


def test_a_layer_may_be_idle_but_not_in_turns(found):
    for rank in found[SIZE]:
        idle, in_turns = rank["turns"]
        assert idle["idle"]
        assert idle == found[SIZE][0]["turns"][0]
        assert in_turns["error"].startswith("several processes cannot train these networks")


def test_batch_normalisation_is_refused(found):
    assert found[1][0]["refused"] == ""
    for rank in found[SIZE]:
        assert rank["refused"].startswith(f"{SIZE} processes cannot train encoder.")
        assert "use GroupNorm" in rank["refused"]


def test_ranks_that_round_otherwise_are_brought_together_and_it_is_said(found):
    first, *others = (rank["drifted"] for rank in found[SIZE])
    assert all(other == first for other in others)
    assert len(first["warnings"]) == 1
    assert "came out differently" in first["warnings"][0]
