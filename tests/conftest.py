import gc
import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings

from elboroom import Dataset, load_mnist
from elboroom.cli.main import main
from tests.support.command import Command, Outcome
from tests.support.json_schemas import require_schema, written_evaluation
from tests.support.small_run import small_options, write_digits

settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect without a search for garbage, which never looks again at what is imported here."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Run functions that would be compiled as they were traced, and note their graphs."""
    found = list[Any]()

    def uncompiled(graph: Any, inputs: list[Any]) -> Any:
        assert not graph.state_dict()  # of two tensors with one storage, one would be written back
        found.append(graph)
        return graph

    monkeypatch.setattr("elboroom.device.graph.compiled", uncompiled)
    return found


@pytest.fixture(scope="session")
def mnist() -> Dataset:
    """Load MNIST, thresholded, in its standard split."""
    return load_mnist()


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_digits(tmp_path_factory.mktemp("data") / "digits.npz")


@pytest.fixture(scope="session")
def shell() -> Command:
    """Run the command line in a process of its own, through its real entry point."""

    def run(*arguments: object) -> Outcome:
        words = [str(argument) for argument in arguments]
        line, before = [sys.executable, "-m", "elboroom", *words], written_evaluation(words)
        done = subprocess.run(line, capture_output=True, text=True, env=os.environ, check=False)
        outcome = Outcome(done.returncode, done.stdout, done.stderr)
        require_schema(words, outcome, before)
        return outcome

    return run


@pytest.fixture
def elboroom(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command line in this process, where PyTorch is already imported."""

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        words = [str(argument) for argument in arguments]
        before = written_evaluation(words)
        with pytest.raises(SystemExit) as exit_:
            main(words)
        code: Any = exit_.value.code
        printed = capsys.readouterr()
        outcome = Outcome(code, printed.out, printed.err)
        require_schema(words, outcome, before)
        return outcome

    return run


@pytest.fixture(scope="session")
def small(digits: Path) -> list[str]:
    return small_options(digits)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, small: list[str]) -> Path:
    """Train a run that no test changes: two epochs of six steps on `digits`, 16 hidden units."""
    path = tmp_path_factory.mktemp("runs") / "trained"
    with pytest.raises(SystemExit) as exit_, redirect_stderr(StringIO()) as err:
        main(["train", *small, "--out", str(path)])
    assert exit_.value.code == 0, err.getvalue()
    return path


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """Copy the trained run, for a test that changes it."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.fixture
def deep(tmp_path: Path, elboroom: Command, small: list[str]) -> Path:
    """Train a run with three latents."""
    path = tmp_path / "deep"
    options = [*small, "--latents", "3", "--epochs", "1", "--quiet"]
    assert elboroom("train", *options, "--out", path) == (0, "", "")
    return path
