"""Exported files: read as others read them, and compared with the model."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from elboroom import VAE, ModelConfig
from elboroom.errors import UsageError
from elboroom.exports import NetworkExport, export_onnx, export_torch, onnx_file
from elboroom.exports.coder import Coder, coders, portable
from elboroom.exports.network_export import _export, _File
from elboroom.exports.onnx_file import OnnxRuntime
from elboroom.exports.parity import SIZES, TOLERANCE, parity
from elboroom.exports.torch_program import torch_program
from elboroom.model.fingerprint import fingerprint
from elboroom.model.partial_encoder import PartialEncoder
from elboroom.randomness import stream
from tests.support.exported_models import MODELS, exported_model
from tests.support.own_networks import OwnDecoder, OwnEncoder

OTHER_SIZES = (1, 1), (3, 4), (4, 1)
Run = Callable[..., dict[str, Tensor]]


def onnx_runner(folder: Path, name: str) -> Run:
    path = str(folder / f"{name}.onnx")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]

    def run(**inputs: Tensor) -> dict[str, Tensor]:
        found = session.run(None, {name: value.numpy() for name, value in inputs.items()})
        return dict(zip(names, map(torch.as_tensor, found), strict=True))

    return run


def torch_runner(folder: Path, name: str) -> Run:
    return torch.export.load(folder / f"{name}.pt2").module()


def require_alike(model: VAE, folder: Path, runner: Callable[[Path, str], Run]) -> None:
    for coder in coders(portable(model)):
        run = runner(folder, coder.name)
        for sizes in OTHER_SIZES:
            inputs = coder.draw(*sizes)
            found, expected = run(**inputs), coder.module(**inputs)
            assert [*found] == [*expected]
            for name, value in expected.items():
                size = value.abs().max().clamp(min=1.0).item()
                torch.testing.assert_close(found[name], value, rtol=0, atol=TOLERANCE * size)


@pytest.fixture(scope="module")
def mlp(tmp_path_factory: pytest.TempPathFactory) -> tuple[VAE, NetworkExport]:
    model = exported_model("mlp", prior="mixture", components=3)
    return model, export_onnx(model, tmp_path_factory.mktemp("onnx") / "mlp")


def test_onnx_is_read_by_onnxruntime(mlp: tuple[VAE, NetworkExport]):
    model, found = mlp
    assert [file.name for file in found.files] == ["encoder.onnx", "decoder.onnx", "model.json"]
    assert found.checked_by == f"onnxruntime {onnxruntime.__version__}"
    assert 0 < found.difference < TOLERANCE
    require_alike(model, found.files[0].parent, onnx_runner)


def test_the_axes_of_onnx_have_names(mlp: tuple[VAE, NetworkExport]):
    def shapes(values: Any) -> dict[str, list[int | str]]:
        dims = {each.name: each.type.tensor_type.shape.dim for each in values}
        return {n: [d.dim_param or d.dim_value for d in each] for n, each in dims.items()}

    described = json.loads(mlp[1].files[-1].read_text())["networks"]
    for name in ("encoder", "decoder"):
        graph = onnx.load(mlp[1].files[0].with_name(f"{name}.onnx")).graph
        for kind, values in (("inputs", graph.input), ("outputs", graph.output)):
            stated = {each["name"]: each["shape"] for each in described[name][kind]}
            assert shapes(values) == stated
    assert stated["logits"] == ["samples", "batch", 1, 6, 7]


def test_the_graph_draws_nothing_and_names_its_model(mlp: tuple[VAE, NetworkExport]):
    for file in mlp[1].files[:2]:
        proto = onnx.load(file)
        onnx.checker.check_model(proto, full_check=True)
        assert not [node for node in proto.graph.node if "Random" in node.op_type]
        types = {each.data_type for each in proto.graph.initializer}
        assert onnx.TensorProto.BFLOAT16 not in types
        notes = {each.key: each.value for each in proto.metadata_props}
        assert notes["elboroom_fingerprint"] == fingerprint(mlp[0])


def test_the_description_has_the_numbers_of_the_prior(mlp: tuple[VAE, NetworkExport]):
    model, found = mlp
    described = json.loads(found.files[-1].read_text())
    prior = described["prior"]
    log_weights, parts = model.prior.components()
    torch.testing.assert_close(torch.tensor(prior["log_weights"]), log_weights.detach())
    torch.testing.assert_close(torch.tensor(prior["means"]), parts.location.detach())
    torch.testing.assert_close(torch.tensor(prior["log_stds"]), parts.log_std.detach())
    assert described["networks"]["decoder"]["opset"] == 20
    assert described["posterior"]["name"] == "diagonal"


def test_programs_of_pytorch_are_read_by_pytorch(tmp_path: Path):
    model = exported_model("mlp")
    found = export_torch(model, tmp_path / "out")
    assert [file.name for file in found.files] == ["encoder.pt2", "decoder.pt2", "model.json"]
    assert found.difference == 0.0
    assert found.notes == ()
    require_alike(model, tmp_path / "out", torch_runner)


@pytest.mark.parametrize("name", ["conv", "table"])
def test_encoders_are_traced_for_any_number_of_rows(name: str):
    coder = next(coders(portable(exported_model(name))))
    program = torch_program(coder)
    assert parity(coder, program.module(), "torch") == 0.0
    assert not any("rand" in str(node.target) for node in program.graph.nodes)


@pytest.mark.full
@pytest.mark.parametrize("name", MODELS)
def test_every_model_is_exported_to_onnx(name: str, tmp_path: Path):
    model = exported_model(name)
    assert export_onnx(model, tmp_path).difference < TOLERANCE
    require_alike(model, tmp_path, onnx_runner)


@pytest.mark.full
@pytest.mark.parametrize("name", MODELS)
def test_every_model_is_exported_to_pytorch(name: str, tmp_path: Path):
    model = exported_model(name)
    assert export_torch(model, tmp_path).difference < TOLERANCE
    require_alike(model, tmp_path, torch_runner)


@pytest.mark.full
@pytest.mark.parametrize("name", ["conv", "table", "full"])
def test_without_onnxruntime_the_reference_evaluator_checks(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    without(monkeypatch, "onnxruntime")
    assert export_onnx(exported_model(name), tmp_path).checked_by.startswith("onnx.reference ")


def without(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    def find(name: str) -> Any:
        return None if name == library else importlib.util.find_spec(name)

    monkeypatch.setattr(onnx_file, "find_spec", find)


def test_the_reference_evaluator_computes_the_same(
    mlp: tuple[VAE, NetworkExport], monkeypatch: pytest.MonkeyPatch
):
    without(monkeypatch, "onnxruntime")
    _, decoder = coders(portable(mlp[0]))
    runtime = OnnxRuntime.of(mlp[1].files[1].read_bytes())
    assert runtime.name == f"onnx.reference {onnx.__version__}"
    z = decoder.draw(2, 3)
    for name, value in decoder.module(**z).items():
        torch.testing.assert_close(runtime(**z)[name], value, rtol=0, atol=1e-5)


@pytest.mark.parametrize("library", ["onnx", "onnxscript"])
def test_a_missing_library_is_named(library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    without(monkeypatch, library)
    with pytest.raises(UsageError, match=rf"needs the library {library}, .*\n.*elboroom\[onnx\]"):
        export_onnx(exported_model("mlp"), tmp_path / "out")
    assert not [*tmp_path.iterdir()]


class SplitWhenTraced(OwnDecoder):
    """A decoder whose samples are 5 when it is traced, as those of the example are."""

    def forward(self, z: Tensor) -> Tensor:
        if torch.compiler.is_compiling():
            z = z.flatten().reshape(5, -1).unflatten(-1, (-1, 2))
        return super().forward(z)


class OtherWhenTraced(OwnDecoder):
    """A decoder that computes something else when it is traced."""

    def forward(self, z: Tensor) -> Tensor:
        return super().forward(z + 1e-4 * torch.compiler.is_compiling())


class ByValue(OwnDecoder):
    """A decoder that branches by a value."""

    def forward(self, z: Tensor) -> Tensor:
        return super().forward(-z if z.sum() > 1e9 else z)


class BySize(OwnDecoder):
    """A decoder that branches by the number of rows."""

    def forward(self, z: Tensor) -> Tensor:
        return super().forward(-z if z.shape[-2] > 10_000 else z)


@pytest.mark.parametrize(
    ("decoder", "reason"),
    [
        (SplitWhenTraced, r"does not compute what the model does"),
        (OtherWhenTraced, r"its output (mean|logits) differs by \d\.\de-0[45], of 1e-05 at most"),
        (ByValue, r"PyTorch cannot trace it: \w+"),
        (BySize, r"PyTorch cannot trace it: \w+"),
    ],
)
def test_a_decoder_that_computes_otherwise_is_refused(
    decoder: type[nn.Module], reason: str, tmp_path: Path
):
    model = VAE(OwnEncoder(2), decoder(2), 2).eval()
    with pytest.raises(UsageError, match=reason):
        export_torch(model, tmp_path / "out")
    assert not [*tmp_path.iterdir()]


@pytest.mark.full
def test_own_networks_are_exported(tmp_path: Path):
    model = VAE(OwnEncoder(2), OwnDecoder(2), 2).eval()
    export_torch(model, tmp_path / "out")
    require_alike(model, tmp_path / "out", torch_runner)


def test_too_many_weights_for_onnx_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(onnx_file, "_LARGEST", 1_000)
    with pytest.raises(UsageError, match="use --to torch"):
        export_onnx(exported_model("mlp"), tmp_path / "out")


def plain(coder: Coder, mark: str) -> _File:
    return _File(f"{coder.name}.txt", mark.encode(), "nothing", 0.0, {})


@pytest.mark.parametrize(
    ("name", "files", "note"),
    [
        ("fits", 2, "the model has no encoder, so there is none: it infers z by fits"),
        ("flow prior", 3, "model.json has no density of the prior FlowPrior: draw z in elboroom"),
    ],
)
def test_what_the_files_lack_is_said(name: str, files: int, note: str, tmp_path: Path):
    found = _export(exported_model(name), tmp_path / "out", None, plain)
    assert len(found.files) == files
    assert found.notes == (note,)


def test_a_partial_encoder_is_said_to_be_left_out(tmp_path: Path):
    model, config = exported_model("mlp"), ModelConfig(latents=3, hidden=(4,))
    generator = stream(0, "weights")
    model.partial_encoder = PartialEncoder.from_config(model, config, "auto", generator=generator)
    found = _export(model, tmp_path / "out", None, plain)
    assert "partial encoder" in found.notes[0]
    assert model.partial_encoder is not None


def test_an_argument_of_another_type_is_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="model"):
        export_torch("a model", tmp_path)  # pyright: ignore[reportArgumentType]


def test_the_sizes_of_the_check_are_those_that_break_exports():
    assert {(1, 1), (2, 9), (7, 1)} == set(SIZES)
