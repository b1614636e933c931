"""`elboroom impute`: a table with its gaps filled in, and a page on how good that is."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from elboroom.cli.table_rows import TableRows, require_table
from elboroom.cli.terminal import counting, plain_console
from elboroom.config import Config, DataConfig, ImputeConfig
from elboroom.data import Dataset, load_data
from elboroom.data.summary import counted
from elboroom.errors import RunError, UsageError
from elboroom.imputation.column_checks import check_columns
from elboroom.imputation.folder import Folder, open_folder, write_folder
from elboroom.imputation.imputation import Imputation, imputed_batches
from elboroom.imputation.recipe import WITHHELD, recipe
from elboroom.imputation.report import Report
from elboroom.imputation.row_doubts import row_doubts
from elboroom.imputation.scores import score_rows
from elboroom.imputation.training import ensemble_of, require_method, train_ensemble
from elboroom.model.vae import VAE
from elboroom.runs import atomic, out_file
from elboroom.runs.run import RUNS, Run
from elboroom.runs.training import train_run
from elboroom.training.resolve import resolve

if TYPE_CHECKING:
    import pandas as pd

_DRAWS_OF_A_ROW = 200  # for doubts alone; `elboroom score` takes more


def impute(config: ImputeConfig, *, trust: bool, quiet: bool, as_json: bool) -> None:
    """Train models of a table, or open some, and write the table with its gaps filled in.

    Raises:
        DataError: if the table cannot be read or used.
        RunError: if a file is in the way, or the models cannot be opened.
    """
    files = _files(config)
    for file in files.values():
        out_file.require_absent(file)
    require_table(config.out)
    if config.run is None:
        folder, rows = _train(config, quiet=quiet)
    else:
        folder = open_folder(config.run, trust=trust)
        rows = TableRows.of_models(config.table, folder)
        _require_fillable(rows, config)
    found = _impute(folder, rows, config, quiet=quiet)
    scores = score_rows(folder.ensemble, rows.x, rows.seen, seed=config.seed, draws=_DRAWS_OF_A_ROW)
    units = folder.ensemble.log_units
    doubts = row_doubts(scores.without_units(units, rows.seen), rows.seen)
    _write_tables(files, rows, found, config)
    page = _report(folder, rows, doubts, config).render()
    atomic.write_file(files["report"], page.encode())
    _print(folder, rows, doubts, files, as_json=as_json)


def _files(config: ImputeConfig) -> dict[str, Path]:
    """Return the files that are written, by what they hold."""
    out = config.out
    found = {
        "table": out,
        "uncertainty": out.with_name(f"{out.stem}.uncertainty{out.suffix}"),
        "report": out.with_suffix(".html"),
    }
    draws = {"draws": out.with_name(f"{out.stem}.draws{out.suffix}")} if config.draws else {}
    return found | draws


def _train(config: ImputeConfig, *, quiet: bool) -> tuple[Folder, TableRows]:
    """Train the models of the recipe, each as a run of a new folder."""
    options = DataConfig(
        str(config.table), columns=config.columns or "auto", unused=config.unused, withhold=WITHHELD
    ).with_absolute_path()
    data = load_data(options)
    rows = TableRows.of_data(config.table, data, config.columns)
    console = plain_console(stderr=True)
    for line in _read_lines(rows, data, quiet=quiet):
        console.print(line)
    _require_fillable(rows, config)
    path = config.models or RUNS / f"impute-{datetime.now():%Y%m%d-%H%M%S}"
    _require_free(path)
    configs = recipe(
        options, len(data.train), rows.schema.likelihoods, seed=config.seed, effort=config.effort
    )
    if config.method is not None:
        require_method(config.method, data, configs)
    members = _train_runs(path, data, configs, quiet=quiet)
    ensemble = ensemble_of(members)
    checks = check_columns(
        ensemble, data.test, rows.schema.modelled, seed=config.seed, method=config.method
    )
    write_folder(path, {name: weight for name, (_, weight) in members.items()}, checks, config.seed)
    return Folder(path, tuple(Run(path / name) for name in members), ensemble, tuple(checks)), rows


def _train_runs(
    path: Path, data: Dataset, configs: dict[str, Config], *, quiet: bool
) -> dict[str, tuple[VAE, float]]:
    """Train a run for each config, with one bar over the epochs of all."""
    resolved = {name: resolve(config, data) for name, config in configs.items()}
    epochs = sum(config.train.resolved_epochs for config in resolved.values())
    atomic.make_folder(path, parents=True)
    with counting(epochs, f"epochs of {len(configs)} models", quiet=quiet) as advance:

        def train_member(name: str, config: Config) -> VAE:
            run = Run.create(path / name, config, data)
            model, _ = train_run(run, data, on_epoch=lambda state: advance(1))
            return model.cpu().eval()

        return train_ensemble(data, resolved, train_member)


def _impute(folder: Folder, rows: TableRows, config: ImputeConfig, *, quiet: bool) -> Imputation:
    parts = list[Imputation]()
    options = rows.x, rows.seen, config.draws, config.seed, config.method
    with counting(len(rows.x), "rows", quiet=quiet) as advance:
        for part in imputed_batches(folder.ensemble, *options):
            parts.append(part)
            advance(len(part.mean))
    return Imputation.joined(parts)


def _write_tables(
    files: dict[str, Path], rows: TableRows, found: Imputation, config: ImputeConfig
) -> None:
    """Write the filled table, the uncertainty of each filled entry, and the draws."""
    from elboroom.data.formats.frame_files import delimiter_of, table_bytes

    decode, mark = rows.schema.decoder(rows.frame), rows.decimal_mark
    cut = rows.delimiter or delimiter_of(config.table)
    filled = decode(found.mean.double().numpy())
    content = table_bytes(filled, files["table"], config.table, rows.delimiter)
    atomic.write_file(files["table"], content)
    uncertainty = table_bytes(
        _uncertainty(rows, found), files["uncertainty"], delimiter=cut, decimal=mark
    )
    atomic.write_file(files["uncertainty"], uncertainty)
    if config.draws:
        tables = [decode(draw.double().numpy()) for draw in found.draws]
        long = long_form([rows.frame, *tables])
        atomic.write_file(files["draws"], table_bytes(long, files["draws"], delimiter=cut))


def long_form(tables: "Sequence[pd.DataFrame]") -> "pd.DataFrame":
    """Stack imputed tables as R's mice does: .imp numbers the tables, and .id the rows from 1.

    Args:
        tables: the table with its gaps, which is .imp 0, and the imputed ones.
    """
    import pandas as pd

    numbered = list[pd.DataFrame]()
    for number, table in enumerate(tables):
        key = pd.DataFrame({".imp": number, ".id": range(1, len(table) + 1)}, index=table.index)
        numbered.append(pd.concat([key, table], axis=1))
    return pd.concat(numbered, ignore_index=True)


def _uncertainty(rows: TableRows, found: Imputation) -> "pd.DataFrame":
    """Return the standard deviation or the probability of each filled entry; others are missing."""
    import pandas as pd

    values = torch.where(found.spread.isnan(), found.probability, found.spread).double().numpy()
    known = ~np.isnan(values)
    values[known] = [float(f"{value:.6g}") for value in values[known].tolist()]
    return pd.DataFrame(values, columns=list(rows.schema.modelled))


def _read_lines(rows: TableRows, data: Dataset, *, quiet: bool) -> list[str]:
    """Describe the columns, and what the user should check."""
    found = [f"note: {note}" for note in (data.reading.notes if data.reading else ())]
    return found if quiet else [*rows.schema.lines(), *found]


def _report(
    folder: Folder, rows: TableRows, doubts: dict[int, str], config: ImputeConfig
) -> Report:
    how = "draws of each model's q(z | x), weighted" if config.method is None else config.method
    weights = folder.ensemble.weights.tolist()
    return Report(
        name=config.table.name,
        names=rows.schema.modelled,
        types=rows.schema.lines(),
        left_out=rows.lines_left_out,
        seen=rows.seen.numpy(),
        checks=folder.checks,
        row_doubts=doubts,
        weights={run.path.name: w for run, w in zip(folder.runs, weights, strict=True)},
        method=f"Inference of z: {how}. Seed {config.seed}.",
        models=folder.path,
    )


def _print(
    folder: Folder,
    rows: TableRows,
    doubts: dict[int, str],
    files: dict[str, Path],
    *,
    as_json: bool,
) -> None:
    console, doubted = plain_console(), [check for check in folder.checks if check.doubts]
    summary = _summary(folder, rows, doubts, files)
    if as_json:
        console.print(atomic.as_json(summary))
        return
    filled = counted(summary["filled"], "entry", "entries")
    console.print(f"filled in {filled} of {counted(summary['rows'], 'row')}")
    for line in rows.lines_left_out:
        console.print(f"not filled in: {line}")
    for check in doubted:
        console.print(f"not to trust: {check.name}: {'; '.join(check.doubts)}")
    if doubts:
        console.print(f"not to trust: {counted(len(doubts), 'row')}, which {files['report']} lists")
    for file in files.values():
        console.print(file)
    console.print(f"models: {folder.path}, for new rows by --run {folder.path}")


def _summary(
    folder: Folder, rows: TableRows, doubts: dict[int, str], files: dict[str, Path]
) -> dict[str, Any]:
    return {
        "rows": len(rows.x),
        "columns": len(rows.schema.modelled),
        "filled": int((~rows.seen).sum()),
        "not_filled": {column.name: gaps for column, gaps in rows.left_out.items()},
        "checks": [vars(check) | {"doubts": check.doubts} for check in folder.checks],
        "row_doubts": {str(row + 1): why for row, why in doubts.items()},
        "files": {name: str(file) for name, file in files.items()},
        "models": str(folder.path),
    }


def _require_fillable(rows: TableRows, config: ImputeConfig) -> None:
    """Check that something is missing, and that the draws can be written.

    Raises:
        UsageError: if nothing is, or they cannot.
    """
    if rows.seen.all():
        raise UsageError(
            f"{config.table} has no gap to fill in",
            why="every entry of its modelled columns is known",
            fix="give a table with gaps, or say by --columns which entries mean missing, such as "
            "age.missing = [-999]",
        )
    _require_names(rows, config)


def _require_free(path: Path) -> None:
    if path.exists():
        raise RunError(
            f"{path} is in the way",
            why="the models of a table are never written over another folder",
            fix="name another folder with --models",
        )


def _require_names(rows: TableRows, config: ImputeConfig) -> None:
    """Check that the long form of draws can have the columns of a table.

    Raises:
        UsageError: if it cannot.
    """
    names = {".imp", ".id"} & {*rows.frame.columns}
    if config.draws and names:
        raise UsageError(
            f"the table has a column {min(names)}",
            why="that is the name of the number of an imputation, or of a row, in long form",
            fix="give the column another name, or leave --draws out",
        )
