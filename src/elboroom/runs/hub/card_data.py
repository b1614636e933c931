"""The data of a model as its card describes them, and what of them is in the files."""

from collections.abc import Iterator
from math import prod

from elboroom.config.kinds import VALUE_KINDS
from elboroom.data import noun
from elboroom.model.likelihoods import TableModel, Units
from elboroom.model.vae import VAE
from elboroom.runs.hub.card_model import dimensions
from elboroom.runs.hub.known_data import known_data
from elboroom.runs.hub.pretrained_config import PreparedData
from elboroom.runs.run import Run


def data_rows(run: Run, data: PreparedData) -> list[tuple[str, str]]:
    """Describe the data of a run, without names of files."""
    known, config = known_data(run.identity), run.config.data
    values = "0 and 1" if data.values is None else VALUE_KINDS[data.values]
    named = "not named here" if known is None else f"{known.name} ({known.hub_id} on the Hub)"
    withheld = f"{config.withhold:g} of the known entries" if config.withhold else ""
    table = {
        "name": named,
        "one row": f"{noun(run.event_shape)} of shape {dimensions(run.event_shape)}, {values}",
        "binarisation": data.binarisation,
        "pictures": ", ".join(option.removeprefix("--") for option in config.picture_options),
        "split": data.split,
        "test part": f"{data.test_rows:,} {noun(run.event_shape)}s",
        "withheld": withheld,
        "SHA-256 of all values": f"`{data.sha256}`",
    }
    return [(name, text) for name, text in table.items() if text]


def held_of_data(run: Run, model: VAE) -> list[str]:
    """List what the files hold that was taken from the data."""
    return [*_held(run, model)]


def _held(run: Run, model: VAE) -> Iterator[str]:
    likelihood, config, word = model.likelihood, run.config.model, noun(run.event_shape)
    if isinstance(likelihood, TableModel):
        yield (
            "The names of its columns and of all their levels, the words that mean missing, the "
            "number of decimals, and the origin from which numbers and dates count, in "
            "`columns.toml`."
        )
        yield "In the weights, the location, the spread and the shares of each column."
    elif likelihood.units is not None:
        yield f"In the weights, the mean and the spread of its values, {_count(likelihood.units)}."
    if config.prior == "vamp":
        yield (
            f"In the weights, {config.components:,} pseudo-inputs of the prior. **They began as "
            f"{word}s of the training part, and may still show them.**"
        )
    if config.data_bias:
        yield f"In the initial bias of the decoder, the mean {word}."
    yield (
        f"The SHA-256 of its values, by which whoever has the data recognises them, and the number "
        f"of {word}s of the test part."
    )
    yield (
        f"{'No other' if config.prior == 'vamp' else 'No'} {word} of it. Still, a model may "
        f"reproduce {word}s that it was trained on; this one was not tested for that."
    )


def _count(units: Units) -> str:
    numbers = prod(units.scale.shape)
    return "one for all" if numbers == 1 else f"{numbers:,} of each"
