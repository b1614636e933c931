import os
from typing import Any

import pytest
import torch

from elboroom.device import ALONE, World, joined, world
from elboroom.device.ranks import lost_ranks
from elboroom.errors import UsageError, WorldError
from tests.support.ranks import found_by_ranks

SIZE = 3


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    return found_by_ranks(SIZE, tmp_path_factory.mktemp("ranks"), "tests.device.ranks_that_talk")


@pytest.mark.parametrize("count", [0, 1, 2, 7, 12])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_the_parts_of_all_ranks_are_the_whole_in_order(count: int, size: int):
    items = range(count)
    parts = [World(rank, size).own(items) for rank in range(size)]
    assert [item for part in parts for item in part] == list(items)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert not count or len(parts[0])


def test_all_ranks_get_the_same(found: list[Any]):
    first, *others = ({k: v for k, v in rank.items() if k != "gathered"} for rank in found)
    assert all(other == first for other in others)


def test_ranks_sum_agree_and_tell(found: list[Any]):
    rank = found[1]
    assert rank["sum"] == [3.0, 3.0]
    assert rank["any"] == [True, False]
    assert rank["least"] == 3
    assert rank["first text"] == ["r1", ""]
    assert rank["bytes"] == list(b"abc")
    assert rank["bytes of the last"] == "2"
    assert rank["taken"] == [0.0]


def test_parts_of_all_ranks_are_gathered_in_order(found: list[Any]):
    names = ["z", "by", "a"]
    whole = [[*names, f"Ω{r}", [10 * r, 10 * r + 1]] for r in (1, 2, 2)]
    assert found[0]["gathered"] == found[2]["spread"] == whole
    assert found[1]["gathered"] == found[2]["gathered"] == []


def test_the_processes_of_a_machine_share_its_cores(found: list[Any]):
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    assert [rank["threads"] for rank in found] == [max(1, cores // SIZE)] * SIZE


def test_a_process_alone_has_a_world_of_its_own():
    part = {"x": torch.ones(2)}
    with joined() as here:
        assert here == world() == ALONE
    assert here.sum(part["x"]).tolist() == [1, 1]
    assert here.gather([part]) == here.spread([part]) == [part]
    assert (here.any(True), here.least(3), here.first_text("a"), here.bytes_of(b"b")) == (
        *(True, 3),
        *("a", b"b"),
    )


def test_more_processes_than_cards_are_refused(monkeypatch: pytest.MonkeyPatch):
    for name, value in {"WORLD_SIZE": "4", "RANK": "2", "LOCAL_RANK": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with (
        pytest.raises(UsageError, match="at least 3 processes here, and there are 2 cards"),
        joined(),
    ):
        pass


def test_only_errors_of_connections_tell_of_a_lost_rank():
    lost = "[gloo/transport/tcp/pair.cc:5] Connection closed by peer [::1]. Check"
    for kind, message in ((WorldError, lost), (RuntimeError, "sizes do not match")):
        with pytest.raises(kind) as caught, lost_ranks(World(1, 4)):
            raise RuntimeError(message)
        assert (kind is WorldError) == ("another of the 4 processes was lost" in str(caught.value))
