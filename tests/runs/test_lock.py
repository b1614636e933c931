import ctypes
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from elboroom.errors import RunError
from elboroom.runs import lock
from elboroom.runs.lock import is_held, locked


def test_a_lock_that_is_held_is_refused_and_its_holder_named(tmp_path: Path):
    host = socket.gethostname()
    with locked(tmp_path), pytest.raises(RunError) as error, locked(tmp_path):
        pass
    assert str(error.value) == (
        f"{tmp_path} is being trained\n"
        f"  why: process {os.getpid()} on {host} holds its lock\n"
        "  fix: wait until that ends, or stop it; commands that only read the run need no lock"
    )


def test_a_holder_that_has_not_said_who_it_is_is_another_process(tmp_path: Path):
    with locked(tmp_path):
        (tmp_path / ".lock-holder").unlink()
        with pytest.raises(RunError, match="why: another process holds its lock"), locked(tmp_path):
            pass


@pytest.mark.parametrize("error", [None, ValueError])
def test_afterwards_it_can_be_held_again(tmp_path: Path, error: type[Exception] | None):
    try:
        with locked(tmp_path):
            if error is not None:
                raise error
    except ValueError:
        pass
    with locked(tmp_path):
        assert (tmp_path / ".lock-holder").read_text().startswith(f"process {os.getpid()} on ")
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_what_a_killed_holder_left_locks_nothing(tmp_path: Path):
    for name in (".lock", ".lock-holder"):
        (tmp_path / name).write_text("process 1 on nowhere")
    with locked(tmp_path):
        pass


def test_a_folder_that_cannot_be_written_cannot_be_locked(tmp_path: Path):
    (tmp_path / "file").touch()
    why = r"file cannot be locked\n  why: .+\n  fix: train where you may write"
    with pytest.raises(RunError, match=why), locked(tmp_path / "file"):
        pass


def test_a_disk_that_turns_read_only_hides_no_error_and_frees_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    def fail() -> None:
        with locked(tmp_path):
            patch.setattr(Path, "unlink", refuse)
            raise ZeroDivisionError

    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        fail()
    with locked(tmp_path):
        pass


def test_a_run_is_held_while_its_process_runs(tmp_path: Path):
    assert not is_held(tmp_path)
    with locked(tmp_path):
        assert is_held(tmp_path)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / ".lock-holder").write_text(f"process {ended.pid} on {socket.gethostname()}")
    assert not is_held(tmp_path)


@pytest.mark.parametrize(
    ("handle", "waited", "error", "runs"),
    [(7, 0x102, 0, True), (7, 0, 0, False), (None, 0, 5, True), (None, 0, 87, False)],
)
def test_windows_is_asked_for_a_process_without_a_signal(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    handle: int | None,
    waited: int,
    error: int,
    runs: bool,
):
    closed = list[Any]()

    def opened(*_: Any) -> int | None:
        return handle

    system = SimpleNamespace(
        OpenProcess=opened,
        WaitForSingleObject=lambda handle, milliseconds: waited,
        CloseHandle=closed.append,
    )
    (tmp_path / ".lock-holder").write_text(f"process 1234 on {socket.gethostname()}")
    monkeypatch.setattr(ctypes, "WinDLL", lambda *_, **__: system, raising=False)
    monkeypatch.setattr(ctypes, "get_last_error", lambda: error, raising=False)
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("a signal is sent"))
    monkeypatch.setattr(lock, "_IS_WINDOWS", True)
    assert is_held(tmp_path) is runs
    assert [one.value for one in closed] == ([handle] if handle else [])
