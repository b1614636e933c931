"""Options, data and folders that `elboroom train` refuses, and its errors."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from elboroom.cli import commands
from elboroom.cli import main as cli
from tests.support.command import Command
from tests.support.outcomes import error, last_checkpoint


def refused(elboroom: Command, tmp_path: Path, *arguments: object, code: int = 2) -> list[str]:
    """Return the error of refused training, and check that it leaves no run folder."""
    found = error(elboroom("train", *arguments, "--out", tmp_path / "run"), code)
    assert not (tmp_path / "run").exists()
    return found


def saved(tmp_path: Path, array: Any) -> Path:
    np.save(tmp_path / "my.npy", np.asarray(array))
    return tmp_path / "my.npy"


def test_data_that_is_missing_is_refused(elboroom: Command, tmp_path: Path):
    path = tmp_path / "no.npz"
    what, why, fix = refused(elboroom, tmp_path, "--data", path)
    assert what == f"cannot read {path} as data"
    assert why == f"[Errno 2] No such file or directory: '{path}'"
    assert fix.startswith("give `mnist`, or the path of one array of images or rows, a .npy")


def test_data_of_nan_alone_is_refused(elboroom: Command, tmp_path: Path):
    path = saved(tmp_path, [[np.nan, np.nan]] * 4)
    assert refused(elboroom, tmp_path, "--data", path) == [
        "the values in my.npy cannot be used",
        "found only NaN in images; expected finite numbers, NaN where one is missing",
        "give some values that are not missing",
    ]


def test_data_out_of_range_is_not_made_binary(elboroom: Command, tmp_path: Path):
    path = saved(tmp_path, [[0.0, 255.0]] * 4)
    assert refused(elboroom, tmp_path, "--data", path, "--binarisation", "threshold") == [
        "the values in my.npy cannot be made binary by threshold",
        "found 0 to 255 of type float64 in images; expected uint8 in 0…255, booleans, or numbers "
        "in [0, 1]",
        "divide by 255, or leave out --binarisation threshold, so that they are read as real "
        "values",
    ]


def test_an_array_that_would_not_be_used_is_refused_until_it_is_named(
    elboroom: Command, tmp_path: Path
):
    np.savez(tmp_path / "my.npz", images=np.eye(40, 9), ids=np.arange(40), note=np.zeros(2))
    what, _, fix = refused(elboroom, tmp_path, "--data", tmp_path / "my.npz")
    assert what == "my.npz has arrays that would not be used: ids, note"
    assert fix == "rename it, or leave it out with --unused ids note"
    options = ["--unused", "ids", "note", "--epochs", 1, "--hidden", 4, "--out", tmp_path / "run"]
    assert elboroom("train", "--data", tmp_path / "my.npz", *options).code == 0


def test_grey_data_without_binarisation_is_refused(elboroom: Command, tmp_path: Path, digits: Path):
    options = ["--data", digits, "--binarisation", "none", "--likelihood", "bernoulli"]
    what, why, fix = refused(elboroom, tmp_path, *options)
    assert what == "digits.npz does not fit the likelihood Bernoulli"
    assert why.startswith("every value must be 0 or 1, found 0.")
    assert fix.startswith("use --likelihood auto, which follows the values, or --binarisation ")
    assert not (tmp_path / "run").exists()


def test_data_too_small_for_the_reference_split_is_refused(
    elboroom: Command, tmp_path: Path, digits: Path
):
    assert refused(elboroom, tmp_path, "--data", digits, "--split", "reference") == [
        "this data is too small for the reference split",
        "found 300 training rows; the split needs 20,000",
        "use --split auto",
    ]


def test_validation_that_leaves_nothing_is_refused(
    elboroom: Command, tmp_path: Path, small: list[str]
):
    assert refused(elboroom, tmp_path, *small, "--validation", 270) == [
        "--validation 270 leaves nothing to train on",
        "the training part has 270 rows",
        "take fewer than 270",
    ]


def test_a_device_that_is_missing_is_refused_before_a_run_is_made(
    elboroom: Command, tmp_path: Path, small: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert refused(elboroom, tmp_path, *small, "--device", "cuda") == [
        "--device cuda is not available",
        f"this installation of PyTorch {torch.__version__} finds no cuda device",
        "use --device auto, or install a build of PyTorch for it",
    ]


def test_a_run_in_the_way_is_kept(elboroom: Command, run: Path, small: list[str]):
    before = last_checkpoint(run)
    assert error(elboroom("train", *small, "--out", run), 1) == [
        f"{run} is in the way",
        "a new run never writes over an old one",
        f"give another --out, or resume it with `elboroom train --resume {run}`",
    ]
    assert last_checkpoint(run) == before


def test_an_out_within_a_file_is_refused(elboroom: Command, tmp_path: Path, small: list[str]):
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "run"
    assert error(elboroom("train", *small, "--out", path), 1) == [
        f"{path} cannot be written",
        f"its folder is gone: [Errno 20] Not a directory: '{path}'",
        "put the folder back, or write elsewhere",
    ]


def test_an_out_that_may_not_be_written_is_refused(
    elboroom: Command, tmp_path: Path, small: list[str], monkeypatch: pytest.MonkeyPatch
):
    def forbid(path: Path, *_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "mkdir", forbid)  # the tests may run as root, who may write anywhere
    assert refused(elboroom, tmp_path, *small, code=1) == [
        f"{tmp_path / 'run'} cannot be written",
        f"you may not write there: [Errno 13] Permission denied: '{tmp_path / 'run'}'",
        "ask for permission to write, or write elsewhere",
    ]


def test_an_elbo_that_is_not_finite_fails_the_run(
    elboroom: Command, tmp_path: Path, small: list[str], monkeypatch: pytest.MonkeyPatch
):
    from elboroom.model.posteriors import DiagonalGaussian

    monkeypatch.setattr(
        DiagonalGaussian, "kl_to_standard", lambda q: torch.inf * q.mean.square().sum(-1)
    )
    what, why, fix = error(elboroom("train", *small, "--quiet", "--out", tmp_path / "run"), 1)
    assert what == "training cannot continue from step 0"
    assert re.match(r"at step 0 of epoch 1, the KL is (inf|nan)", why)
    assert fix.startswith("look at those rows and that layer")


def break_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Any) -> int:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(commands.Version, "run", fail)


def test_an_unexpected_error_has_no_traceback(elboroom: Command, monkeypatch: pytest.MonkeyPatch):
    break_version(monkeypatch)
    assert elboroom("version") == (
        1,
        "",
        "error: ZeroDivisionError: by nothing\n  fix: run it again with --debug to see where\n",
    )


@pytest.mark.parametrize(
    "allocate", [lambda: torch.empty(1 << 58), lambda: np.empty(1 << 58), lambda: bytes(1 << 60)]
)
def test_memory_that_runs_out_in_any_command_is_named(
    elboroom: Command, monkeypatch: pytest.MonkeyPatch, allocate: Callable[[], Any]
):
    monkeypatch.setattr(commands.Version, "run", lambda _: allocate())
    what, why, fix = error(elboroom("version"), 1)
    assert what == "memory ran out"
    assert "Error: " in why
    assert fix == "ask for fewer rows, --draws or samples at a time, or free memory"


def test_debug_shows_the_traceback(elboroom: Command, monkeypatch: pytest.MonkeyPatch):
    break_version(monkeypatch)
    outcome = elboroom("version", "--debug")
    assert outcome.code == 1
    assert outcome.err.startswith("Traceback (most recent call last):\n")
    assert "in fail\n" in outcome.err


def test_debug_shows_the_traceback_of_a_refusal_too(elboroom: Command, tmp_path: Path):
    outcome = elboroom("evaluate", tmp_path, "--debug")
    assert outcome.code == 1
    assert outcome.err.startswith("Traceback (most recent call last):\n")
    assert f"error: {tmp_path} is not a run\n" in outcome.err


def test_a_warning_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]):
    cli._warn("torch \x1b[2J, now\x07 2.13")
    assert capsys.readouterr().err == "warning: torch \\x1b[2J, now\\x07 2.13\n"
