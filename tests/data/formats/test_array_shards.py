"""A folder of numbered .npy files is one array, which may stay on disk."""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from elboroom import DataConfig, load_data
from elboroom.config import ModelConfig, TrainConfig
from elboroom.data.formats.registry import read_data
from elboroom.data.sharded_array import ShardedArray
from elboroom.errors import DataError
from elboroom.model.vae import VAE
from elboroom.training.loop import train

RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(103, 6))
IMAGES = RNG.integers(0, 256, (60, 5, 4), dtype=np.uint8)
CASES: dict[str, np.ndarray] = {
    "vectors": VECTORS.astype("f4"),
    "doubles": VECTORS,
    "missing": np.where(VECTORS > 1, np.nan, VECTORS).astype("f4"),
    "big-endian": VECTORS.astype(">f4"),
    "whole numbers": (VECTORS * 1e3).astype("i8"),
    "booleans": VECTORS > 0,
    "grey": IMAGES,
    "channels": np.stack([IMAGES, IMAGES // 2, 255 - IMAGES], 1),
    "channels last": np.stack([IMAGES, IMAGES // 2, 255 - IMAGES], -1),
}


def saved(folder: Path, parts: Sequence[np.ndarray], name: str = "{}.npy") -> Path:
    folder.mkdir()
    for number, part in enumerate(parts):
        np.save(folder / name.format(number), part)
    return folder


@pytest.mark.parametrize("memory", [2.0, 0.0])
@pytest.mark.parametrize("case", CASES)
def test_it_is_the_array_of_its_rows(tmp_path: Path, case: str, memory: float):
    stored = CASES[case]
    path = saved(tmp_path / "shards", np.array_split(stored, 12), "part-{}.npy")
    np.save(tmp_path / "one.npy", stored)
    found = load_data(DataConfig(str(path), memory=memory, validation=9))
    one = load_data(DataConfig(str(tmp_path / "one.npy"), memory=memory, validation=9))
    assert found.train.on_disk == (memory == 0)
    assert found.kind == one.kind
    assert found.reading is not None
    assert one.reading is not None
    assert found.reading.notes == one.reading.notes
    assert (found.reading.dtype, found.reading.size) == (one.reading.dtype, one.reading.size)
    for name, part in one.parts.items():
        np.testing.assert_array_equal(found.parts[name].x, part.x)
        np.testing.assert_array_equal(found.parts[name].numbers, part.numbers)


@pytest.mark.parametrize(
    "name", ["{}.npy", "{:05}.npy", "x1-{}.npy", "{}-x1.npy", "{}-of-12.npy", "a-{:03}-of-0012.npy"]
)
def test_shards_are_in_the_order_of_their_numbers(tmp_path: Path, name: str):
    path = saved(tmp_path / "shards", np.array_split(VECTORS, 12), name)
    np.testing.assert_array_equal(read_data(path, DataConfig(memory=0)).train.images, VECTORS)


@pytest.mark.parametrize("name", ["0.npy", "7.npy", "x-0-of-1.npy", "x-1-of-1.npy"])
def test_one_shard_is_enough_if_it_is_the_first(tmp_path: Path, name: str):
    path = saved(tmp_path / "shards", [VECTORS], name)
    if name == "7.npy":
        with pytest.raises(DataError, match="found no shard 0 before 7"):
            read_data(path, DataConfig())
    else:
        assert len(read_data(path, DataConfig()).train) == 103


def test_a_missing_shard_at_the_end_is_told_by_the_names(tmp_path: Path):
    path = saved(tmp_path / "shards", np.array_split(VECTORS, 4), "{}-of-5.npy")
    with pytest.raises(DataError, match="found 4 shards; their names promise 5"):
        read_data(path, DataConfig())


@pytest.mark.parametrize("memory", [2.0, 0.0])
def test_the_digest_is_that_of_the_digests_of_shards(tmp_path: Path, memory: float):
    parts = np.array_split(VECTORS.astype("f4"), 5)
    path = saved(tmp_path / "shards", parts)
    digests = [hashlib.sha256(part.tobytes()) for part in parts]
    expected = hashlib.sha256(b"".join(d.digest() for d in digests)).hexdigest()
    source = read_data(path, DataConfig(memory=memory))
    assert source.sha256 == expected
    assert source.scan.shards == tuple(d.hexdigest() for d in digests)
    shutil.move(path, tmp_path / "moved")
    assert read_data(tmp_path / "moved", DataConfig(memory=memory)).sha256 == expected
    parts[3][2, 1] += 1
    np.save(tmp_path / "moved" / "3.npy", parts[3])
    assert read_data(tmp_path / "moved", DataConfig(memory=memory)).sha256 != expected


def test_a_folder_of_pictures_with_an_array_stays_one_of_pictures(tmp_path: Path):
    Image = pytest.importorskip("PIL.Image")
    for number in range(3):
        Image.fromarray(IMAGES[number]).save(tmp_path / f"{number}.png")
    np.save(tmp_path / "0.npy", IMAGES)
    assert read_data(tmp_path, DataConfig()).train.files == ("0.png", "1.png", "2.png")


def test_rows_are_read_as_of_an_array(tmp_path: Path):
    path = saved(tmp_path / "shards", np.array_split(VECTORS, 7))
    rows = read_data(path, DataConfig(memory=0)).train.images
    assert isinstance(rows, ShardedArray)
    part, own = rows.part(slice(20, 90)), VECTORS[20:90]
    order = RNG.permutation(70)
    for key in (slice(None), slice(3, 60, 7), order, order[:0], 5, (5, slice(2)), (order, 3)):
        np.testing.assert_array_equal(part[key], own[key])
    for outside in (70, -1, np.array([3, 70])):
        with pytest.raises(IndexError):
            part[outside]


def test_a_shard_that_is_cut_later_is_named(tmp_path: Path):
    path = saved(tmp_path / "shards", np.array_split(VECTORS, 7))
    rows = read_data(path, DataConfig(memory=0)).train.images
    fresh = ShardedArray.of(type(rows.files)(rows.files.shards, rows.dtype, (6,)))
    (path / "3.npy").write_bytes(b"")
    with pytest.raises(DataError, match=r"cannot read the shard .*3\.npy"):
        fresh[:]


FEW_FILES = """
import resource, sys
from elboroom import DataConfig, load_data
import torch
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
data = load_data(DataConfig(sys.argv[1], memory=0))
assert data.train.on_disk
order = torch.randperm(len(data.train))
x = data.train.batch(order, torch.Generator())
print(len(order), float(x.double().sum()) == float(data.train.x[order].double().sum()))
"""


@pytest.mark.full
def test_thousands_of_shards_need_few_open_files(tmp_path: Path):
    path = saved(tmp_path / "shards", RNG.normal(size=(2_000, 2, 3)).astype("f4"))
    program = [sys.executable, "-c", FEW_FILES, str(path)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("3600 True\n", "")


def trained(source: Path, memory: float, **model: Any) -> dict[str, torch.Tensor]:
    data = load_data(DataConfig(str(source), memory=memory, validation=9))
    vae = VAE.from_config(
        ModelConfig(hidden=(8,), **model),
        data.event_shape,
        generator=torch.Generator().manual_seed(0),
    )
    config = TrainConfig(epochs=2, batch_size=16, threads=1, device="cpu", compile="off")
    train(vae, data, config)
    return vae.state_dict()


@pytest.mark.parametrize(
    ("case", "likelihood"), [("vectors", "gaussian"), ("channels last", "discretized-logistic")]
)
def test_training_is_that_on_one_array_bit_for_bit(tmp_path: Path, case: str, likelihood: Any):
    path = saved(tmp_path / "shards", np.array_split(CASES[case], 7))
    np.save(tmp_path / "one.npy", CASES[case])
    expected = trained(tmp_path / "one.npy", 2.0, likelihood=likelihood)
    for memory in (2.0, 0.0):
        found = trained(path, memory, likelihood=likelihood)
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in expected)
