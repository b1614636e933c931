"""Training of the models of a table, and the weights that withheld entries give them."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from elboroom.config import Config, MethodName
from elboroom.data import Dataset, Part
from elboroom.errors import UsageError
from elboroom.imputation.ensemble import Ensemble
from elboroom.imputation.stacking import stacked
from elboroom.infer.methods import infer
from elboroom.model.vae import VAE
from elboroom.randomness import stream
from elboroom.training.held_out import withheld_scores
from elboroom.training.loop import train
from elboroom.training.resolve import resolve_run

_ROWS = 1_000  # that are scored together
_MOST_ROWS = 2_000  # that weigh the models
_DRAWS = 500  # of each of them
_OF_SOME_MODELS: tuple[MethodName, ...] = ("grid", "pseudo-gibbs", "metropolis-within-gibbs")
"""Methods that other latents or another prior can rule out."""


def train_ensemble(
    data: Dataset,
    configs: Mapping[str, Config],
    train_member: Callable[[str, Config], VAE] | None = None,
) -> dict[str, tuple[VAE, float]]:
    """Train a model by each config, and weigh them by the entries withheld for validation.

    Args:
        data: a table of which entries are withheld.
        configs: the config of each model, by name.
        train_member: trains the model of a name and a config on the data; by default in memory.

    Returns:
        Each model that has a weight, with it, by name.

    Raises:
        UsageError: if no entries are withheld for validation.
    """
    part = data.validation
    if part is None or part.withheld is None:
        raise UsageError(
            "no entries are withheld from these data",
            why="the models are weighed by entries that training does not see",
            fix="give the data with DataConfig(withhold=0.1)",
        )
    member = train_member or (lambda name, config: trained(data, config))
    models = {name: member(name, config) for name, config in configs.items()}
    weights = stacked(torch.stack([entry_scores(model, part) for model in models.values()]))
    weighed = zip(models.items(), weights.tolist(), strict=True)
    return {name: (model, weight) for (name, model), weight in weighed if weight > 0}


def ensemble_of(members: Mapping[str, tuple[VAE, float]]) -> Ensemble:
    """Return the ensemble of models with weights."""
    models, weights = zip(*members.values(), strict=True)
    return Ensemble(models, torch.tensor(weights, dtype=torch.float64))


def trained(data: Dataset, config: Config) -> VAE:
    """Train a model in memory, and return it in evaluation mode on the processor."""
    found = resolve_run(config, data)
    train(found.model, data, found.config.train, objective=found.config.objective)
    return found.model.cpu().eval()


def require_method(method: MethodName, data: Dataset, configs: Mapping[str, Config]) -> None:
    """Check that a method can infer z of the models of some configs, before they are trained.

    Raises:
        UsageError: if it cannot of one of them.
    """
    row = data.train.x[:1]
    for config in configs.values() if method in _OF_SOME_MODELS else ():
        model = resolve_run(config, data).model.cpu().eval()
        infer(method, model, row, ~row.isnan(), generator=stream(0, "method"))


def entry_scores(model: VAE, part: Part) -> Tensor:
    """Score the withheld entries of a part by a model, in nats, (E,).

    They are those of 2,000 rows at random at most, the same for every model.
    """
    assert part.withheld is not None
    x, found = part.x, list[Tensor]()
    scored = part.withheld.any(1).nonzero()[:, 0]
    if not len(scored):
        return x.new_zeros(0)
    if len(scored) > _MOST_ROWS:
        order = torch.randperm(len(scored), generator=stream(0, "weighing"))
        scored = scored[order[:_MOST_ROWS]]
    for number, rows in enumerate(scored.split(_ROWS)):
        withheld, noise = part.withheld[rows], stream(0, "stacking", number)
        with torch.no_grad():
            scores = withheld_scores(model, x[rows], withheld, _DRAWS, noise)
        found.append(scores[withheld])
    return torch.cat(found)
