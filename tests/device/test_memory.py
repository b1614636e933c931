import os
import re
import resource
import sys
from pathlib import Path

import pytest
import torch

from elboroom.device import free_memory, memory, require_room
from elboroom.errors import UsageError


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux tells what is available")
def test_free_memory_is_what_linux_says_is_available():
    kibibytes = re.search(r"MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text())
    assert kibibytes is not None
    free = free_memory(CPU)
    assert free is not None
    assert 0 < free <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert free < 1.5 * 1024 * int(kibibytes[1])


CPU = torch.device("cpu")


def test_a_container_leaves_its_limit_less_what_it_uses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("700000\n")
    (tmp_path / "memory.stat").write_text("anon 500000\ninactive_file 200000\n")
    monkeypatch.setattr(memory, "_GROUP", tmp_path)
    assert free_memory(CPU) == 1_000_000 - (700_000 - 200_000)  # what was only read can go


def test_a_container_without_a_limit_leaves_what_the_system_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(memory, "_free_of_system", lambda: 5_000)
    monkeypatch.setattr(memory, "_GROUP", tmp_path)
    assert free_memory(CPU) == 5_000
    (tmp_path / "memory.max").write_text("max\n")
    assert free_memory(CPU) == 5_000


def test_free_memory_of_a_card_is_the_cards(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (3_000, 9_000))
    assert free_memory(torch.device("cuda")) == 3_000


def test_a_system_that_does_not_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory, "_free_of_system", lambda: None)
    monkeypatch.setattr(memory, "_GROUP", tmp_path)
    assert free_memory(CPU) is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems count otherwise")
def test_a_limit_of_addresses_leaves_what_is_not_in_use(monkeypatch: pytest.MonkeyPatch):
    before = free_memory(CPU)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    limits = used + (100 << 20), resource.RLIM_INFINITY
    monkeypatch.setattr(resource, "getrlimit", lambda kind: limits)
    free = free_memory(CPU)
    assert before is not None
    assert free is not None
    assert (50 << 20) < free <= min(before, 100 << 20)
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (1 << 20, 1 << 20))
    assert free_memory(CPU) == 0


def test_what_must_be_held_is_compared_with_what_is_free(monkeypatch: pytest.MonkeyPatch):
    like = torch.empty(0, dtype=torch.float64)
    monkeypatch.setattr(memory, "free_memory", lambda device: 800 << 20)
    require_room((100, 1 << 20), like, k=100)
    said = "k = 101: at least 808.0 MiB of memory is needed, and 800.0 MiB is free"
    with pytest.raises(UsageError, match=said) as error:
        require_room((101, 1 << 20), like, k=101)
    assert "101 × 1,048,576 numbers of 8 bytes" in str(error.value)
    monkeypatch.setattr(memory, "free_memory", lambda device: None)
    require_room((1 << 60,), like, k=1 << 60)
