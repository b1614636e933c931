"""Golden runs load and resume, and this version still writes their format."""

import shutil
from pathlib import Path

import pytest

from elboroom import __version__
from tests.support import golden_runs
from tests.support.golden_runs import FOLDER, GOLDEN, faults, layout, make


def test_this_version_has_a_golden_run():
    assert __version__ in GOLDEN, "python -m tests.support.golden_runs"


@pytest.mark.parametrize("version", GOLDEN)
def test_a_golden_run_loads_and_goes_on(version: str, tmp_path: Path):
    assert faults(version, tmp_path / version) == []


def test_a_run_without_a_list_of_its_results_loads_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    listed = faults(__version__, tmp_path / "listed")
    golden = Path(shutil.copytree(FOLDER, tmp_path / "golden"))
    (golden / __version__ / "run" / "results.json").unlink()
    monkeypatch.setattr(golden_runs, "FOLDER", golden)
    assert faults(__version__, tmp_path / "unlisted") == listed


def test_this_version_writes_what_it_released(tmp_path: Path):
    make(tmp_path / "now")
    assert layout(tmp_path / "now") == layout(FOLDER / __version__)


@pytest.mark.parametrize(
    ("file", "old", "new", "wrong"),
    [
        ("expected.json", '"newest": "', '"newest": "0', "other weights"),
        ("expected.json", '"epoch": 2', '"epoch": 9', "another history"),
        ("expected.json", '"step": 30', '"step": 31', "another end"),
        ("run/evaluation.json", '"mean": -1', '"mean": -2', "an ELBO"),
        ("run/metrics.jsonl", '"epoch": 2', '"epoch": 3', "metrics.jsonl"),
    ],
)
def test_what_is_read_otherwise_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, old: str, new: str, wrong: str
):
    changed = Path(shutil.copytree(FOLDER, tmp_path / "golden")) / __version__ / file
    assert old in changed.read_text()
    changed.write_text(changed.read_text().replace(old, new, 1))
    monkeypatch.setattr(golden_runs, "FOLDER", tmp_path / "golden")
    found = faults(__version__, tmp_path / "run")
    assert [f for f in found if wrong in f], found
