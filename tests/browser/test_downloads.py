"""Files that are saved: they hold what is shown."""

import base64
import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from elboroom import infer
from elboroom.randomness import stream

ENLARGED = 47  # times, so that six pixels become 280 at least


def saved(visitor, name):
    """Press a button that saves, and return the name of the file and its content."""
    with visitor.page.expect_download() as download:
        visitor.page.get_by_role("button", name=name).click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def array(encoded):
    values = np.frombuffer(base64.b64decode(encoded["data"]), encoded["dtype"])
    return torch.tensor(values.reshape(encoded["shape"]))


@pytest.mark.parametrize("name", [pytest.param("plane", marks=pytest.mark.full), "colour"])
def test_a_picture_is_saved_as_it_is_shown(visitor, name):
    visitor.open(f"{name}/complete?row=3")
    shown = visitor.tones(visitor.page.get_by_label("Mean completion", exact=True))
    file, content = saved(visitor, f"PNG: save mean completion by {name}")
    assert file == f"mean-completion-by-{name}.png"
    pixels = np.asarray(Image.open(BytesIO(content)).convert("RGB"))
    assert pixels.shape == (6 * ENLARGED, 6 * ENLARGED, 3)
    expected = shown.permute(1, 2, 0).numpy().repeat(ENLARGED, 0).repeat(ENLARGED, 1)
    np.testing.assert_array_equal(pixels, expected)


def test_the_numbers_of_a_completion_are_saved(visitor, explored):
    visitor.open("plane/complete?row=3")
    file, content = saved(visitor, "JSON: save the data of completion by plane")
    assert file == "completion-by-plane.json"
    found, one = json.loads(content), explored["plane"]
    seen = torch.zeros(1, 1, 6, 6, dtype=torch.bool)
    seen[:, :, :3] = True
    exact = infer.grid(one.model, one.part.x[3:4], seen, generator=stream(0, "test"))
    torch.testing.assert_close(found["log_evidence"]["value"], exact.log_evidence.item())
    assert torch.equal(array(found["mean"])[seen[0]], one.part.x[3][seen[0]])
    assert array(found["draws"]).shape == (12, 1, 6, 6)


@pytest.mark.full
def test_the_map_is_saved(visitor, explored):
    visitor.open("plane/map")
    file, content = saved(visitor, "JSON: save the data of latent map of plane")
    assert file == "latent-map-of-plane.json"
    found, one = json.loads(content), explored["plane"]
    torch.testing.assert_close(array(found["points"]), one.means)
    assert array(found["labels"]).tolist() == one.part.labels.tolist()
    file, content = saved(visitor, "PNG: save latent map of plane")
    assert Image.open(BytesIO(content)).width == visitor.page.locator(".plane-canvas").evaluate(
        "one => one.width"
    )
