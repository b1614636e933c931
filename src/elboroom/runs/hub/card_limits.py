"""The limits of a model, as its card states them: what was found, and what was not checked."""

from collections.abc import Iterator

from elboroom.data import noun
from elboroom.runs.hub.card_training import history_of
from elboroom.runs.hub.markdown import markdown
from elboroom.runs.hub.pretrained_config import StoredWeights
from elboroom.runs.run import Run
from elboroom.training.safeguards.collapse_and_overfitting import find_symptoms

_LEAST_RELIABLE = 0.9  # share of the rows


def limits(run: Run, weights: StoredWeights, share: float | None) -> list[str]:
    """List the limits of a model of a run, those that were found first.

    Args:
        run: the run.
        weights: its weights.
        share: share of the rows whose importance weights are reliable; None if not known.

    Raises:
        RunError: if the metrics of the run cannot be read.
    """
    return [*_found(run, weights, share), *_always(run)]


def _found(run: Run, weights: StoredWeights, share: float | None) -> Iterator[str]:
    """Yield what the training and the evaluation of these weights have shown."""
    word, history = noun(run.event_shape), history_of(run, weights)
    watched_by = "withheld log p" if run.config.data.withhold else "held-out ELBO"
    for symptom in find_symptoms(history, run.config.train, watched_by, word):
        # What follows the first sentence is advice for another training.
        yield f"**Found in training:** {markdown(symptom.partition('. ')[0])}."
    skipped = sum(metrics.skipped for metrics in history)
    if skipped:
        yield (
            f"**Found in training:** {skipped:,} steps changed nothing, as their gradients were "
            "too large or not finite."
        )
    if share is not None and share < _LEAST_RELIABLE:
        yield (
            f"**Found in the evaluation:** the importance weights are reliable for {share:.1%} of "
            f"the {word}s alone, so the IWAE bound may be far below log p(x) for the others."
        )


def _always(run: Run) -> Iterator[str]:
    """Yield what holds for every such model."""
    word, config = noun(run.event_shape), run.config.model
    yield (
        f"ELBO and IWAE bound are lower bounds on log p(x) of {word}s that were prepared as above. "
        "Values of other preparations, likelihoods or units cannot be compared with them."
    )
    yield (
        f"It knows {word}s like those of its training part. For others, log p(x) is no reliable "
        "sign that they are strange: Nalisnick et al., *Do Deep Generative Models Know What They "
        "Don't Know?* (2019)."
    )
    if config.posterior != "laplace":
        yield (
            f"The encoder's q(z∣x) approximates the posterior. Of {word}s that are seen in part, "
            "`elboroom.infer` fits p(z∣x_seen) under any mask."
        )
    yield (
        f"Not checked: biases of the data, whether {word}s of single persons can be drawn from it, "
        "and any use in which somebody is harmed by a wrong answer."
    )
