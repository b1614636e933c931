"""The store of an attempt, where torchrun keeps that of the attempts before."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from torch.distributed import FileStore, HashStore

from elboroom.device import meeting

SIZE, PATIENCE = 3, timedelta(seconds=30)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileStore:
    """A store of an attempt whose processes are gone, which every process is given."""
    path = str(tmp_path / "store")

    def rendezvous(url: str, rank: int, size: int, **_: Any) -> Iterator[Any]:
        yield FileStore(path, -1), rank, size

    monkeypatch.setattr(meeting, "rendezvous", rendezvous)
    store = FileStore(path, -1)
    store.set("name of 1", "gone")
    store.set("token for gone", "stale")
    return store


def attempt(rank: int) -> tuple[bool, str]:
    """Whether this process finds an address of an earlier attempt; and that which all use now."""
    own = meeting.fresh_store(rank, SIZE, PATIENCE)
    stale = own.check(["address"])
    if own.add("arrived", 1) == SIZE:
        own.set("address", f"of {rank}")
    return stale, own.get("address").decode()


def test_each_attempt_has_a_store_of_its_own(kept: FileStore):
    for _ in range(3):
        with ThreadPoolExecutor(SIZE) as pool:
            found = list(pool.map(attempt, range(SIZE)))
        assert not any(stale for stale, _ in found)
        assert len({address for _, address in found}) == 1


def test_a_store_that_is_kept_would_mislead(kept: FileStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(meeting, "fresh_store", lambda *_: kept)
    kept.set("address", "of the last attempt")
    assert attempt(0) == (True, "of the last attempt")


def test_nobody_waits_for_ever_for_processes_that_do_not_come(monkeypatch: pytest.MonkeyPatch):
    store = HashStore()
    monkeypatch.setattr(meeting, "rendezvous", lambda *_, **__: iter([(store, 0, 2)]))
    with pytest.raises(RuntimeError, match="Connection to 1 other processes failed"):
        meeting.fresh_store(0, 2, timedelta(seconds=0.1))
