"""Findings about this machine, whose abilities are faked."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from elboroom import TrainConfig
from elboroom import __version__ as version
from elboroom.runs.doctor import machine
from elboroom.runs.doctor.finding import Finding

CPU = TrainConfig(device="cpu")


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quiet machine of two cores with 8 GiB free."""
    monkeypatch.setattr(machine, "product_seconds", lambda threads: 0.008 / threads)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(machine, "free_memory", lambda device: 8 << 30)
    monkeypatch.setattr(machine, "why_not_compilable", lambda device: None)


def found(folder: Path) -> dict[str, Finding]:
    return {finding.name: finding for finding in machine.check_machine(folder, CPU)}


def test_a_quiet_machine(tmp_path: Path):
    findings = found(tmp_path / "runs" / "none" / "yet")
    assert [finding.level for finding in findings.values()] == ["ok"] * len(findings)
    assert findings["versions"].found.startswith(f"elboroom {version}, Python 3.")
    assert f", PyTorch {torch.__version__}, NumPy " in findings["versions"].found
    assert findings["device"].found == "cpu, as requested"
    assert "float" in findings["matrix products"].found
    assert findings["threads"].found.startswith("2, or 1 while that is faster")
    assert findings["cores"].found == (
        "a product of 1,024 × 1,024 matrices takes 4.0 ms with 2 threads and 8.0 ms with one"
    )
    assert findings["compiler"].found == "networks can be compiled for cpu"
    assert findings["memory"].found == "8.0 GiB of cpu memory are free"
    assert findings["disk"].found.endswith(f" GiB are free at {tmp_path}")
    assert findings["writing"].found == f"files can be written at {tmp_path}"
    assert list(tmp_path.iterdir()) == []


def test_a_core_that_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(machine, "product_seconds", {1: 0.008, 2: 0.05}.get)
    cores = found(tmp_path)["cores"]
    assert cores.level == "note"
    assert cores.found.endswith(
        "takes 50.0 ms with 2 threads and 8.0 ms with one, as if another process uses a core"
    )


def test_a_single_thread_is_timed_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    cores = found(tmp_path)["cores"]
    assert cores.level == "ok"
    assert cores.found.endswith("takes 8.0 ms with the only thread")


def test_a_machine_without_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        machine, "why_not_compilable", lambda device: "no C++ compiler is found: g++"
    )
    compiler = found(tmp_path)["compiler"]
    assert (compiler.level, compiler.found) == (
        "note",
        "networks run without compilation: no C++ compiler is found: g++",
    )


def test_a_system_that_does_not_report_its_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(machine, "free_memory", lambda device: None)
    assert found(tmp_path)["memory"].fix == "give --batch-size a number"


@pytest.mark.parametrize(("free", "level"), [((1 << 30) - 1, "note"), (1 << 30, "ok")])
def test_a_disk_with_little_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, level: str
):
    usage = SimpleNamespace(free=free)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda place: usage)
    assert found(tmp_path)["disk"].level == level


def test_a_place_where_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(dir: Path) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(machine, "TemporaryFile", refuse)
    writing = found(tmp_path)["writing"]
    assert (writing.level, writing.fix) == ("note", "give an --out where you may write")
    assert writing.found.endswith(f"written at {tmp_path}: [Errno 30] Read-only file system")
