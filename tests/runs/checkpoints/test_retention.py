"""Checkpoints that are kept, and the best of them."""

import json
import shutil
from io import BufferedReader
from pathlib import Path

import pytest

from elboroom.errors import RunError
from elboroom.runs.checkpoints import best_held_out_elbo, capture, load, manifest, write
from elboroom.untrusted import open_file
from tests.support.checkpoint_cases import FILES, epoch, flip, fresh, save, saved_at, step


def steps(folder: Path) -> list[int]:
    assert all(path.name.startswith("step-") for path in folder.iterdir())
    return sorted(int(path.name[5:]) for path in folder.iterdir())


@pytest.mark.parametrize(
    ("elbos", "kept", "best"),
    [
        ((-5.0, -3.0, -4.0, None, -6.0), [2, 4, 5], 2),
        ((-5.0, -4.0, -3.0), [2, 3], 3),
        ((-1.0, -2.0, -3.0, -4.0), [1, 3, 4], 1),
        ((float("nan"), -2.0, float("inf"), None, None), [2, 4, 5], 2),
    ],
)
def test_the_newest_two_and_the_best_are_kept(
    tmp_path: Path, elbos: tuple[float | None, ...], kept: list[int], best: int
):
    saved_at(tmp_path, *elbos)
    assert steps(tmp_path) == kept
    assert load(tmp_path, fresh()[0]) == kept[-1]
    assert load(tmp_path, fresh()[0], best=True) == best
    assert best_held_out_elbo(tmp_path, 99) == elbos[best - 1]


def test_within_an_epoch_a_checkpoint_has_no_elbo(tmp_path: Path):
    model, state = fresh()
    state.history.append(epoch(3, -5.0))
    for state.step, elbo in ((3, -5.0), (4, None)):
        captured = capture(model, state)
        assert (captured.step, captured.held_out_elbo) == (state.step, elbo)
        path = write(tmp_path, captured)
        assert json.loads((path / "manifest.json").read_text())["held_out_elbo"] == elbo


def test_what_is_captured_does_not_move_with_training():
    training = step(fresh())
    captured = capture(*training)
    files = dict(captured.files)
    step(training)
    assert captured.files == files != capture(*training).files


def test_without_an_evaluated_epoch_none_is_known_to_be_the_best(tmp_path: Path):
    saved_at(tmp_path / "checkpoints", None)
    assert best_held_out_elbo(tmp_path / "checkpoints", 99) == -float("inf")
    with pytest.raises(RunError) as error:
        load(tmp_path / "checkpoints", fresh()[0], best=True)
    assert str(error.value) == (
        f"no checkpoint of {tmp_path} is known to be the best\n"
        "  why: none was written at the end of an epoch that had a held-out ELBO\n"
        "  fix: load the newest, or train with a smaller --evaluate-every"
    )


@pytest.mark.parametrize("name", FILES)
def test_in_place_of_a_broken_best_the_next_is_loaded_with_a_warning(tmp_path: Path, name: str):
    saved_at(tmp_path, -1.0, -3.0, -2.0)
    path = tmp_path / "step-000001" / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.warns(UserWarning, match=r"step-000003 .* broken: step-000001: "):
        assert load(tmp_path, fresh()[0], best=True) == 3


def test_a_broken_one_is_not_kept_as_the_best(tmp_path: Path):
    saved_at(tmp_path, -1.0, -3.0)
    (tmp_path / "step-000001" / "manifest.json").unlink()
    model, state = fresh()
    for state.step in (3, 4):
        save(tmp_path, model, state)
    assert steps(tmp_path) == [2, 3, 4]


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_in_the_best_leaves_its_place_to_the_best_that_is_whole(
    tmp_path: Path, name: str
):
    saved_at(tmp_path, -1.0, -3.0)
    path = tmp_path / "step-000001" / name
    path.write_bytes(flip(path.read_bytes(), 8 * path.stat().st_size - 9))
    assert best_held_out_elbo(tmp_path, 99) == -3.0
    model, state = fresh()
    for state.step, elbo in ((3, -2.0), (4, -4.0), (5, -5.0), (6, -6.0)):
        state.history.append(epoch(state.step, elbo))
        save(tmp_path, model, state)
    assert steps(tmp_path) == [3, 5, 6]
    assert load(tmp_path, fresh()[0], best=True) == 3
    assert best_held_out_elbo(tmp_path, 99) == -2.0


def test_a_best_that_the_disk_does_not_let_us_read_now_is_kept_beside_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(path: Path) -> BufferedReader:
        if path.parent.name == "step-000001":
            raise OSError(5, "Input/output error")
        return open_file(path)

    saved_at(tmp_path, -1.0, -2.0)
    monkeypatch.setattr(manifest, "open_file", fail)
    model, state = fresh()
    for state.step in (3, 4):
        save(tmp_path, model, state)
    assert steps(tmp_path) == [1, 2, 3, 4]
    assert best_held_out_elbo(tmp_path, 99) == -2.0


def test_those_of_later_steps_and_earlier_ones_of_the_same_step_go(tmp_path: Path):
    model, state = fresh()
    for state.step in (1, 9, 2):
        save(tmp_path, model, state)
    assert steps(tmp_path) == [1, 2]
    save(tmp_path, model, state)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000001", "step-000002-2"]


def test_the_best_may_be_a_step_that_was_saved_again(tmp_path: Path):
    model, state = fresh()
    for state.step, elbo in ((1, -9.0), (2, -8.0), (2, -5.0), (3, -6.0), (4, -7.0)):
        state.history = [epoch(state.step, elbo)]
        save(tmp_path, model, state)
    names = ["step-000002-2", "step-000003", "step-000004"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert load(tmp_path, fresh()[0], best=True) == 2
    assert best_held_out_elbo(tmp_path, 2) == -5.0


def test_what_a_killed_process_left_unfinished_goes_and_what_others_put_there_stays(
    tmp_path: Path,
):
    saved_at(tmp_path, None, None)
    shutil.copytree(tmp_path / "step-000001", tmp_path / ".step-000003.part")
    shutil.copytree(tmp_path / "step-000001", tmp_path / "step-000001 of Monday")
    model, state = fresh()
    state.step = 7
    save(tmp_path, model, state)
    found = sorted(path.name for path in tmp_path.iterdir())
    assert found == ["step-000001 of Monday", "step-000002", "step-000007"]


def test_the_best_of_later_steps_counts_no_more(tmp_path: Path):
    saved_at(tmp_path, -5.0, -3.0, -1.0)
    assert [best_held_out_elbo(tmp_path, until) for until in (0, 1, 2, 3)] == [
        *(-float("inf"), -float("inf"), -3.0, -1.0),  # the first is kept no more
    ]


def test_a_leftover_that_cannot_be_removed_does_not_fail_a_save(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def busy(*_: object, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            raise OSError(39, "Directory not empty")

    (tmp_path / ".step-000000.part").mkdir()
    monkeypatch.setattr("shutil.rmtree", busy)
    saved_at(tmp_path, -1.0)
    assert load(tmp_path, fresh()[0]) == 1
