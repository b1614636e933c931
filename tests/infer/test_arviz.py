"""The line with which ArviZ reads draws, in the help and the guide."""

import re

import numpy as np
import pytest
import torch

from elboroom.cli.commands import Infer
from elboroom.infer.diagnostics import chain_ess, split_rhat
from tests.support.repository import ROOT

CALL = re.compile(r"arviz\.\w+\(.*\)$", re.MULTILINE)


def test_help_and_guide_give_the_same_line():
    guide = (ROOT / "docs/guide/inference.md").read_text()
    lines = [CALL.findall(text) for text in (Infer.__doc__ or "", guide)]
    assert lines[0] == lines[1] == ['arviz.dict_to_dataset({"z": numpy.load("top.npz")["z"]})']


def test_the_line_reads_draws_and_arviz_finds_our_diagnostics(tmp_path, monkeypatch):
    arviz = pytest.importorskip("arviz", reason="ArviZ is no dependency; 0.23 and 1.3 were tried")
    z = torch.randn(4, 100, 3, 2, generator=torch.Generator().manual_seed(0)).double()
    np.savez(tmp_path / "top.npz", z=z.numpy())
    monkeypatch.chdir(tmp_path)
    line = CALL.findall(Infer.__doc__ or "")[0]
    posterior = eval(line, {"arviz": arviz, "numpy": np})
    draws = z.transpose(0, 1)
    for found, ours in ((arviz.rhat, split_rhat), (arviz.ess, chain_ess)):
        theirs = torch.from_numpy(found(posterior)["z"].to_numpy())
        torch.testing.assert_close(theirs, ours(draws), rtol=1e-6, atol=0)
