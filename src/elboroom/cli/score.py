"""`elboroom score`: log p of the rows of a table, and the surprise of each entry."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from torch import Tensor

from elboroom.cli.table_rows import TableRows, require_table
from elboroom.cli.terminal import counting, plain_console
from elboroom.config import ScoreConfig
from elboroom.data.summary import counted
from elboroom.evaluation.estimate import Estimate
from elboroom.imputation.folder import Folder, open_folder
from elboroom.imputation.scores import RowScores, score_rows, surprises
from elboroom.runs import atomic, out_file

if TYPE_CHECKING:
    import pandas as pd


def score(
    path: Path, config: ScoreConfig, *, best: bool, trust: bool, quiet: bool, as_json: bool
) -> None:
    """Score the rows of a table by the models of a run, and print the least probable ones."""
    if config.out is not None:
        out_file.require_absent(config.out)
        require_table(config.out)
    folder = open_folder(path, best=best, trust=trust)
    rows = TableRows.of_models(config.table, folder)
    scores, surprise = _scores(folder, rows, config, quiet=quiet)
    if config.out is not None:
        _write(config.out, rows, scores, surprise)
    least = scores.log_prob.argsort()[: config.shown].tolist()
    mean = Estimate.of(scores.log_prob, "row")
    console = plain_console()
    if as_json:
        console.print(atomic.as_json(_summary(rows, scores, surprise, least, mean)))
        return
    console.print(f"{config.table.name}: log p(row) {mean} nats, of {counted(len(rows.x), 'row')}")
    if least:
        console.print(_table(rows, scores, surprise, least))
    unreliable = int((~scores.reliable).sum())
    if unreliable:
        console.print(f"k̂ ≥ 0.7, unreliable: {counted(unreliable, 'row')}; give more --draws")
    if config.out is not None:
        console.print(config.out)


def _scores(
    folder: Folder, rows: TableRows, config: ScoreConfig, *, quiet: bool
) -> tuple[RowScores, Tensor]:
    options = folder.ensemble, rows.x, rows.seen
    with counting(2, "scores of rows and entries", quiet=quiet) as advance:
        scores = score_rows(*options, seed=config.seed, draws=config.draws)
        advance(1)
        surprise = surprises(*options, seed=config.seed)
        advance(1)
    return scores, surprise


def _write(out: Path, rows: TableRows, scores: RowScores, surprise: Tensor) -> None:
    from elboroom.data.formats.frame_files import table_bytes

    atomic.write_file(out, table_bytes(_frame(rows, scores, surprise), out))


def _frame(rows: TableRows, scores: RowScores, surprise: Tensor) -> "pd.DataFrame":
    import pandas as pd

    named = zip(rows.schema.modelled, surprise.T.tolist(), strict=True)
    columns: dict[str, Any] = {
        "row": range(1, len(rows.x) + 1),
        "log_prob": scores.log_prob.tolist(),
        "standard_error": scores.standard_error.tolist(),
        "k_hat": [k if math.isfinite(k) else None for k in scores.k_hat.tolist()],
    }
    return pd.DataFrame(columns | {f"surprise {name}": values for name, values in named})


def _most_surprising(rows: TableRows, surprise: Tensor, row: int) -> dict[str, Any] | None:
    """Return the column, the entry and the surprise of a row's largest one; None without any."""
    if surprise[row].isnan().all():
        return None
    column = int(surprise[row].nan_to_num(-math.inf).argmax())
    name = rows.schema.modelled[column]
    entry = rows.frame[name].iloc[row]
    return {"column": name, "entry": str(entry), "surprise": surprise[row, column].item()}


def _table(rows: TableRows, scores: RowScores, surprise: Tensor, least: list[int]) -> Table:
    table = Table("row", "log p, nats", "most surprising entry", "surprise, nats", box=None)
    for row in least:
        most = _most_surprising(rows, surprise, row)
        entry = f"{most['column']} = {most['entry']}" if most else "nothing is known of it"
        nats = f"{most['surprise']:.1f}" if most else ""
        log_prob = f"{scores.log_prob[row]:.2f} ± {scores.standard_error[row]:.2f}"
        table.add_row(f"{row + 1:,}", log_prob, entry, nats)
    return table


def _summary(
    rows: TableRows, scores: RowScores, surprise: Tensor, least: list[int], mean: Estimate
) -> dict[str, Any]:
    found = list[dict[str, Any]]()
    for row in least:
        found.append(
            {
                "row": row + 1,
                "log_prob": scores.log_prob[row].item(),
                "standard_error": scores.standard_error[row].item(),
                "most_surprising": _most_surprising(rows, surprise, row),
            }
        )
    return {"rows": len(rows.x), "unit": "nats", "mean": mean.to_dict(), "least": found}
