import shutil
import subprocess
import warnings
from pathlib import Path

import pytest
import torch

from elboroom import TrainConfig
from elboroom.runs import environment as module
from elboroom.runs.environment import environment, warn_of_changes


def test_it_has_the_versions_and_what_auto_means_here():
    found = environment(TrainConfig(threads=3, device="cpu", precision="fp32"))
    assert found["torch"] == torch.__version__
    assert (found["threads"], found["device"], found["precision"]) == (3, "cpu", "float32")
    assert environment(TrainConfig())["threads"] == torch.get_num_threads()


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_revision_is_of_the_repository_that_elboroom_is_part_of_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e"]
        return subprocess.check_output([*command, *arguments], text=True).strip()

    source = tmp_path / ".venv" / "elboroom" / "environment.py"
    source.parent.mkdir(parents=True)
    source.touch()
    monkeypatch.setattr(module, "__file__", str(source))
    git("init", "--quiet")
    git("commit", "--quiet", "--allow-empty", "--message", "of somebody else")
    assert "revision" not in environment(TrainConfig())
    git("add", "--force", str(source))
    git("commit", "--quiet", "--message", "of elboroom")
    assert environment(TrainConfig())["revision"] == git("rev-parse", "HEAD")


def test_where_nothing_changed_nothing_is_said():
    config = TrainConfig(device="cpu")
    warn_of_changes(Path("run"), environment(config), config)
    warn_of_changes(Path("run"), {}, config)  # a config without versions


@pytest.mark.parametrize("name", ["python", "numpy", "platform", "threads", "revision"])
def test_what_does_not_decide_how_numbers_round_may_change(name: str):
    config = TrainConfig(device="cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_changes(Path("run"), environment(config) | {name: "another"}, config)


@pytest.mark.parametrize("name", ["elboroom", "torch", "device", "precision"])
def test_another_version_device_or_precision_is_told(name: str):
    config = TrainConfig(device="cpu")
    now = environment(config)
    told = f"^run was started with {name} 0.5, now {now[name]}: training resumes from the same"
    with pytest.warns(UserWarning, match=told.replace("+", r"\+")):
        warn_of_changes(Path("run"), now | {name: "0.5"}, config)
