"""The line with which ArviZ reads the draws of a file, in the help and the guide."""

import re

import arviz_base
import numpy as np
import torch

from elboroom.cli.commands import Infer
from tests.support.repository import ROOT

CALL = re.compile(r"arviz_base\.\w+\(.*\)$", re.MULTILINE)


def test_help_and_guide_give_the_same_line():
    guide = (ROOT / "docs/guide/inference.md").read_text()
    lines = [CALL.findall(text) for text in (Infer.__doc__ or "", guide)]
    assert lines[0] == lines[1] == ['arviz_base.dict_to_dataset({"z": numpy.load("top.npz")["z"]})']


def test_the_line_reads_draws(tmp_path, monkeypatch):
    z = torch.randn(4, 100, 3, 2, generator=torch.Generator().manual_seed(0)).double().numpy()
    np.savez(tmp_path / "top.npz", z=z)
    monkeypatch.chdir(tmp_path)
    line = CALL.findall(Infer.__doc__ or "")[0]
    found = eval(line, {"arviz_base": arviz_base, "numpy": np})["z"]
    assert found.dims[:2] == ("chain", "draw")
    np.testing.assert_array_equal(found, z)
