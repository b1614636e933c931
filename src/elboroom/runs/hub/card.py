"""The model card of a published model: README.md, filled from the run."""

import re
from dataclasses import dataclass
from typing import Any

from elboroom import __version__
from elboroom.data import noun
from elboroom.data.tables.schema import Schema
from elboroom.errors import UsageError
from elboroom.model.vae import VAE
from elboroom.runs.hub.card_data import data_rows, held_of_data
from elboroom.runs.hub.card_evaluation import CardEvaluation
from elboroom.runs.hub.card_limits import limits
from elboroom.runs.hub.card_model import dimensions, likelihood, model_rows
from elboroom.runs.hub.card_training import training_rows
from elboroom.runs.hub.known_data import known_data
from elboroom.runs.hub.markdown import templates
from elboroom.runs.hub.pretrained_config import PreparedData, StoredWeights
from elboroom.runs.run import Run

CARD = "README.md"
_MOST_COLUMNS = 50
_CAPTIONS = {
    "samples": "Generated: z drawn from the prior; means of p(x|z), and a draw of each",
    "manifold": "Means of p(x|z) over the latent plane",
    "traversal": "Means of p(x|z) as one latent after another is walked through the prior",
    "curves": "Training: the ELBO, its two terms, and the held-out ELBO",
}


@dataclass(frozen=True, kw_only=True)
class Card:
    """A model card.

    Attributes:
        name: the name of the model.
        run: the run.
        model: its model.
        weights: the file of the weights.
        data: how the data were prepared.
        columns: the columns of a table as they are published; None for other data.
        evaluation: the evaluation of these weights; None if there is none.
        figures: the files of figures beside the card.
        license: the licence of the weights; None if none is stated.
        repo_id: the id of the repository; None if it is not known.
    """

    name: str
    run: Run
    model: VAE
    weights: StoredWeights
    data: PreparedData
    columns: Schema | None
    evaluation: dict[str, Any] | None
    figures: list[str]
    license: str | None
    repo_id: str | None

    def render(self) -> str:
        """Return the card as Markdown with its front matter.

        Raises:
            RunError: if the metrics or the evaluation of the run cannot be read.
        """
        shown = {**self._model(), **self._data(), **self._evaluation()}
        return (
            templates()
            .get_template("card.md.j2")
            .render(
                name=self.name,
                version=__version__,
                license=self.license,
                repo_id=self.repo_id,
                source=self.repo_id or ".",
                figures=self.figures,
                captions={f"{name}.png": text for name, text in _CAPTIONS.items()},
                training_rows=training_rows(self.run, self.weights),
                **shown,
            )
        )

    def _model(self) -> dict[str, Any]:
        """Return what the card shows of the model."""
        config, model = self.run.config.model, self.model
        found = f"likelihood:{likelihood(config)}", f"latents:{config.latents}"
        return {
            "tags": ["vae", f"elboroom_version:{__version__}", *found],
            "latents": f"{model.latents:,} latent{'s' * (model.latents != 1)}",
            "factory": config.network if config.has_own_network else None,
            "model_rows": model_rows(config, model),
        }

    def _data(self) -> dict[str, Any]:
        """Return what the card shows of the data."""
        columns, shape = () if self.columns is None else self.columns.columns, self.run.event_shape
        return {
            "noun": noun(shape),
            "shape": dimensions(shape),
            "is_picture": len(shape) == 3,
            "known": known_data(self.run.identity),
            "data_rows": data_rows(self.run, self.data),
            "held_of_data": held_of_data(self.run, self.model),
            "columns": columns[:_MOST_COLUMNS],
            "more_columns": max(len(columns) - _MOST_COLUMNS, 0),
        }

    def _evaluation(self) -> dict[str, Any]:
        """Return what the card shows of the evaluation, and of the limits of the model."""
        found = CardEvaluation.of(self.run, self.model, self.evaluation)
        is_stale = self.evaluation is None and self.run.results.read_evaluation() is not None
        known = limits(self.run, self.weights, found.reliable)
        return {"evaluation": found, "is_stale": is_stale, "limits": known}


def require_license(found: str | None) -> None:
    """Check the form of a licence's identifier.

    Raises:
        UsageError: if it is no identifier of the Hub's kind.
    """
    form = r"[a-z0-9][a-z0-9.\-]*"
    if found is not None and not (isinstance(found, str) and re.fullmatch(form, found)):
        raise UsageError(
            "this license cannot be used",
            why=f"found {found!r}; expected an identifier in small letters, as the Hub lists them",
            fix="give one such as mit, apache-2.0 or cc-by-4.0; other for one of your own",
        )
