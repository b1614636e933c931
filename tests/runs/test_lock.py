import os
from pathlib import Path

import pytest

from elboroom.errors import RunError
from elboroom.runs.lock import locked


def test_a_lock_that_is_held_is_refused_and_its_holder_named(tmp_path: Path):
    host = os.uname().nodename
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
