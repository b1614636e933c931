"""Bounds of log p(x) of the test images under a trained model, in nats per image."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from elboroom.config import EvaluateConfig, PartName, Precision
from elboroom.data import Dataset, Part
from elboroom.device import (
    deferred_interrupt,
    require_room,
    resolve_precision,
    shown_progress,
    world,
)
from elboroom.device.progress_bar import Show
from elboroom.errors import (
    EvaluationError,
    UsageError,
    require_not_negative,
    require_positive,
)
from elboroom.evaluation.estimate import Estimate
from elboroom.evaluation.evaluation import Evaluation
from elboroom.evaluation.interrupts import EvaluationInterrupted
from elboroom.evaluation.latent_usage import Information
from elboroom.evaluation.row_batches import IMAGES_AT_A_TIME, RowBatches
from elboroom.evaluation.sampled_bounds import OnStage, SampledBounds, sample_all, sample_subset
from elboroom.model.arguments import checked
from elboroom.model.bounds import bits_per_dimension
from elboroom.model.fingerprint import fingerprint
from elboroom.model.likelihoods import require_support
from elboroom.model.networks.layers import require_eval_mode
from elboroom.model.posteriors import Density
from elboroom.model.vae import VAE
from elboroom.randomness import stream

_HELD = 5  # arrays of k values for each of them: two terms, in parts and joined, and their sum
_LEAST_IMAGES = 2 * IMAGES_AT_A_TIME  # a subset is a pilot, and as many images after it


@checked
@torch.no_grad()
def evaluate(
    model: VAE,
    data: Dataset,
    *,
    k: int,
    seed: int,
    part: PartName = "test",
    precision: Precision = "fp32",
    error: float | None = 0.0,
    k_all: int = EvaluateConfig.k_all,
    on_images: Callable[[float], None] = lambda images: None,
    on_stage: OnStage = lambda stage, images: None,
    stop: Callable[[], bool] = lambda: False,
    progress: bool = False,
) -> Evaluation:
    """Compute the ELBO, its two terms, the IWAE bound, and how reliable they are.

    Everything is computed from the same k samples per image on the model's device. The KL is in
    closed form if prior and posterior have one, else estimated by the samples. Only the decoder's
    matrix products may be in another precision than float32. Memory grows neither with k nor with
    the data, because only some images are evaluated at a time. Each of these batches has draws of
    its own. Several processes share the batches, and all return what one returns.

    If `error` is not 0, then k samples are drawn for a random subset of the images alone, and
    `k_all` for all. The mean over all images of the bound with k samples is then estimated without
    bias, from the bound with `k_all` samples and its change in the subset. A pilot of a hundred
    images decides how large the subset is. All images have k samples if there are at most 200, or
    if k is at most `k_all`.

    Batches are of random images. What is finished when an evaluation is stopped is therefore a
    random sample, and is returned as an evaluation with `partial`.

    Args:
        model: model to evaluate.
        data: data to evaluate the model on.
        k: number of samples of z per image.
        seed: seed of the samples, and of the choice of images.
        part: part of the data: "train", "validation", "test" or "all".
        precision: precision of the decoder's products. bfloat16 changes log w by about 0.1 nats at
            random, which raises the IWAE bound by some thousandths.
        error: the standard error in nats that the subset may add; 0 takes k samples of all images.
            None allows a quarter of the standard error over images, which raises it by 3 %.
        k_all: number of samples of z of the images outside of the subset.
        on_images: called with the number of images that this process has finished since the last
            call; a part of the samples of a batch counts as a fraction.
        on_stage: called before all images, the pilot and the rest of the subset are evaluated, with
            the name of the stage and the number of images in it that this process evaluates.
        stop: called after each group of samples; True ends the evaluation there.
        progress: show the progress, in a notebook or a terminal.

    Raises:
        DataError: if the data has values that the likelihood does not support.
        UsageError: if `data` is not a Dataset or has no such part, k is not positive, the model
            has batch normalisation and is in training mode, or entries were withheld, not rows.
        EvaluationError: if it is stopped before the first batch of images is finished.
        EvaluationInterrupted: at Ctrl-C; it holds the evaluation of the finished images.

    Example:
        >>> from elboroom import evaluate
        >>> found = evaluate(model, data, k=100, seed=0)
        >>> list(found.estimates)  # means over images, each with its standard error
        ['elbo', 'reconstruction', 'kl', 'iwae']
        >>> found.estimates["elbo"].mean < found.estimates["iwae"].mean  # both are below log p(x)
        True
        >>> list(found.quality)  # of the 100 importance weights
        ['ess', 'reliable']
    """
    require_positive(k=k, k_all=k_all)
    require_not_negative(error=error or 0.0)
    model.require_events(data.event_shape)
    data = data.with_test(part)
    _require_held_out_rows(data.test)
    require_eval_mode(model)
    require_support(model.likelihood.density, data.test, data.identity.source)
    rows = min(IMAGES_AT_A_TIME, len(data.test))
    require_room((_HELD, k, rows), _weight(model), k=k)
    require_room((_HELD, k_all, rows), _weight(model), k_all=k_all)
    dtype = resolve_precision(precision, _weight(model).device)
    clock, known, digest = time.perf_counter(), None, fingerprint(model)
    with deferred_interrupt() as interrupted, shown_progress(progress, "evaluation") as show:
        stages = _Stages(show, on_stage, on_images)

        def ended() -> bool:
            return stop() or interrupted()

        batches = RowBatches(model.fixed(), data.test, seed, dtype, stages.advance, ended)
        if error == 0 or k <= k_all or len(data.test) <= _LEAST_IMAGES:
            found = sample_all(batches, k, stages.begin)
        else:
            found = sample_subset(batches, k, k_all, error, stages.begin)
        if len(found.rows):
            known = _evaluation(found, batches, data, part)
            known = replace(known, fingerprint=digest, seconds=time.perf_counter() - clock)
        if world().any(interrupted()):
            raise EvaluationInterrupted(known)
    if known is None:
        raise _stopped_at_once(data)
    return known


class _Stages:
    """The stages of an evaluation, which are told to its caller and shown.

    Args:
        show: shows the share of the stage that is done.
        on_stage: called before each stage.
        on_images: called with each number of images that is done.
    """

    def __init__(self, show: Show, on_stage: OnStage, on_images: Callable[[float], None]) -> None:
        self._show, self._on_stage, self._on_images = show, on_stage, on_images
        self._name, self._done, self._images = "", 0.0, 1

    def begin(self, name: str, images: int) -> None:
        """Begin a stage with a number of images."""
        self._name, self._done, self._images = name, 0.0, max(1, images)
        self._show(0.0, name)
        self._on_stage(name, images)

    def advance(self, images: float) -> None:
        """Count images that are done."""
        self._done += images
        self._show(self._done / self._images, self._name)
        self._on_images(images)


def _evaluation(
    found: SampledBounds, batches: RowBatches, data: Dataset, part: PartName
) -> Evaluation:
    """Return the evaluation of what was sampled, with the use of the latents by these images."""
    model, per_image = batches.model, dict(found.per_image)
    densities = partial(_posteriors, batches, found.rows)
    noise = stream(batches.seed, "information", device=batches.device)
    information = Information.of(densities(), model.prior, noise)
    kind = model.likelihood.density
    if kind.in_bits:
        per_image |= _bits(per_image, _known_pixels(data.test, found.rows))
    return Evaluation(
        data.identity,
        part,
        found.k,
        batches.seed,
        0.0,
        per_image,
        information,
        kl_sampled=model.prior.kl(next(densities())) is None,
        measure="density" if kind.is_density else "probability",
        rounding=_rounding(found, batches),
        noun=data.noun,
        subset=found.subset,
        partial=found.partial,
        rows=None if found.partial is None else found.rows,
    )


def _posteriors(batches: RowBatches, rows: Tensor) -> Iterator[Density]:
    """Yield the encoder's q(z | x) of some rows in order, a batch at a time."""
    for some in _images(batches.part, rows):
        x = some.to(batches.device)
        yield batches.model.posterior(x, batches.part.seen(x))


def _weight(model: VAE) -> Tensor:
    """Return a parameter, whose type and device are those of the model."""
    return next(model.parameters())


def _stopped_at_once(data: Dataset) -> EvaluationError:
    most = min(IMAGES_AT_A_TIME, len(data.test))
    return EvaluationError(
        "nothing is known yet: the evaluation was stopped early",
        why=f"not all samples of the first {most:,} {data.nouns} were drawn",
        fix="let it run longer, or give a smaller k",
    )


def _require_held_out_rows(part: Part) -> None:
    """Check that the rows of a part are scored as a whole.

    Raises:
        UsageError: if entries of them were withheld, so that the model has seen the rest.
    """
    if part.withheld is not None:
        raise UsageError(
            "these data have no held-out rows",
            why="--withhold held out entries of every row, and the model was trained on the others",
            fix="evaluate new rows with --data FILE, or train a run without --withhold",
        )


def _rounding(found: SampledBounds, batches: RowBatches) -> Estimate | None:
    """Estimate the change of the bounds of the first batch by rounding, from the same samples."""
    if batches.products == torch.float32:
        return None
    closer = "iwae" if found.subset is None else "iwae_subset"
    groups = (found.k,)
    if found.subset is not None:
        groups = (found.subset.k_all, found.k - found.subset.k_all)
    exact = None if found.partial is not None else batches.exact(0, *groups)
    if exact is None:
        return Estimate(math.nan, math.nan, "stopped early")
    change = found.per_image[closer][batches.rows[0]] - exact["iwae"].cpu()
    return Estimate.of(change, batches.part.noun)


def _bits(per_image: dict[str, Tensor], known: Tensor) -> dict[str, Tensor]:
    """Compute bits per known pixel of each bound, (N,); NaN where an image has none."""
    names = {"bits": "iwae", "bits_subset": "iwae_subset", "bits_few": "iwae_few"}
    return {
        name: bits_per_dimension(per_image[bound], known).masked_fill(known == 0, math.nan)
        for name, bound in names.items()
        if bound in per_image
    }


def _known_pixels(part: Part, rows: Tensor) -> Tensor:
    """Count the known pixels of each image, (N,)."""
    return torch.cat([(~x.isnan()).flatten(1).sum(1).cpu() for x in _images(part, rows)])


def _images(part: Part, rows: Tensor) -> Iterator[Tensor]:
    """Yield the images of some rows in order, a batch at a time."""
    if len(rows) == len(part):
        yield from part.split(IMAGES_AT_A_TIME)
        return
    for some in rows.split(IMAGES_AT_A_TIME):
        yield part.rows(some.tolist()).x
