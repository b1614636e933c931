"""Output under every encoding, into a closed pipe, and onto a full disk."""

import errno
import json
import os
import subprocess
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from elboroom.cli.main import encode, main

GREEK = "σ ≥ ± KL(q ‖ p)"
FULL = Path("/dev/full")  # every write to it fails as on a full disk


class Terminal(TextIOWrapper):
    def isatty(self) -> bool:
        return True


def written(stream: TextIOWrapper) -> bytes:
    encode(stream)
    stream.write(f"{GREEK}\n")
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, BytesIO)
    return buffer.getvalue()


@pytest.fixture(autouse=True)
def default_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONIOENCODING", raising=False)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437", "utf-8"])
def test_a_file_has_utf_8_and_plain_ends_of_lines(encoding: str):
    stream = TextIOWrapper(BytesIO(), encoding=encoding, newline="\r\n")  # as in Windows
    assert written(stream) == f"{GREEK}\n".encode()


def test_a_terminal_keeps_its_encoding_and_shows_what_that_lacks():
    stream = Terminal(BytesIO(), encoding="cp1252")
    assert written(stream).decode("cp1252") == "\\u03c3 \\u2265 ± KL(q \\u2016 p)\n"


def test_an_encoding_that_is_asked_for_is_taken(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    stream = TextIOWrapper(BytesIO(), encoding="latin-1")
    assert written(stream) == b"\\u03c3 \\u2265 \xb1 KL(q \\u2016 p)\n"


def test_json_in_a_file_is_utf_8_in_windows(monkeypatch: pytest.MonkeyPatch):
    stream = TextIOWrapper(BytesIO(), encoding="cp1252", newline="\r\n")
    monkeypatch.setattr(sys, "stdout", stream)
    with pytest.raises(SystemExit) as end:
        main(["schema", "evaluate"])
    assert end.value.code == 0
    buffer = stream.buffer
    assert isinstance(buffer, BytesIO)
    content = buffer.getvalue()
    assert b"\r" not in content
    kl = json.loads(content)["properties"]["estimates"]["properties"]["kl"]
    assert kl["description"] == "KL(q(z|x) ‖ p(z))."


def run_buffered(*words: str, stdout: int) -> subprocess.CompletedProcess[str]:
    """Run a command that writes all its output at its end, as into a file."""
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(
        [sys.executable, "-m", "elboroom", *words],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        env=plain,
        check=False,
    )


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")
def test_a_full_disk_is_an_error_without_a_traceback():
    with FULL.open("w") as full:
        done = run_buffered("version", stdout=full.fileno())
    cause = f"[Errno {errno.ENOSPC}] {os.strerror(errno.ENOSPC)}"
    lines = ["error: the output cannot be written", f"  why: {cause}"]
    assert (done.returncode, done.stderr.splitlines()[:2]) == (1, lines)


def test_a_pipe_that_nobody_reads_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    done = run_buffered("version", stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")
def test_a_full_disk_is_the_same_error_where_nothing_is_buffered():
    line = [sys.executable, "-u", "-m", "elboroom", "version"]
    with FULL.open("w") as full:
        done = subprocess.run(line, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: the output cannot be written\n  why: [Errno 28]")


def test_closed_streams_are_no_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    with pytest.raises(SystemExit) as end:
        main(["version"])
    assert end.value.code == 0
    for stream in (sys.stdout, sys.stderr):
        stream.close()
