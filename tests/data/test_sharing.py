"""Ranks of a real torchrun each read their share of the shards, and find what one process does."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.repository import ROOT

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(90, 5)).astype("f4")
ROWS[::9, 2], ROWS[3::8, 1], ROWS[:, 4] = np.nan, -999, np.arange(90)


def shards(folder: Path, rows: np.ndarray = ROWS, count: int = 7) -> Path:
    folder.mkdir()
    for number, part in enumerate(np.array_split(rows, count)):
        np.save(folder / f"{number}.npy", part)
    return folder


def ranks(size: int, source: Path, out: Path, *words: str, memory: float = 0) -> list[Any]:
    """Load in so many processes; return what each of them wrote."""
    out.mkdir()
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(size)]
    words = ("-m", "tests.data.ranks", str(source), str(out), str(memory), *words)
    command = [sys.executable, *(launch if size > 1 else []), *words]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return [json.loads((out / f"{rank}.json").read_text()) for rank in range(size)]


def numbers(rank: Any) -> set[int]:
    return {int(name.removesuffix(".npy")) for name in rank["opened"]}


def require_shares(found: list[Any]) -> None:
    """Check that each rank opened its part of seven shards, and none another's."""
    assert [numbers(rank) for rank in found] == [{0, 1, 2, 3}, {4, 5, 6}]


def same(found: Any, alone: Any) -> None:
    """Check that a rank found what one process does; sums of rows within rounding."""
    for key in ("identity", "range", "notes"):
        assert found[key] == alone[key]
    for name, values in alone["weights"].items():
        np.testing.assert_allclose(found["weights"][name], values, rtol=1e-6, atol=1e-7)


def test_each_rank_opens_its_share_and_knows_all(tmp_path: Path):
    source = shards(tmp_path / "shards")
    found = ranks(2, source, tmp_path / "two")
    require_shares(found)
    (alone,) = ranks(1, source, tmp_path / "one")
    assert numbers(alone) == set(range(7))
    assert len(alone["notes"]) == 2
    assert found[0]["weights"] == found[1]["weights"]
    for rank in found:
        same(rank, alone)


def test_a_rank_that_reads_all_is_found_out(tmp_path: Path):
    found = ranks(2, shards(tmp_path / "shards"), tmp_path / "two", "planted")
    with pytest.raises(AssertionError):
        require_shares(found)


def test_more_ranks_than_shards_have_empty_shares(tmp_path: Path):
    source = shards(tmp_path / "shards", count=2)
    found = ranks(3, source, tmp_path / "three")
    (alone,) = ranks(1, source, tmp_path / "one")
    assert sorted(number for rank in found for number in numbers(rank)) == [0, 1]
    for rank in found:
        same(rank, alone)


def test_channels_of_pictures_are_compared_across_ranks(tmp_path: Path):
    """The second channel never varies, the third between the shares of two ranks alone."""
    images = RNG.integers(0, 256, (40, 3, 6, 6), dtype=np.uint8)
    images[:, 1], images[:, 2] = 7, 0
    images[20:, 2] = 255
    source = shards(tmp_path / "shards", images, count=2)
    found = ranks(2, source, tmp_path / "two")
    (alone,) = ranks(1, source, tmp_path / "one")
    assert [numbers(rank) for rank in found] == [{0}, {1}]
    assert [note[:22] for note in alone["notes"]] == ["channel 1 never varies"]
    for rank in found:
        same(rank, alone)


@pytest.mark.parametrize("memory", [0.0, 2.0])
def test_an_error_of_one_rank_is_that_of_all(tmp_path: Path, memory: float):
    source = shards(tmp_path / "shards")
    (source / "5.npy").write_bytes((source / "5.npy").read_bytes()[:-1])
    found = ranks(2, source, tmp_path / "two", memory=memory)
    assert found[0]["error"] == found[1]["error"]
    assert "5.npy" in found[0]["error"]


def test_infinity_in_one_share_is_refused_by_all(tmp_path: Path):
    rows = ROWS.copy()
    rows[80, 3] = np.inf
    found = ranks(2, shards(tmp_path / "shards", rows), tmp_path / "two")
    assert found[0]["error"] == found[1]["error"]
    assert "infinity" in found[0]["error"]
