"""`--mask`, `--index` and `--images`: the images that a command takes."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from elboroom import Run
from elboroom.infer.encoder import encoder
from tests.support.command import Command
from tests.support.infer_command import inferred, refused
from tests.support.outcomes import error


def test_without_a_mask_the_posterior_is_of_whole_images(elboroom: Command, run: Path, out: Path):
    found = inferred(elboroom, run, out, "--method", "encoder")
    assert found["mask"].all()
    model, x = Run(run).load_model(), Run(run).load_data().test.x
    alike = encoder(model, x, generator=torch.Generator().manual_seed(9))
    np.testing.assert_allclose(found["mean"], alike.mean.detach(), rtol=1e-5, atol=1e-6)


def test_rows_are_those_that_are_named(elboroom: Command, run: Path, tmp_path: Path):
    some = inferred(elboroom, run, tmp_path / "a.npz", "--index", "7", "2", "--method", "encoder")
    first = inferred(elboroom, run, tmp_path / "b.npz", "--images", "8", "--method", "encoder")
    np.testing.assert_allclose(some["mean"], first["mean"][[7, 2]], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (["--index", "3", "30"], "--index 30 is not a row of the test part"),
        (["--images", "31"], "--images 31 is more than the test part has"),
    ],
)
def test_rows_beyond_the_test_part_are_refused(
    elboroom: Command, run: Path, out: Path, options: list[str], what: str
):
    assert refused(elboroom, run, out, *options) == [
        what,
        "the test part has rows 0 to 29",
        "name rows within it, or another --part",
    ]


@pytest.mark.parametrize(("index", "named"), [([30], 30), ([0, -1], -1)])
def test_an_index_out_of_range_is_refused(
    elboroom: Command, run: Path, index: list[int], named: int
):
    assert error(elboroom("complete", run, "--mask", "top", "--index", *index), 2) == [
        f"--index {named} is not a row of the test part",
        "the test part has rows 0 to 29",
        "name rows within it, or another --part",
    ]


def test_a_mask_of_another_shape_is_refused(elboroom: Command, run: Path, tmp_path: Path):
    path = tmp_path / "m.npy"
    np.save(path, np.ones((28, 28), bool))
    assert error(elboroom("complete", run, "--mask", path), 2) == [
        f"{path} is not a mask of this data",
        "found bool (28, 28); expected booleans of shape (1, 8, 8)",
        "save a boolean array of shape (1, 8, 8), True where a value is observed",
    ]


def test_a_mask_without_a_file_is_refused(elboroom: Command, run: Path):
    assert error(elboroom("complete", run, "--mask", "middle"), 2) == [
        "cannot read the mask middle",
        "[Errno 2] No such file or directory: 'middle'",
        "give top, bottom, left, right, a boolean .npy file, or a .png",
    ]


def test_gaps_uses_all_images_of_a_small_test_part(elboroom: Command, run: Path):
    found = json.loads(elboroom("gaps", run, "--k", 100, "--json", "--method").out)
    assert found["images"] == 30


def test_more_images_than_the_test_part_has_are_refused(elboroom: Command, run: Path):
    assert error(elboroom("gaps", run, "--images", 31), 2) == [
        "--images 31 is more than the test part has",
        "the test part has rows 0 to 29",
        "name rows within it, or another --part",
    ]
