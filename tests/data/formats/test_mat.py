"""MAT-files as scipy writes them are read alike; what is not a numeric array is named."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from elboroom import DataConfig
from elboroom.data.formats.mat import load_mat
from elboroom.data.formats.registry import read_data
from elboroom.errors import DataError

DIE = np.random.default_rng(0)
KINDS = ("f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "?")


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(5, 3), (4, 3, 2), (2, 3, 4, 5), (1, 1), (7, 1)])
def test_arrays_that_scipy_wrote_are_read(
    tmp_path: Path, packed: bool, kind: str, shape: tuple[int, ...]
):
    array = (100 * DIE.random(shape)).astype(kind)
    path = tmp_path / "my.mat"
    scipy.io.savemat(path, {"x": array, "a_longer_name": array[:1]}, do_compression=packed)
    found = load_mat(path, 1.0)
    assert list(found) == ["x", "a_longer_name"]
    assert found["x"].dtype == (array.dtype if kind != "?" else bool)
    np.testing.assert_array_equal(found["x"], array)
    np.testing.assert_array_equal(found["a_longer_name"], array[:1])


def saved(tmp_path: Path, **arrays: Any) -> Path:
    scipy.io.savemat(tmp_path / "my.mat", arrays)
    return tmp_path / "my.mat"


def test_images_labels_and_parts_are_found_by_name(tmp_path: Path):
    x = DIE.integers(0, 256, (9, 6, 5), dtype=np.uint8)
    path = saved(tmp_path, X=x, y=np.arange(1.0, 10.0), Xtest=x[:2])
    source = read_data(path, DataConfig())
    assert source.test is not None
    np.testing.assert_array_equal(source.train.images, x[:, None])
    np.testing.assert_array_equal(source.test.images, x[:2, None])
    assert source.classes == tuple("123456789")


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (np.array(["a", "b"], object), "a cell array"),
        ({"a": 1}, "a struct"),
        ("hello", "text"),
        (1j * np.ones((2, 2)), "complex"),
        (scipy.sparse.eye(3), "a sparse matrix"),
    ],
    ids=str,
)
def test_what_is_no_array_of_real_numbers_is_named_and_can_be_left_out(
    tmp_path: Path, value: Any, kind: str
):
    x = DIE.random((4, 3))
    path = saved(tmp_path, x=x, other=value)
    with pytest.raises(DataError) as error:
        read_data(path, DataConfig())
    assert error.value.why == f"its array other is {kind}; expected real numbers"
    assert error.value.fix.startswith("leave it out by --unused other, or save it in MATLAB")
    source = read_data(path, DataConfig(unused=("other",)))
    np.testing.assert_array_equal(source.train.images, x.astype(np.float32))


def test_integers_stored_in_few_bytes_are_of_their_own_type(tmp_path: Path):
    whole = bytearray(saved(tmp_path, x=np.arange(6, dtype=np.float64)[None]).read_bytes())
    place = whole.rfind(b"\x09\0\0\0\x30\0\0\0")
    small = bytes([2, 0, 0, 0, 6, 0, 0, 0, *range(6), 0, 0])
    content = whole[:place] + small
    content[132:136] = (len(content) - 136).to_bytes(4, "little")
    (tmp_path / "my.mat").write_bytes(content)
    found = load_mat(tmp_path / "my.mat", 1.0)["x"]
    assert found.dtype == np.float64
    assert found.tolist() == [list(range(6))]


def test_too_much_is_refused_before_it_is_unpacked(tmp_path: Path):
    path = tmp_path / "my.mat"
    scipy.io.savemat(path, {"x": DIE.integers(0, 2, (2_000, 2_000), np.uint8)}, do_compression=True)
    with pytest.raises(DataError, match="promises 4,000,056 bytes; --memory allows 3,579,139"):
        load_mat(path, 0.01)
