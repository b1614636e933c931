"""The summary of a model that notebooks show."""

from torch import nn

from elboroom.html_table import Summary, Table
from elboroom.model.partial_encoder import EncodedModel


def model_summary(model: EncodedModel) -> Summary:
    """Summarise a model: its densities, and its parts with their numbers of parameters."""
    parts = {
        "encoder": model.encoder,
        "decoder": model.decoder,
        "likelihood": model.likelihood,
        "prior": model.prior,
        "posterior": model.family,
    }
    modules = {name: part for name, part in parts.items() if isinstance(part, nn.Module)}
    rows = [(name, _name(part), f"{_parameters(part):,}") for name, part in modules.items()]
    weight = next((p for part in modules.values() for p in part.parameters()), None)
    facts = {
        "x": " × ".join(map(str, model.event_shape)),
        "latents": f"{model.latents:,}",
        "p(x|z)": _name(model.likelihood.kind),
        "p(z)": _name(model.prior),
        "q(z|x)": _name(model.family),
        "parameters": f"{sum(map(_parameters, modules.values())):,}",
        "type and device": None if weight is None else f"{weight.dtype}, {weight.device}",
    }
    return Summary("", facts, [Table(("part", "class", "parameters"), rows, numbers=False)])


def _name(part: object) -> str:
    """Return a class or a function by its name, and another object by that of its class."""
    return getattr(part, "__name__", type(part).__name__)


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
