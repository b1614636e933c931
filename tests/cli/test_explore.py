"""`elboroom explore`: the page is served until Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from elboroom.cli.explore import _key, _names
from tests.support.posix import ON_POSIX


@ON_POSIX
def test_the_page_is_served_until_ctrl_c(run: Path):
    line = [sys.executable, "-m", "elboroom", "explore", str(run), "--port", "0", "--no-browser"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=os.environ) as started:
        assert started.stdout is not None
        try:
            address = started.stdout.readline().removeprefix("open ").strip()
            assert address.startswith("http://127.0.0.1:")
            assert json.loads(fetched(address + "api/runs"))["runs"] == [
                {"id": "run", "name": "run"}
            ]
            assert b"<title>" in fetched(address)
            started.send_signal(signal.SIGINT)
            assert started.wait(60) == 0
        finally:
            started.kill()


def fetched(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=60) as answer:
        return answer.read()


def test_a_port_that_is_taken_is_refused_before_a_model_is_loaded(elboroom, run, monkeypatch):
    from elboroom.explorer import ExploredRun, listen

    monkeypatch.setattr(ExploredRun, "open", None)
    with listen(0) as taken:
        port = taken.getsockname()[1]
        found = elboroom("explore", run, "--port", port, "--no-browser")
    assert found.code == 2
    assert f"port {port} cannot be used" in found.err


@pytest.mark.parametrize(
    ("command", "what"),
    [
        ("explore {run}", "the explorer cannot start"),
        ("export {run} --to web --out {run}-page", "the page cannot be written"),
    ],
)
def test_a_missing_library_is_named_with_the_extra(elboroom, run, monkeypatch, command, what):
    for name in [name for name in sys.modules if name.startswith("elboroom.explorer")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    found = elboroom(*command.format(run=run).split())
    assert found.code == 2
    assert what in found.err
    assert "needs the library uvicorn" in found.err
    assert "pip install 'elboroom[explore]'" in found.err


def test_runs_of_one_name_get_different_ids(tmp_path: Path):
    assert _key(tmp_path / "a", {}) == "a"
    assert _key(tmp_path / "a", {"a"}) == "a-2"
    assert _key(tmp_path / "a", {"a", "a-2"}) == "a-3"
    assert _key(tmp_path / "über Ärger" / "b c", {}) == "b-c"
    assert _key(Path("/"), {}) == "run"


def test_runs_of_one_name_are_told_apart_by_their_folders():
    assert _names([Path("/runs/a"), Path("/runs/b")]) == ["a", "b"]
    assert _names([Path("/x/a/run"), Path("/x/b/run"), Path("/x/c")]) == ["a/run", "b/run", "c"]
    assert _names([Path("/x/run"), Path("/x/run")]) == ["run", "run"]
    assert _names([Path("/run"), Path("/x/run")]) == ["//run", "x/run"]
