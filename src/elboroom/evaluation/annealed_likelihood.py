"""log p(x) of test images by annealed importance sampling, with their IWAE bounds."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from elboroom.config import AnnealingSchedule, EvaluateConfig
from elboroom.data import Dataset
from elboroom.device import keep_freed_memory, shown_progress, world
from elboroom.errors import UsageError, require_positive
from elboroom.evaluation.estimate import Estimate
from elboroom.evaluation.evaluation import Evaluation
from elboroom.evaluation.likelihood import evaluate
from elboroom.html_table import Shown, Summary
from elboroom.infer.ais import annealed, require_annealing
from elboroom.infer.chains.annealing import TUNING, gradients
from elboroom.infer.chains.annealing_path import Path
from elboroom.infer.chains.noise import Noise
from elboroom.infer.laplace import laplace
from elboroom.infer.target import Target
from elboroom.model.arguments import checked
from elboroom.model.fingerprint import fingerprint
from elboroom.model.vae import VAE
from elboroom.randomness import fork, stream

_IMAGES_AT_A_TIME = 50


@dataclass(frozen=True, repr=False)
class AnnealedLikelihood(Shown):
    """Two estimates of log p(x) of the same N images; both are too low on average.

    Attributes:
        log_evidence: (N,), in nats, by annealed importance sampling.
        iwae: (N,), in nats, the IWAE bound.
        noun: the word for one row of the data, "image" or "row".

    Example:
        >>> from elboroom.evaluation import AnnealedLikelihood
        >>> iwae = torch.tensor([-90.5, -92.5])
        >>> found = AnnealedLikelihood(torch.tensor([-90.0, -91.0]), iwae)
        >>> print(found.estimates["difference"])  # what the IWAE bound misses, in nats per image
        1.00 ± 0.50
    """

    log_evidence: Tensor
    iwae: Tensor
    noun: str = "image"

    @property
    def difference(self) -> Tensor:
        """log_evidence − iwae, (N,)."""
        return self.log_evidence - self.iwae

    @property
    def estimates(self) -> dict[str, Estimate]:
        """The means over images of `log_evidence`, `iwae` and `difference`.

        Images are annealed with independent noise, so their spread counts its Monte-Carlo error.
        """
        known = {"log_evidence": self.log_evidence, "iwae": self.iwae}
        return Estimate.of_each(known | {"difference": self.difference}, self.noun)

    def _summary(self) -> Summary:
        names = {
            "log_evidence": "log p(x) by AIS",
            "iwae": "IWAE bound",
            "difference": "AIS − IWAE",
        }
        found = {names[name]: f"{estimate:.3f}" for name, estimate in self.estimates.items()}
        unit = {"unit": f"nats per {self.noun}, ± one standard error"}
        return Summary(f"{len(self.iwae):,} {self.noun}s", found | unit)


@checked
def annealed_likelihood(
    model: VAE,
    data: Dataset,
    evaluation: Evaluation,
    *,
    images: int,
    seed: int,
    distributions: int = EvaluateConfig.distributions,
    chains: int = EvaluateConfig.chains,
    schedule: AnnealingSchedule = EvaluateConfig.schedule,
    on_images: Callable[[int], None] = lambda images: None,
    progress: bool = False,
) -> AnnealedLikelihood:
    """Estimate log p(x) of the first images of a part by `infer.ais`.

    Several processes share the images in batches, and all return what one returns.

    Args:
        model: model that is evaluated, on the device where the chains run.
        data: data of the evaluation, whose part is used.
        evaluation: result of `evaluate` for the same model and data; it has the IWAE bounds. With a
            subset it does not have those of the first images, which are then sampled too.
        images: N, the number of images.
        seed: seed of the chains.
        distributions: number of distributions after q₀, each with one move.
        chains: number of chains per image.
        schedule: schedule of the inverse temperature.
        on_images: called with the number of images of each batch that this process has finished.
        progress: show the progress, in a notebook or a terminal.

    Raises:
        UsageError: if a count is not positive, there are fewer than N images, or the evaluation is
            of another model or was stopped early.
        IncomparableError: if the evaluation is of other data.

    Example:
        >>> from elboroom import evaluate
        >>> from elboroom.evaluation import annealed_likelihood
        >>> bounds = evaluate(model, data, k=10, seed=0)
        >>> found = annealed_likelihood(model, data, bounds, images=5, seed=0, distributions=10)
        >>> found.difference.shape, list(found.estimates)
        (torch.Size([5]), ['log_evidence', 'iwae', 'difference'])
    """
    require_positive(images=images)
    _require_evaluation(evaluation, model, data)
    data = data.with_test(evaluation.part)
    _require_images(images, len(data.test), data.nouns)
    keep_freed_memory()
    device, parts = next(model.parameters()).device, list[dict[str, Tensor]]()
    fixed, kernels = model.fixed(), None
    batches = torch.arange(images).split(_IMAGES_AT_A_TIME)
    with shown_progress(progress, "AIS") as show:
        own = list(world().own(batches))
        count, total = itertools.count(1), len(own) * (TUNING + distributions)

        def on_move() -> None:
            show((move := next(count)) / total, f"move {move:,} of {total:,}")

        for rows in own:
            x = data.test.rows(rows.tolist()).x.to(device)
            target = Target.of(fixed, x, seen := data.test.seen(x))
            if kernels is None:
                require_annealing(target, distributions, chains)
                kernels = target.kernels_for(gradients(distributions, chains, len(batches)))
            generator = stream(seed, "ais", int(rows[0]), device=device)
            noise = Noise(fork(generator), shared=False)
            start = laplace(model, x, seen, generator=generator, mixture=True)
            path = Path.of(replace(target, kernels=kernels), start.q)
            posterior = annealed(path, noise, generator, distributions, chains, schedule, on_move)
            parts.append({"log_evidence": posterior.log_evidence})
            on_images(len(rows))
    found = [part["log_evidence"].cpu() for part in world().spread(parts)]
    iwae = _bounds(model, data, evaluation, images, seed)
    return AnnealedLikelihood(torch.cat(found), iwae, data.noun)


def _bounds(model: VAE, data: Dataset, evaluation: Evaluation, images: int, seed: int) -> Tensor:
    """Return the bounds of the first images with the samples of the evaluation, (N,)."""
    if evaluation.subset is None:
        return evaluation.per_image["iwae"][:images]
    first = replace(data, test=data.test.rows(list(range(images))))
    return evaluate(model, first, k=evaluation.k, seed=seed).per_image["iwae"]


def _require_evaluation(evaluation: Evaluation, model: VAE, data: Dataset) -> None:
    """Check that an evaluation is of this model and these data."""
    fix = "evaluate the model on these data first, and give the result"
    data.identity.require_same(evaluation.identity, what="these bounds are of other data", fix=fix)
    if evaluation.fingerprint != fingerprint(model):
        raise UsageError(
            "these bounds are of another model",
            why="the weights of the model are not those that were evaluated",
            fix=fix,
        )
    if evaluation.partial is not None:
        raise UsageError(
            "these bounds are of some images alone",
            why=f"the evaluation was {evaluation.partial.describe(data.noun, evaluation.k)}",
            fix=fix,
        )


def _require_images(images: int, count: int, nouns: str) -> None:
    if images > count:
        raise UsageError(
            f"found images = {images:,}; expected at most {count:,}",
            why=f"the first {nouns} of the part are annealed, and it has no more",
            fix=f"give images of {count:,} or fewer",
        )
