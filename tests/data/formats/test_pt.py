"""Tensors that `torch.save` wrote are read as `torch.load` reads them, without unpickling."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from elboroom import DataConfig
from elboroom.data.formats.pt import load_pt
from elboroom.data.formats.registry import read_data
from elboroom.errors import DataError

DIE = torch.Generator().manual_seed(0)
KINDS = (
    *("float64", "float32", "float16", "bfloat16"),
    *("int64", "int32", "int16", "int8", "uint8", "bool"),
)


def saved(tmp_path: Path, value: Any) -> Path:
    torch.save(value, tmp_path / "my.pt")
    return tmp_path / "my.pt"


@pytest.mark.parametrize("kind", KINDS)
def test_tensors_of_every_type_are_read(tmp_path: Path, kind: str):
    x = (100 * torch.rand(6, 4, generator=DIE)).to(getattr(torch, kind))
    found = load_pt(saved(tmp_path, x), 1.0)["images"]
    expected = x.float() if kind == "bfloat16" else x
    assert found.dtype == expected.numpy().dtype
    np.testing.assert_array_equal(found, expected.numpy())


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x[1:],
        lambda x: x[:, ::2],
        lambda x: x.T,
        lambda x: x.permute(2, 0, 1) if x.ndim == 3 else x[:, 1:3],
        lambda x: x[:1].expand(5, 8),
        lambda x: x[:0],
        lambda x: torch.nn.Parameter(x),
        lambda x: x[2, 3],
    ],
)
def test_views_are_read_as_torch_reads_them(tmp_path: Path, view: Any):
    x = view(torch.rand(6, 8, generator=DIE))
    path = saved(tmp_path, {"x": x})
    expected = torch.load(path, weights_only=True)["x"]
    np.testing.assert_array_equal(load_pt(path, 1.0)["x"], expected.detach().numpy())


def test_tensors_that_share_a_storage_are_both_read(tmp_path: Path):
    x = torch.rand(6, 8, generator=DIE)
    found = load_pt(saved(tmp_path, {"x_train": x[:4], "x_test": x[4:]}), 1.0)
    np.testing.assert_array_equal(np.concatenate(list(found.values())), x.numpy())


def test_images_labels_and_parts_are_found_by_name(tmp_path: Path):
    x = torch.randint(0, 256, (9, 6, 5), generator=DIE, dtype=torch.uint8)
    path = saved(tmp_path, {"x_train": x, "y_train": torch.arange(9), "x_test": x[:2]})
    source = read_data(path, DataConfig())
    assert source.test is not None
    np.testing.assert_array_equal(source.train.images, x[:, None].numpy())
    np.testing.assert_array_equal(source.test.images, x[:2, None].numpy())
    assert source.classes == tuple("012345678")


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ([torch.ones(2, 2)], "it holds a list; expected tensors by name"),
        ((torch.ones(2, 2), torch.ones(2)), "it holds a tuple; expected tensors by name"),
        (torch.eye(3).to_sparse(), "it holds torch._utils._rebuild_sparse_tensor; only tensors"),
        ({"x": np.ones((2, 2))}, "_core.multiarray._reconstruct; only tensors"),
        (torch.nn.Linear(2, 2), "it holds torch.nn.modules.linear.Linear; only tensors"),
        (
            torch.utils.data.TensorDataset(torch.ones(2, 2)),
            "it holds torch.utils.data.dataset.TensorDataset; only tensors",
        ),
        (torch.ones(2, 2, dtype=torch.complex64), "it holds torch.ComplexFloatStorage; only"),
        ({3: torch.ones(2, 2)}, "it has a dict whose names are not text"),
    ],
)
def test_other_objects_are_named(tmp_path: Path, value: Any, why: str):
    with pytest.raises(DataError) as error:
        read_data(saved(tmp_path, value), DataConfig())
    assert why in error.value.why
    assert error.value.fix == (
        "save tensors by name: torch.save({'x_train': x, 'y_train': y}, file)"
    )


def test_what_is_no_tensor_can_be_left_out(tmp_path: Path):
    path = saved(tmp_path, {"x": torch.rand(4, 3, generator=DIE), "epoch": 5, "name": "a"})
    with pytest.raises(DataError, match="epoch is not a tensor"):
        read_data(path, DataConfig())
    source = read_data(path, DataConfig(unused=("epoch", "name")))
    assert source.train.images.shape == (4, 3)


def test_the_state_of_a_module_has_no_images(tmp_path: Path):
    path = saved(tmp_path, torch.nn.Linear(2, 2).state_dict())
    with pytest.raises(DataError, match=r"my\.pt has no images\n  why: found bias, weight"):
        read_data(path, DataConfig())


def test_too_many_values_are_refused_before_they_are_made(tmp_path: Path):
    path = saved(tmp_path, torch.ones(1).expand(1 << 20, 1 << 20))
    with pytest.raises(DataError, match="unpack to 4,398,046,511,104; data do not compress so"):
        load_pt(path, 2.0)
    path = saved(tmp_path, {"x": torch.ones(1_000), "y": torch.ones(500)})
    with pytest.raises(DataError, match="does not fit into --memory 1e-06"):
        load_pt(path, 1e-6)
    path = saved(tmp_path, torch.ones(10).expand(1_000, 10))
    with pytest.raises(DataError, match="its tensors take 40,000 bytes, which pass --memory"):
        load_pt(path, 5e-5)
