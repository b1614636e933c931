"""Ranks of a real torchrun each read their share of the shards, and find what one process does."""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.ranks import found_by_ranks
from tests.support.repository import ROOT

MODULE = "tests.data.ranks"
RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(90, 5)).astype("f4")
ROWS[::9, 2], ROWS[3::8, 1], ROWS[:, 4] = np.nan, -999, np.arange(90)
SHARES = [{0, 1, 2}, {3, 4}, {5, 6}]  # of seven shards among three ranks


def shards(folder: Path, rows: np.ndarray = ROWS, count: int = 7) -> Path:
    folder.mkdir()
    for number, part in enumerate(np.array_split(rows, count)):
        np.save(folder / f"{number}.npy", part)
    return folder


def pictures() -> np.ndarray:
    """Pictures whose second channel never varies, and whose third does between shares alone."""
    images = RNG.integers(0, 256, (42, 3, 6, 6), dtype=np.uint8)
    images[:, 1], images[:, 2] = 7, 0
    images[28:, 2] = 255
    return images


def infinite() -> np.ndarray:
    rows = ROWS.copy()
    rows[80, 3] = np.inf
    return rows


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("sources")
    made = {
        "seven": shards(folder / "seven"),
        "two": shards(folder / "two", count=2),
        "pictures": shards(folder / "pictures", pictures(), count=3),
        "infinite": shards(folder / "infinite", infinite()),
        "cut": shards(folder / "cut"),
    }
    cut = made["cut"] / "5.npy"
    cut.write_bytes(cut.read_bytes()[:-1])
    return {name: str(path) for name, path in made.items()}


@pytest.fixture(scope="module")
def ranks(sources: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What each of three ranks found in each source."""
    return found_by_ranks(3, tmp_path_factory.mktemp("ranks"), MODULE, *sources.values())


@pytest.fixture(scope="module")
def alone(sources: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What one process found."""
    out = tmp_path_factory.mktemp("alone")
    line = [sys.executable, "-m", MODULE, str(out), *sources.values()]
    subprocess.run(line, cwd=ROOT, check=True, timeout=120)
    return json.loads((out / "0.json").read_text())


def opened(ranks: Iterable[Any], source: str) -> list[set[int]]:
    """The shards that each rank opened."""
    return [{int(n.removesuffix(".npy")) for n in rank[source]["opened"]} for rank in ranks]


@pytest.mark.parametrize("name", ["seven", "two", "pictures"])
def test_each_rank_finds_what_one_process_finds(ranks, alone, sources, name: str):
    source = sources[name]
    for rank in ranks:
        for key in ("identity", "range", "notes"):
            assert rank[source][key] == alone[source][key]
        assert rank[source]["weights"] == ranks[0][source]["weights"]
        for tensor, values in alone[source]["weights"].items():  # sums of rows within rounding
            np.testing.assert_allclose(
                rank[source]["weights"][tensor], values, rtol=1e-6, atol=1e-7
            )


def test_one_process_sees_all(alone, sources):
    assert opened([alone], sources["seven"]) == [set(range(7))]
    assert len(alone[sources["seven"]]["notes"]) == 2
    notes = alone[sources["pictures"]]["notes"]
    assert [note[:22] for note in notes] == ["channel 1 never varies"]


def test_each_rank_opens_its_share_alone(ranks, sources):
    assert opened(ranks, sources["seven"]) == SHARES
    assert opened(ranks, sources["pictures"]) == [{0}, {1}, {2}]


def test_more_ranks_than_shards_have_empty_shares(ranks, sources):
    assert sorted(map(sorted, opened(ranks, sources["two"]))) == [[], [0], [1]]


def test_a_rank_that_reads_all_is_found_out(ranks):
    assert opened(ranks, "planted") == [set(range(7))] * 3


@pytest.mark.parametrize(
    ("name", "word"), [("cut", "5.npy"), ("in memory", "5.npy"), ("infinite", "infinity")]
)
def test_an_error_of_one_rank_is_that_of_all(ranks, sources, name: str, word: str):
    errors = {rank[sources.get(name, name)]["error"] for rank in ranks}
    assert len(errors) == 1
    assert word in errors.pop()
