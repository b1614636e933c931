"""The folder of a published model: weights, config, card, and what else the run has to show."""

import os
from pathlib import Path
from typing import Any

from elboroom.errors import UsageError, require_instance
from elboroom.model.vae import VAE
from elboroom.runs import columns_file, partial_encoder_file
from elboroom.runs.atomic import as_json, in_place_of, make_folder, write_file, write_folder
from elboroom.runs.checkpoints.manifest import MODEL, describe
from elboroom.runs.checkpoints.tensors import to_bytes
from elboroom.runs.hub.card import CARD, Card, require_license
from elboroom.runs.hub.pretrained_config import (
    CONFIG,
    PreparedData,
    PretrainedConfig,
    StoredWeights,
    is_own,
)
from elboroom.runs.hub.published_columns import published_columns
from elboroom.runs.results import EVALUATION
from elboroom.runs.run import Run

_FIGURES = ("samples", "manifold", "traversal", "curves")  # which show no row of the data
_OF_FIGURES = tuple(f"{name}.png" for name in _FIGURES)
FILES = (
    *(MODEL, CONFIG, CARD, EVALUATION, partial_encoder_file.FILE, columns_file.FILE),
    *_OF_FIGURES,
)
"""Files that a folder may have."""


def save_pretrained(
    run: Run,
    folder: str | os.PathLike[str],
    *,
    best: bool = False,
    license: str | None = None,  # the name that model cards give it
    repo_id: str | None = None,
) -> Path:
    """Write the model of a run as a folder in the conventions of the Hugging Face Hub.

    It holds the weights bit for bit (model.safetensors), what makes the model again (config.json)
    and a model card (README.md). Where the run has them, it also holds the evaluation of these
    weights, their partial encoder, the columns of a table, and figures that show no row of the
    data. Paths and names of files, which are of your disk, are left out. What is of the data is
    listed in the card.

    Args:
        run: the run.
        folder: the new folder; an earlier one that this wrote is replaced, and nothing else.
        best: take the checkpoint with the largest held-out ELBO instead of the newest.
        license: the licence of the weights by its identifier on the Hub, such as mit; None states
            none.
        repo_id: the id of the repository for which the card is written; None if it is not known.

    Returns:
        The folder.

    Raises:
        RunError: if the run has no whole checkpoint, or a file of it cannot be read.
        UsageError: if an argument has another type, or something else is at `folder`.
        DiskError: if it cannot be written.

    Example:
        >>> from elboroom import Config, DataConfig, Run, save_pretrained, train_run
        >>> config = Config(DataConfig(split="reference"), networks, train=replace(brief, epochs=1))
        >>> run = Run.create("runs/first", config, mnist)
        >>> _ = train_run(run, mnist)
        >>> sorted(file.name for file in save_pretrained(run, "digits", license="mit").iterdir())
        ['README.md', 'config.json', 'model.safetensors']
    """
    require_instance("run", run, Run, fix="open one: Run(path)")
    require_instance("folder", folder, str, os.PathLike, fix="give the folder to write")
    require_license(license)
    out = Path(folder).expanduser().absolute()
    _require_free(out)
    files = _files(run, out.name, best=best, license=license, repo_id=repo_id)
    make_folder(out.parent, parents=True)
    with in_place_of(out):
        write_folder(out, lambda place: _fill(place, files))
    return Path(folder)


def _files(
    run: Run,
    name: str,
    *,
    best: bool,
    license: str | None,
    repo_id: str | None,
) -> dict[str, bytes]:
    """Return the content of each file by its name."""
    model, step = run.load_model_and_step(best=best)
    run.load_partial_encoder(model)
    weights = to_bytes(model.state_dict(), {"format": "pt"})
    columns, evaluation = published_columns(run), _evaluation(run, step)
    stored = StoredWeights(
        **describe(weights),
        step=step,
        weights_step=run.results.weights_step(step),
        seed=run.config.train.seed,
    )
    config = PretrainedConfig(run.config.model, run.event_shape, stored, _prepared(run))
    figures = _figures(run, step)
    card = Card(
        name=(repo_id or name).split("/")[-1],
        run=run,
        model=model,
        weights=stored,
        data=config.data,
        columns=columns,
        evaluation=evaluation,
        figures=[*figures],
        license=license,
        repo_id=repo_id,
    )
    files = {MODEL: weights, CONFIG: config.to_json(), CARD: card.render().encode()}
    if evaluation is not None:
        files[EVALUATION] = as_json(evaluation).encode()
    if columns is not None:
        files[columns_file.FILE] = columns.to_toml().encode()
    return files | _partial_encoder(run, model) | figures


def _prepared(run: Run) -> PreparedData:
    """Return how the data of a run were prepared.

    Raises:
        DataError: if the run's data were packed, and the file of their rows is damaged.
    """
    identity, options = run.identity, run.data.options_of_new
    return PreparedData(
        identity.sha256,
        identity.binarisation,
        identity.values,
        identity.split,
        identity.test_images,
        options.size,
        options.crop,
        options.colour,
        options.background,
    )


def _evaluation(run: Run, step: int) -> dict[str, Any] | None:
    """Return the evaluation of the weights of a step, without the name of the file of the data.

    Return None if the run has none of these weights.

    Raises:
        RunError: if it cannot be read.
    """
    found = run.results.read_evaluation()
    if found is None or not run.results.matches(EVALUATION, step):
        return None
    identity = found.get("identity")
    if isinstance(identity, dict):
        found["identity"] = {name: v for name, v in identity.items() if name != "source"}
    return found


def _partial_encoder(run: Run, model: VAE) -> dict[str, bytes]:
    """Return the file of the partial encoder that a model holds; nothing if it has none."""
    if model.partial_encoder is None:
        return {}
    name = partial_encoder_file.FILE
    return {name: (run.path / name).read_bytes()}


def _figures(run: Run, step: int) -> dict[str, bytes]:
    """Return the figures of a step that show no row of the data."""
    results, found = run.results, run.results.figures()
    current = (n for n in _FIGURES if n in found and results.is_current(f"figures/{n}.png", step))
    return {f"{name}.png": found[name].read_bytes() for name in current}


def _fill(place: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        write_file(place / name, content)


def _require_free(out: Path) -> None:
    """Check that a folder can be written: nothing is there, or an earlier one and nothing else.

    Raises:
        UsageError: if something else is there.
    """
    if not out.exists():
        return
    others = sorted({p.name for p in out.iterdir()} - {*FILES}) if out.is_dir() else [out.name]
    if not others and (is_own(out) or not any(out.iterdir())):
        return
    raise UsageError(
        f"{out} is in the way",
        why=f"found {', '.join(others) or 'a model of another library'}; expected no folder, or "
        "one that was written so before, with nothing else in it",
        fix="name another folder; `hf upload OWNER/NAME FOLDER` sends it",
    )
