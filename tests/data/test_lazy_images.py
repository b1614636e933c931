"""Images that stay on disk are those that are held in memory, bit for bit."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest
import torch

from elboroom import Config, DataConfig, Dataset, ModelConfig, TrainConfig, evaluate, load_data
from elboroom.config import BinarisationName, ObjectiveConfig
from elboroom.data import Part, source
from elboroom.data.binarisation import draw_rows
from elboroom.data.formats.registry import read_array
from elboroom.data.lazy_images import LazyImages
from elboroom.data.splits import divide
from elboroom.data.statistics import statistics_of
from elboroom.device import ALONE
from elboroom.errors import DataError
from elboroom.model.likelihoods import require_support
from elboroom.model.likelihoods.bernoulli import Bernoulli
from elboroom.randomness import stream
from elboroom.training.initial_model import new_model
from elboroom.training.loop import train
from elboroom.training.speed.cuda_graph import CudaGraphStep
from elboroom.training.speed.fast_steps import fastest_step

ROWS = 90
GREY = np.random.default_rng(0).integers(0, 256, (ROWS, 4, 5), dtype=np.uint8)
UNIT = np.random.default_rng(1).random((ROWS, 4, 5))
TORN = np.where(np.random.default_rng(2).random(UNIT.shape) < 0.3, np.nan, UNIT)
ARRAYS = {
    "bytes": GREY,
    "vectors": GREY.reshape(ROWS, -1),
    "booleans": GREY > 127,
    "integers": (GREY > 127).astype(np.int64),
    "half": UNIT.astype(np.float16),
    "single": UNIT.astype(np.float32),
    "double": UNIT,
    "big-endian": UNIT.astype(">f4"),
    "gaps": TORN.astype(np.float32),
    "channels last": np.stack([GREY] * 3, -1),
}
BINARISATIONS = get_args(BinarisationName)
Pair = tuple[Dataset, Dataset]


@pytest.fixture
def both(tmp_path: Path) -> Callable[..., Pair]:
    """Load the data of an array twice: in memory and mapped."""

    def load(array: np.ndarray, how: Any = "threshold", **options: Any) -> Pair:
        np.save(tmp_path / "my.npy", array)
        config = DataConfig(str(tmp_path / "my.npy"), how, **options)
        held, mapped = (load_data(replace(config, memory=m)) for m in (math.inf, 1e-9))
        return held, mapped

    return load


@pytest.fixture(autouse=True)
def a_few_rows_at_a_time(monkeypatch: pytest.MonkeyPatch):
    """Read even these small arrays in several chunks, the last of them short."""
    monkeypatch.setattr(source, "_VALUES_AT_ONCE", 20 * 7)


def parts(data: Dataset) -> list[Part]:
    return [p for p in (data.train, data.validation, data.test) if p is not None]


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a.dtype == b.dtype and torch.equal(a.nan_to_num(-1), b.nan_to_num(-1))


@pytest.mark.parametrize("how", BINARISATIONS)
@pytest.mark.parametrize("kind", ARRAYS)
def test_every_part_has_the_same_images(both: Callable[..., Pair], kind: str, how: str):
    held, mapped = both(ARRAYS[kind], how, validation=13)
    assert held.identity == mapped.identity
    assert held.event_shape == mapped.event_shape
    for a, b in zip(parts(held), parts(mapped), strict=True):
        assert isinstance(a.images, torch.Tensor)
        assert isinstance(b.images, LazyImages)
        index = torch.randint(len(a), (30,), generator=stream(0, "index"))
        assert same(*(p.batch(index, stream(0, "redraw")) for p in (a, b)))
        assert same(a.x, b.x)
        assert same(statistics_of(a).mean, statistics_of(b).mean)
        assert same(a.rows([5, 1, 5]).images, b.rows([5, 1, 5]).images)
        assert isinstance(b.rows([5, 1, 5]).images, torch.Tensor)
        assert a.binarisation == b.binarisation


@pytest.mark.parametrize("kind", ["bytes", "gaps"])
def test_what_is_read_from_disk_is_what_the_array_holds(both: Callable[..., Pair], kind: str):
    x = torch.from_numpy(ARRAYS[kind]).float()[:, None] / (255 if kind == "bytes" else 1)
    mapped = both(ARRAYS[kind], "static", split="standard", validation=13)[1]
    config = DataConfig("my.npy", split="standard")
    division = divide(read_array(mapped_file(mapped), DataConfig()), config)
    train_rows, test_rows = division.train.index, division.test.index
    gaps = torch.where(x.isnan(), x, 0)
    expected = [
        draw_rows(x[train_rows], np.arange(len(train_rows)), stream=0) + gaps[train_rows],
        draw_rows(x[test_rows], np.arange(len(test_rows)), stream=1) + gaps[test_rows],
    ]
    assert mapped.validation is not None
    assert same(torch.cat([mapped.train.x, mapped.validation.x]), expected[0])
    assert same(mapped.test.x, expected[1])


def test_the_mean_is_that_of_the_pixels_that_are_known(both: Callable[..., Pair]):
    torn = TORN.copy()
    torn[:, 0, 0] = np.nan
    held, mapped = both(torn.astype(np.float32), "none")
    expected = held.train.x.double().nanmean(0).float()
    assert expected.isnan().sum() == 1
    found = statistics_of(mapped.train).mean.float()
    torch.testing.assert_close(found, expected, equal_nan=True, rtol=1e-6, atol=0)


@pytest.mark.parametrize("kind", ["bytes", "gaps"])
@pytest.mark.parametrize("how", ["threshold", "static", "dynamic"])
def test_training_is_the_same_bit_for_bit(both: Callable[..., Pair], how: str, kind: str):
    held, mapped = both(ARRAYS[kind], how, validation=13)
    config = TrainConfig(epochs=3, batch_size=16, evaluate_every=1, device="cpu", precision="fp32")
    assert same(*(trained(data, config, "bernoulli") for data in (held, mapped)))
    other = trained(held, replace(config, seed=1), "bernoulli")
    assert not same(other, trained(mapped, config, "bernoulli"))


@pytest.mark.parametrize("kind", ["bytes", "gaps"])
def test_training_on_grey_levels_is_the_same_bit_for_bit(both: Callable[..., Pair], kind: str):
    held, mapped = both(ARRAYS[kind], "none", validation=13)
    config = TrainConfig(epochs=3, batch_size=16, evaluate_every=1, device="cpu", precision="fp32")
    assert same(*(trained(data, config, "gaussian") for data in (held, mapped)))


def trained(data: Dataset, config: TrainConfig, likelihood: Any) -> torch.Tensor:
    """Return all results of a training and an evaluation as one vector."""
    model_config = ModelConfig(
        hidden=(7,), likelihood=likelihood, prior="vamp", components=6, data_bias=True
    )
    model = new_model(Config(model=model_config, train=config), data)
    state = train(model, data, config)
    found = evaluate(model, data, k=3, seed=0)
    weights = [p.detach().flatten() for p in model.parameters()]
    history = [(m.bound, m.held_out_elbo) for m in state.history]
    return torch.cat([*weights, torch.tensor(history).flatten(), found.per_image["iwae"]])


def test_the_reference_split_is_the_same(both: Callable[..., Pair]):
    array = np.random.default_rng(0).integers(0, 256, (20_005, 2), dtype=np.uint8)
    for a, b in zip(*map(parts, both(array, "static", split="reference")), strict=True):
        assert len(b) == 10_000
        assert same(a.rows([0, 9_999]).x, b.rows([0, 9_999]).x)


def test_images_are_read_once_a_visit_and_a_few_at_a_time(
    both: Callable[..., Pair], monkeypatch: pytest.MonkeyPatch
):
    read: list[int] = []
    convert = source.to_bytes_or_floats

    def counted(images: np.ndarray) -> np.ndarray:
        read.append(len(images))
        return convert(images)

    for module in ("source", "rows", "formats.arrays"):
        monkeypatch.setattr(f"elboroom.data.{module}.to_bytes_or_floats", counted)
    mapped = both(GREY)[1]
    read.clear()
    mapped = load_data(DataConfig(str(mapped_file(mapped)), "threshold", memory=0))
    config = TrainConfig(epochs=1, batch_size=5, device="cpu")
    model = new_model(Config(model=ModelConfig(hidden=(3,), data_bias=True)), mapped)
    train(model, mapped, config)
    held_out = 9  # rows, which an evaluation reads together
    assert max(rows for rows in read if rows != held_out) == 7
    of_digest, of_variation, of_statistics, of_epoch = ROWS, 7, 2 * 81, 81
    of_marginals = of_statistics + held_out
    once = of_digest + of_variation + of_statistics + of_epoch + held_out + of_marginals
    assert sum(read) == once


def mapped_file(data: Dataset) -> Path:
    assert isinstance(data.train.images, LazyImages)
    array: Any = data.train.images.stored.part.images
    assert isinstance(array, np.memmap)
    return Path(str(array.filename))


def test_values_that_do_not_fit_the_likelihood_are_found_on_disk(both: Callable[..., Pair]):
    for array in (GREY, UNIT):
        mapped = both(array, "none")[1]
        with pytest.raises(DataError, match="does not fit the likelihood Bernoulli"):
            require_support(Bernoulli, mapped.train, "my.npy")
    require_support(Bernoulli, both(GREY, "threshold")[1].train, "my.npy")
    require_support(Bernoulli, both(GREY > 127, "none")[1].train, "my.npy")


def test_an_array_is_mapped_where_twice_its_size_passes_the_memory(tmp_path: Path):
    path = tmp_path / "my.npy"
    np.save(path, GREY)
    size = path.stat().st_size
    assert not read_array(path, DataConfig(memory=2 * size / 2**30)).mapped
    assert read_array(path, DataConfig(memory=(2 * size - 1) / 2**30)).mapped
    assert not read_array(path, DataConfig()).mapped


def refusal(path: Path) -> list[str]:
    with pytest.raises(DataError) as error:
        read_array(path, DataConfig(memory=0.25))
    return str(error.value).split("\n")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_large_npz_is_refused_by_the_size_that_it_will_have(
    tmp_path: Path, save: Callable[..., None]
):
    path = tmp_path / "my.npz"
    save(path, images=np.zeros((2**21, 64), np.uint8))
    assert refusal(path) == [
        f"{path} does not fit into --memory 0.25",
        "  why: its arrays are 0.125 GiB, which reading doubles, and no part of it can stay on "
        "disk",
        "  fix: save the images alone with numpy.save, as a .npy, or allow more --memory",
    ]


def test_a_large_array_in_fortran_order_is_refused(tmp_path: Path):
    path = tmp_path / "my.npy"
    np.save(path, np.asfortranarray(np.zeros((2**21, 65), np.uint8)))
    assert refusal(path) == [
        f"{path} cannot stay on disk",
        "  why: it is in Fortran order, in which one image is scattered over the whole file",
        "  fix: save numpy.ascontiguousarray of it, or allow more --memory",
    ]


def test_a_damaged_file_is_refused_when_it_would_be_mapped(tmp_path: Path):
    path = tmp_path / "my.npy"
    np.save(path, GREY)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match="cannot read"):
        read_array(path, DataConfig(memory=0))


@pytest.mark.parametrize("on_disk", [True, False])
def test_a_step_on_cuda_is_recorded_unless_its_images_stay_on_disk(
    monkeypatch: pytest.MonkeyPatch, on_disk: bool
):
    monkeypatch.setattr(CudaGraphStep, "__init__", lambda self, step, batch_size: None)
    noise = SimpleNamespace(device=torch.device("cuda"))
    model = SimpleNamespace(decoder=torch.nn.Identity())
    part = OneImage(on_disk)
    options = {"objective": ObjectiveConfig(), "world": ALONE}
    step: Any = SimpleNamespace(noise=noise, part=part, model=model, **options)
    state: Any = None  # of a step that is not traced
    taken = fastest_step(step, state, TrainConfig(compile="off"), 1)
    assert isinstance(taken, CudaGraphStep) != on_disk


class OneImage:
    def __init__(self, on_disk: bool) -> None:
        self.on_disk = on_disk

    def __len__(self) -> int:
        return 1


def test_the_command_line_does_everything_on_images_that_stay_on_disk(
    tmp_path: Path, elboroom: Callable[..., Any]
):
    path = tmp_path / "my.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (300, 8, 8), dtype=np.uint8))
    held, mapped = (arrays(elboroom, path, tmp_path / name, name) for name in ("2", "0"))
    for name, values in held.items():
        np.testing.assert_array_equal(values, mapped[name], err_msg=name)
    run = tmp_path / "0" / "run"
    for command in (
        ["gaps", run, "--mask", "top", "--images", 2, "--quiet"],
        ["complete", run, "--mask", "top"],
        ["figures", run, "--only", "samples", "reconstructions"],
    ):
        outcome = elboroom(*command)
        assert outcome.code == 0, outcome.err


def arrays(elboroom: Callable[..., Any], path: Path, folder: Path, memory: str) -> dict[str, Any]:
    """Run three commands, and return the values of each test image and draws of z."""
    run, z = folder / "run", folder / "z.npz"
    data = ["--data", path, "--binarisation", "static", "--memory", memory, "--split", "standard"]
    options = ["--hidden", 16, "--batch-size", 50, "--epochs", 2, "--threads", 1]
    for command in (
        ["train", *data, *options, "--quiet", "--out", run],
        ["evaluate", run, "--k", 5, "--quiet"],
        ["infer", run, "--mask", "top", "--method", "encoder", "--draws", 5, "--out", z],
    ):
        outcome = elboroom(*command)
        assert outcome.code == 0, outcome.err
    return dict(np.load(run / "evaluation.npz")) | {"z": np.load(z)["z"]}
