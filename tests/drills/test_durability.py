"""Saves that are cut short, damaged checkpoints, and controls that must fail."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.drills import careless, corruptions
from tests.drills.power_cuts import survives_every_cut, volatile


def test_a_save_cut_anywhere_leaves_nothing_broken(tmp_path: Path):
    assert survives_every_cut(tmp_path)


def test_a_writer_that_does_not_rename_is_detected(tmp_path: Path):
    with careless.in_place():
        assert not survives_every_cut(tmp_path)


def test_a_saved_checkpoint_outlives_a_power_cut(tmp_path: Path):
    assert volatile(tmp_path) == []


@pytest.mark.parametrize("writer", [careless.unsynced_files, careless.unsynced_folders])
def test_a_writer_that_does_not_sync_is_detected(
    tmp_path: Path, writer: Callable[[], AbstractContextManager[None]]
):
    with writer():
        assert volatile(tmp_path) != []


def test_every_corruption_is_reported_and_the_checkpoint_before_it_is_used(tmp_path: Path):
    assert corruptions.mishandled(tmp_path / "checkpoints", 200, seed=0) == [None] * 200


def test_a_reader_without_hashes_is_detected(tmp_path: Path):
    with careless.without_hashes():
        found = corruptions.mishandled(tmp_path / "checkpoints", 200, seed=0)
    assert "a flipped bit" in {str(fault).partition(" of ")[0] for fault in found}
