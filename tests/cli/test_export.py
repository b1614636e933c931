"""`elboroom export --to onnx|torch`: files for programs without elboroom."""

import json
from pathlib import Path

import pytest

from elboroom.config import ExportConfig
from elboroom.errors import UsageError
from elboroom.exports import export_torch, onnx_file
from elboroom.model.fingerprint import fingerprint
from elboroom.runs.run import Run
from tests.support.command import Command

ALLOWED = "at most; 1e-05 is allowed"


def test_torch_writes_two_programs_and_their_description(
    elboroom: Command, trained: Path, tmp_path: Path
):
    out = tmp_path / "deep" / "out"
    found = elboroom("export", trained, "--to", "torch", "--out", out)
    assert found.code == 0, found.err
    *files, checked = found.out.splitlines()
    assert files == [str(out / name) for name in ("encoder.pt2", "decoder.pt2", "model.json")]
    assert checked.startswith("checked by torch 2.")
    assert checked.endswith(f"outputs differ by 0.0e+00 {ALLOWED}")
    assert found.err == ""
    described = json.loads((out / "model.json").read_text())
    assert described["fingerprint"] == fingerprint(Run(trained).load_model())
    assert described["options"]["hidden"] == [16]


def test_the_columns_of_another_run_describe_no_model(trained: Path, tmp_path: Path):
    run = Run(trained)
    model = run.load_model()
    next(iter(model.parameters())).data += 1
    with pytest.raises(UsageError, match="this model is not that of"):
        export_torch(model, tmp_path / "out", run=run)
    assert not (tmp_path / "out").exists()


@pytest.mark.full
def test_onnx_is_written_and_checked(elboroom: Command, trained: Path, tmp_path: Path):
    found = elboroom("export", trained, "--to", "onnx", "--out", tmp_path / "out")
    assert found.code == 0, found.err
    *files, checked = found.out.splitlines()
    assert [Path(file).name for file in files] == ["encoder.onnx", "decoder.onnx", "model.json"]
    assert checked.startswith("checked by onnxruntime 1.")
    assert checked.endswith(ALLOWED)
    assert found.err == ""


def test_onnx_needs_its_extra(
    elboroom: Command, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(onnx_file, "find_spec", lambda name: None)
    found = elboroom("export", trained, "--to", "onnx", "--out", tmp_path / "out")
    assert found.code == 2
    assert "ONNX cannot be written" in found.err
    assert "pip install 'elboroom[onnx]'" in found.err
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("to", ["onnx", "torch"])
def test_files_of_something_else_are_not_replaced(
    elboroom: Command, trained: Path, tmp_path: Path, to: str
):
    (tmp_path / "letter").write_text("dear")
    found = elboroom("export", trained, "--to", to, "--out", tmp_path)
    assert found.code == 2
    assert "is in the way" in found.err
    assert [path.name for path in tmp_path.iterdir()] == ["letter"]


@pytest.mark.parametrize("to", ["onnx", "torch"])
def test_data_have_no_use_but_for_the_web(elboroom: Command, trained: Path, to: str):
    found = elboroom("export", trained, "--to", to, "--out", "out", "--data", "mnist")
    assert found.code == 2
    assert f"data must be left out for {to}, which needs no data" in found.err


def test_another_form_is_refused():
    with pytest.raises(UsageError, match=r"--to pickle cannot be used\n.*'onnx'"):
        ExportConfig(to="pickle", out=Path("out"))  # pyright: ignore[reportArgumentType]
