"""The IWAE bound with many samples of all test images, from that of some of them."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from elboroom import Run, evaluate
from elboroom.config import Precision
from elboroom.evaluation import Estimate

_FEW = 50  # samples of z for the images that are evaluated once


def evaluation(path: Path, *, k: int, images: int, precision: Precision) -> dict[str, Any]:
    """Return the content of evaluation.json of a run, whose IWAE bound has k samples.

    All test images are evaluated with 50 samples, and some of them, evenly spread, with k, too.
    The quality and the rounding are those of the latter.
    """
    run = Run(path)
    model, data = run.load_model(), run.load_data()
    every = evaluate(model, data, k=_FEW, seed=0, precision=precision)
    index = torch.linspace(0, len(data.test) - 1, images).long()
    some = replace(data, test=data.test.rows(index.tolist()))
    closer = evaluate(model, some, k=k, seed=1, precision=precision)
    bound = _doubly_sampled(every.per_image["iwae"], closer.per_image["iwae"], index)
    found, of_some = every.to_dict(), closer.to_dict()
    found["estimates"]["iwae"] = bound.to_dict()
    kept = {name: of_some[name] for name in ("k", "quality", "rounding") if name in of_some}
    return found | kept | {"images_with_k": images}


def _doubly_sampled(few: Tensor, many: Tensor, index: Tensor) -> Estimate:
    """Estimate the mean over N images of L_k, which is known for n of them.

        mean over all of L_50 + mean over some of (L_k − L_50)

    The difference varies far less between images than the bound.

    Args:
        few: (N,), L_50 of all images.
        many: (n,), L_k of some.
        index: (n,), which.
    """
    few, change = few.double(), many.double() - few[index].double()
    covariance = torch.stack([few[index], change]).cov()
    # Var = (S²_50 + 2 Cov[L_50, L_k − L_50])/N + S²/n
    variance = (few.var() + 2 * covariance[0, 1]) / len(few) + covariance[1, 1] / len(change)
    return Estimate((few.mean() + change.mean()).item(), math.sqrt(variance.item()))
