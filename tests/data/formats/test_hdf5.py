"""HDF5 files as h5py and MATLAB 7.3 write them; large ones stay on disk; others are refused."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from elboroom import DataConfig, load_data
from elboroom.data.formats.registry import read_data
from elboroom.data.source import Source
from elboroom.errors import DataError

h5py = pytest.importorskip("h5py")

DIE = np.random.default_rng(0)
IMAGES = DIE.integers(0, 256, (40, 6, 5), dtype=np.uint8)
KINDS = ("f8", "f4", "f2", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "?", ">f4", ">i2")


def saved(folder: Path, **arrays: Any) -> Path:
    with h5py.File(folder / "my.h5", "w") as file:
        for name, array in arrays.items():
            file[name] = array
    return folder / "my.h5"


def load(path: Path, memory: float = 2.0, unused: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    from elboroom.data.formats.hdf5 import load_hdf5

    return load_hdf5(path, memory, unused)


def refusal(path: Path, **options: Any) -> DataError:
    with pytest.raises(DataError) as error:
        read_data(path, DataConfig(binarisation="none", **options))
    return error.value


@pytest.mark.parametrize("memory", [2.0, 0.0])
@pytest.mark.parametrize("kind", KINDS)
def test_arrays_of_every_type_are_read_and_mapped(tmp_path: Path, kind: str, memory: float):
    x = (100 * DIE.random((4, 3))).astype(kind)
    found = load(saved(tmp_path, x=x, y=np.arange(4)), memory)
    assert found["x"].dtype == x.dtype
    assert isinstance(found["x"], np.memmap) == (memory == 0)
    np.testing.assert_array_equal(found["x"], x)
    np.testing.assert_array_equal(found["y"], np.arange(4))


def test_groups_labels_and_parts_are_found_by_their_paths(tmp_path: Path):
    path = tmp_path / "my"
    with h5py.File(path, "w") as file:
        file["train/images"], file["test/images"] = IMAGES, IMAGES[:3]
        file["train/labels"], file["test/labels"] = ["ü", "cat"] * 20, ["cat"] * 3
        file["meta/version"] = 3
    source = read_data(path, DataConfig(unused=("meta/version",)))
    assert source.test is not None
    np.testing.assert_array_equal(source.train.images, IMAGES[:, None])
    np.testing.assert_array_equal(source.test.images, IMAGES[:3, None])
    assert source.classes == ("cat", "ü")
    assert source.test.labels is not None
    assert source.test.labels.tolist() == [0, 0, 0]
    assert "rename it, or leave it out with --unused meta/version" in refusal(path).fix
    assert read_data(path, DataConfig(unused=("meta",))).classes == source.classes


@pytest.mark.parametrize(
    "options",
    [{"chunks": (7, 2, 5)}, {"compression": "gzip", "shuffle": True}, {"compression": "lzf"}],
    ids=str,
)
def test_chunked_arrays_are_read_but_cannot_stay_on_disk(tmp_path: Path, options: dict[str, Any]):
    path = tmp_path / "my.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=IMAGES, **options)
    np.testing.assert_array_equal(read_data(path, DataConfig()).train.images, IMAGES[:, None])
    error = refusal(path, memory=0)
    assert error.what == f"{path} does not fit into --memory 0"
    assert "create_dataset(name, data=x) without chunks" in error.fix


def test_a_large_file_stays_on_disk_and_gives_the_same_rows(tmp_path: Path):
    path = saved(tmp_path, x_train=IMAGES, y_train=["a", "b"] * 20, x_test=IMAGES[:5])
    held, mapped = (load_data(DataConfig(str(path), memory=m)) for m in (2.0, 0.0))
    assert (held.train.on_disk, mapped.train.on_disk, mapped.test.on_disk) == (False, True, True)
    assert held.identity == mapped.identity
    np.testing.assert_array_equal(held.train.x, mapped.train.x)
    np.testing.assert_array_equal(held.test.x, mapped.test.x)


def test_masked_images_cannot_stay_on_disk(tmp_path: Path):
    path = saved(tmp_path, x=IMAGES, mask=IMAGES > 3)
    assert read_data(path, DataConfig()).has_missing
    assert "images that have a mask beside them cannot stay on disk" in refusal(path, memory=0).why


def matlab(folder: Path, **arrays: tuple[str, np.ndarray]) -> Source:
    """Read arrays as MATLAB 7.3 would save them: after a header, with their axes reversed."""
    path = folder / "my.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, (kind, array) in arrays.items():
            file[name] = array.T
            file[name].attrs["MATLAB_class"] = np.bytes_(kind)
        file["#refs#/a"] = np.zeros(3)
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512))
    return read_data(path, DataConfig(binarisation="none"))


def test_matlab_7_3_is_read_with_its_axes_in_order(tmp_path: Path):
    y, mask = np.arange(40.0).reshape(1, 40) % 4, (IMAGES > 3).astype(np.uint8)
    source = matlab(tmp_path, X=("uint8", IMAGES), y=("double", y), mask=("logical", mask))
    expected = np.where(IMAGES > 3, IMAGES / np.float32(255), np.nan)[:, None]
    np.testing.assert_array_equal(source.train.images, expected.astype(np.float32))
    assert source.classes == ("0", "1", "2", "3")
    with pytest.raises(DataError, match="its name is a char array of MATLAB"):
        matlab(tmp_path, X=("uint8", IMAGES), name=("char", np.zeros((1, 3), np.uint16)))


def test_anything_but_an_array_in_the_file_is_named_and_can_be_left_out(tmp_path: Path):
    path = tmp_path / "my.h5"
    saved(tmp_path, other=IMAGES).rename(tmp_path / "other.h5")
    layout = h5py.VirtualLayout((4, 3), "u1")
    layout[:] = h5py.VirtualSource("other.h5", "other", (4, 3))
    with h5py.File(path, "w") as file:
        file["images"] = IMAGES
        file["soft"], file["away"] = h5py.SoftLink("/images"), h5py.ExternalLink("other.h5", "/x")
        file.create_dataset("ragged", (2,), h5py.vlen_dtype(np.int32))
        file.create_dataset("pointers", (2,), h5py.ref_dtype)
        file["table"] = np.zeros(3, [("a", "f4"), ("b", "i4")])
        file.create_dataset("raw", (4,), "u1", external=[(tmp_path / "other.h5", 0, 4)])
        file.create_virtual_dataset("virtual", layout)
        names = [name for name in file if name != "images"]
    words = {
        "soft": "a link, which may lead to another file",
        "away": "a link, which may lead to another file",
        "ragged": "of rows of different lengths",
        "pointers": "of references",
        "table": "of type [('a', '<f4'), ('b', '<i4')]",
        "raw": "in other files",
        "virtual": "in other files",
    }
    for name in names:
        error = refusal(path, unused=tuple({*names} - {name}))
        assert error.why == f"its {name} is {words[name]}; expected an array of numbers or strings"
        assert error.fix.startswith(f"leave it out by --unused {name}, or")
    source = read_data(path, DataConfig(unused=tuple(names)))
    np.testing.assert_array_equal(source.train.images, IMAGES[:, None])


def test_without_the_library_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = saved(tmp_path, x=IMAGES)
    monkeypatch.delitem(sys.modules, "elboroom.data.formats.hdf5", raising=False)
    monkeypatch.setitem(sys.modules, "h5py", None)
    error = refusal(path)
    assert error.why == "it needs the library h5py, which is not installed"
    assert error.fix == "install it: pip install 'elboroom[hdf5]'"
