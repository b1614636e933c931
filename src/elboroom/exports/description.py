"""The description of exported networks: what they take and return, and the model around them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from torch import Tensor

from elboroom import __version__
from elboroom.errors import named
from elboroom.exports.coder import Coder
from elboroom.exports.densities import COLUMN_FORMULAS, FORMULAS, likelihood_name
from elboroom.model.laplace_posterior import NoEncoder
from elboroom.model.likelihoods import TableModel
from elboroom.model.likelihoods.standardised import Units
from elboroom.model.posteriors import CholeskyGaussian, DiagonalGaussian, LadderFamily
from elboroom.model.priors import MixturePrior, Prior, StandardNormal, TopPrior
from elboroom.model.vae import VAE
from elboroom.runs.run import Run

FORMAT = "elboroom networks export 1"
_INPUTS = {
    "x": "rows in the units of the data, as `Dataset` has them",
    "mask": "true where a value of x is seen; x may be anything elsewhere, NaN too",
    "eps": "standard normal noise; zeros give the middle of q",
    "z": "latents: draws from the prior, or from q",
}
_OF_POSTERIOR = {
    "mean": "the mean of q(z | x)",
    "log_std": "the logarithms of the standard deviations of q, whose latents are independent",
    "scale_tril": "L, lower triangular: the covariance of q is L times its transpose",
    "z": "draws of q(z | x), one for each eps",
    "log_q": "log q(z | x) of these draws, in nats",
}
_MEAN = "E[x | z]; of a column of levels the most probable one"


def describe(
    model: VAE, networks: Sequence[tuple[Coder, dict[str, Any]]], run: Run | None, mark: str
) -> dict[str, Any]:
    """Describe a portable model and its networks, of which facts are known.

    `mark` is the fingerprint of the weights.
    """
    return {
        "format": FORMAT,
        "elboroom": __version__,
        "fingerprint": mark,
        "event_shape": list(model.event_shape),
        "latents": model.latents,
        "level_shapes": [list(shape) for shape in model.level_shapes],
        "networks": {coder.name: facts | _signature(coder) for coder, facts in networks},
        "posterior": _posterior(model),
        "prior": _prior(model.prior.fixed()),
        "likelihood": _likelihood(model),
        "standardisation": _standardisation(model.likelihood.units),
        "columns": _columns(model, run),
        "options": None if run is None else asdict(run.config.model),
    }


def _signature(coder: Coder) -> dict[str, Any]:
    """Describe the inputs and the outputs: names, types, shapes and meanings."""
    axes = ((coder.example[name].shape, names) for name, names in coder.axes.items())
    free = {size: axis for shape, names in axes for size, axis in zip(shape, names, strict=False)}
    meanings = _OF_POSTERIOR if coder.name == "encoder" else _meanings(coder.model)
    return {
        "inputs": [_tensor(name, one, free, _INPUTS) for name, one in coder.example.items()],
        "outputs": [_tensor(name, one, free, meanings) for name, one in coder.outputs.items()],
    }


def _tensor(
    name: str, value: Tensor, free: Mapping[int, str], meanings: Mapping[str, str]
) -> dict[str, Any]:
    leading = [free.get(size, size) for size in value.shape[:2]]
    return {
        "name": name,
        "type": str(value.dtype).removeprefix("torch."),
        "shape": [*leading, *value.shape[2:]],
        "meaning": meanings.get(name, ""),
    }


def _meanings(model: VAE) -> dict[str, str]:
    """Return the meanings of the decoder's outputs."""
    if isinstance(model.likelihood, TableModel):
        layout = model.likelihood.layout
        families = (layout.columns[block.columns[0]].family for block in layout.blocks)
        pairs = zip(layout.block_names, families, strict=True)
        blocks = {block: COLUMN_FORMULAS[family].parameters for block, family in pairs}
        found = {f"{b}_{name}": word for b, words in blocks.items() for name, word in words.items()}
        return {"mean": _MEAN, **found}
    name = likelihood_name(model.likelihood.density)
    return {"mean": "E[x | z]", **({} if name is None else FORMULAS[name].parameters)}


def _likelihood(model: VAE) -> dict[str, Any]:
    if isinstance(model.likelihood, TableModel):
        return {
            "name": "columns",
            "takes": "each column what `columns` says",
            "density": "log p(x | z) is the sum over columns, or over those that are seen",
        }
    density = model.likelihood.density
    name = likelihood_name(density)
    if name is None:
        of_own = f"that of {named(density)}, by its own parameters"
        return {"name": density.__name__, "takes": density.takes, "density": of_own}
    return {"name": name, "takes": density.takes, "density": FORMULAS[name].density}


def _posterior(model: VAE) -> dict[str, str] | None:
    if isinstance(model.encoder, NoEncoder):
        return None
    if model.family is DiagonalGaussian:
        return {"name": "diagonal", "draw": "z = mean + exp(log_std) * eps with eps ~ N(0, I)"}
    if model.family is CholeskyGaussian:
        return {"name": "full", "draw": "z = mean + scale_tril @ eps with eps ~ N(0, I)"}
    name = "ladder" if isinstance(model.family, LadderFamily) else "flow"
    return {"name": name, "draw": "the encoder's z, for eps ~ N(0, I)"}


def _prior(prior: Prior) -> dict[str, Any]:
    """Describe p(z), with its numbers where it has any."""
    if isinstance(prior, StandardNormal):
        return {"name": "standard", "density": "N(0, I)"}
    if isinstance(prior, MixturePrior):
        log_weights, parts = prior.components()
        return {
            "name": "mixture",
            "density": "sum over c of exp(log_weights[c]) N(means[c], diag(exp(log_stds[c]))**2)",
            "log_weights": log_weights.tolist(),
            "means": parts.location.tolist(),
            "log_stds": parts.log_std.tolist(),
        }
    if isinstance(prior, TopPrior):
        top, rest = _prior(prior.top), prior.standard_latents
        density = f"`top` of the first latents, and N(0, I) of the last {rest}"
        return {"name": "top", "density": density, "top": top}
    return {"name": type(prior).__name__, "density": None}


def _standardisation(units: Units | None) -> dict[str, Any] | None:
    """Describe what the networks do inside; inputs and outputs are in the units of the data."""
    if units is None:
        return None
    return {"location": units.location.tolist(), "scale": units.scale.tolist()}


def _columns(model: VAE, run: Run | None) -> list[dict[str, Any]] | None:
    """Describe the columns of a table: the values that they take, and where their outputs are."""
    if not isinstance(model.likelihood, TableModel):
        return None
    layout, schema = model.likelihood.layout, None if run is None else run.data.schema
    found = list[dict[str, Any]]()
    for place, (family, levels) in enumerate(layout.columns):
        block, index = layout.place_of(place)
        own = {} if schema is None else _encoding(schema.modelled_columns[place])
        found.append(
            own
            | {
                "likelihood": family,
                "density": COLUMN_FORMULAS[family].density,
                "number_of_levels": levels,
                "outputs": f"{layout.block_names[block]}_*",
                "index": index,
            }
        )
    return found


def _encoding(column: Any) -> dict[str, Any]:
    """Describe how an entry of a column becomes a number."""
    code = "the place of its level in `levels`, from 0"
    number = "days since 1970-01-01" if column.type == "date" else "the number"
    number += f" minus {column.origin:.17g}" * (column.origin != 0)
    rule, levels = code if column.has_levels else number, list(column.levels)
    return {"name": column.name, "type": column.type, "x": rule, "levels": levels}
