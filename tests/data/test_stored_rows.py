"""Completions in the scale, the type and the layout of their source."""

from pathlib import Path

import numpy as np
import pytest

from elboroom import DataConfig, load_data
from elboroom.data.load import read_source
from elboroom.data.part import Part
from elboroom.data.stored_rows import StoredRows


def stored(path: Path, part: str = "all", **arrays: np.ndarray) -> tuple[StoredRows, Part]:
    """Save arrays, and return the rows of a part as their file has them, and as the model does."""
    if len(arrays) == 1:
        np.save(path.with_suffix(".npy"), *arrays.values())
        source = str(path.with_suffix(".npy"))
    else:
        np.savez(path.with_suffix(".npz"), **arrays)
        source = str(path.with_suffix(".npz"))
    config = DataConfig(source=source)
    rows = load_data(config).part(part)  # type: ignore[arg-type]
    return StoredRows.of(read_source(config), rows), rows


def unseen(rows: Part, share: float = 0.3) -> np.ndarray:
    """Draw a mask that is False for a share of the values."""
    shape = tuple(rows.images.shape)
    return (np.random.default_rng(7).random(shape) > share) & ~rows.x.isnan().numpy()


R = np.random.default_rng(0)
GREY = R.integers(0, 256, (30, 5, 4), dtype=np.uint8)
REALS_AND_INTEGERS = ("float16", "float32", ">f4", "float64", "int8", "int16", "int32", "int64")
SOURCES = {
    "float64 table": R.normal(size=(30, 7)) * 1e3 + np.pi,
    "float32 table": R.normal(size=(30, 7)).astype(np.float32),
    "float64 in [0, 1]": R.random((30, 7)),
    "bytes (N, H, W)": GREY,
    "bytes (N, 1, H, W)": GREY[:, None],
    "bytes (N, H, W, 3)": R.integers(0, 256, (30, 8, 6, 3), dtype=np.uint8),
    "bytes (N, 3, H, W)": R.integers(0, 256, (30, 3, 8, 6), dtype=np.uint8),
    "bytes of 0 and 255": (GREY > 99).astype(np.uint8) * 255,
    "bytes of 0 and 1": (GREY > 99).astype(np.uint8),
    "booleans": GREY > 99,
    "int64 of 0 and 1": (GREY > 99).astype(np.int64),
    **{f"table of {t}": R.integers(-90, 90, (30, 7)).astype(t) for t in REALS_AND_INTEGERS},
    **{f"table of {t}": R.integers(0, 9, (30, 7)).astype(t) for t in ("uint16", "uint32")},
    "float16 in [0, 1]": R.random((30, 7)).astype(np.float16),
    "float16 (N, H, W)": R.normal(size=(30, 5, 4)).astype(np.float16),
}


@pytest.mark.parametrize("name", SOURCES)
def test_what_the_model_sees_comes_back_bit_for_bit(tmp_path: Path, name: str):
    array = SOURCES[name]
    as_file, rows = stored(tmp_path / "x", x=array)
    seen = unseen(rows)
    filled = as_file.fill(rows.x.numpy(), seen)  # as if the model were right
    kept = as_file.mask(seen)
    assert filled.shape == array.shape == kept.shape
    assert np.array_equal(filled[kept], array[kept])
    np.testing.assert_allclose(filled, array, rtol=1e-6)
    assert filled.dtype == array.dtype.newbyteorder("=")


@pytest.mark.parametrize("name", SOURCES)
def test_means_are_real_numbers_in_the_scale_of_the_source(tmp_path: Path, name: str):
    array = SOURCES[name]
    as_file, rows = stored(tmp_path / "x", x=array)
    seen, mean = unseen(rows), np.full(rows.x.shape, 0.3, np.float32)
    filled, kept = as_file.fill(mean, seen), as_file.mask(seen)
    white = 255 if name.startswith("bytes") and not name.endswith("1") else 1
    real = np.float32 if np.can_cast(array.dtype, np.float32) else np.float64
    assert filled.dtype == (array.dtype.newbyteorder("=") if array.dtype.kind == "f" else real)
    precision = max(np.finfo(filled.dtype).eps, np.finfo(np.float32).eps)
    np.testing.assert_allclose(filled[~kept], 0.3 * white, rtol=4 * precision)
    assert np.array_equal(filled[kept], array[kept].astype(filled.dtype))
    spread = as_file.spread(mean, seen)
    np.testing.assert_allclose(spread[~kept], 0.3 * white, rtol=1e-6)
    assert (spread[kept] == 0).all()


def test_draws_of_levels_are_bytes_and_only_if_all_of_them_are_whole(tmp_path: Path):
    as_file, rows = stored(tmp_path / "x", x=GREY)
    seen = unseen(rows)
    levels = np.random.default_rng(1).integers(0, 256, (3, *rows.x.shape)).astype(np.float32)
    drawn = as_file.fill(levels / np.float32(255), seen)
    assert drawn.dtype == np.uint8
    assert drawn.shape == (3, *GREY.shape)
    assert np.array_equal(drawn[:, ~as_file.mask(seen)], levels[..., ~seen].astype(np.uint8))
    for other in (levels / 255 + 0.1, levels / 255 * 2):  # between levels; beyond 255
        assert as_file.fill(other.astype(np.float32), seen).dtype == np.float32


def test_means_beyond_the_range_of_the_source_are_kept_in_more_bits(tmp_path: Path):
    as_file, rows = stored(tmp_path / "x", x=np.full((30, 7), 6e4, np.float16) + GREY[:, :1, 0])
    filled = as_file.fill(np.full(rows.x.shape, 7e4, np.float32), unseen(rows))
    assert filled.dtype == np.float32
    assert filled.max() == 7e4


def test_whole_numbers_that_no_real_type_holds_come_back(tmp_path: Path):
    numbers = R.integers(0, 1 << 60, (30, 4), dtype=np.int64)
    as_file, rows = stored(tmp_path / "x", images=numbers)
    seen = unseen(rows)
    filled = as_file.fill(rows.x.numpy() + 0.25, seen)
    assert filled.dtype == np.int64
    assert np.array_equal(filled[seen], numbers[seen])
    np.testing.assert_allclose(filled, numbers, rtol=1e-6)


def test_rows_are_those_of_the_part_and_of_its_array(tmp_path: Path):
    arrays = {"x_train": GREY, "x_test": GREY[::-1] // 2}
    as_file, rows = stored(tmp_path / "x", "test", **arrays)
    assert np.array_equal(as_file.values, arrays["x_test"])
    whole, _ = stored(tmp_path / "x", "all", **arrays)
    assert np.array_equal(whole.values, np.concatenate([*arrays.values()]))
    assert rows.origin == "x_test"


def test_the_values_under_a_mask_are_replaced(tmp_path: Path):
    mask = R.random(GREY.shape) > 0.3
    garbage = np.where(mask, GREY // 2, 255).astype(np.uint8)  # brightest where it is missing
    as_file, rows = stored(tmp_path / "x", images=garbage, mask=mask)
    seen = ~rows.x.isnan().numpy()
    assert np.array_equal(as_file.mask(seen), mask)
    filled = as_file.fill(np.full(rows.x.shape, 0.2, np.float32), seen)
    assert as_file.unit == 255
    assert np.array_equal(filled, np.where(mask, garbage, 51))


def test_images_on_disk_come_back_too(tmp_path: Path):
    np.save(tmp_path / "x.npy", GREY)
    config = DataConfig(source=str(tmp_path / "x.npy"), memory=0)
    data = load_data(config)
    assert data.test.on_disk
    as_file = StoredRows.of(read_source(config), data.test)
    assert np.array_equal(as_file.values, GREY[data.test.numbers])
