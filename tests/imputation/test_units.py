"""The units of columns, which must not say which rows are unlike the others."""

import torch

from elboroom.imputation.row_doubts import row_doubts
from elboroom.imputation.scores import RowScores
from tests.support.column_cases import measured


def test_log_units_take_the_units_of_columns_from_densities():
    columns = ("log-normal", "poisson", "gaussian", "student-t")
    noise = torch.Generator().manual_seed(0)
    x = torch.randn(200, 4, generator=noise)
    x = torch.stack([x[:, 0].exp(), torch.poisson(x[:, 1].exp(), noise), x[:, 2], x[:, 3]], 1)
    factor = torch.tensor([1e6, 1.0, 1e-9, 1e3])
    densities = list[torch.Tensor]()
    for table in (x, x * factor):
        density = measured(columns, table)(torch.zeros(4))
        densities.append(density.log_prob_per_value(table) + density.log_units)
    torch.testing.assert_close(densities[0], densities[1], rtol=1e-4, atol=1e-4)


def test_rows_are_not_doubted_for_the_units_of_what_they_lack():
    noise = torch.Generator().manual_seed(1)
    units = torch.tensor([20.0, -20.0, 0.0, 0.0])
    seen = torch.rand(400, 4, generator=noise) < 0.9
    log_prob = torch.randn(400, generator=noise) - seen.float() @ units
    scores = RowScores(log_prob, torch.zeros(400), torch.zeros(400))
    unlike = [why for why in row_doubts(scores, seen).values() if "unlike" in why]
    assert len(unlike) > 10  # in the columns' own units
    found = row_doubts(scores.without_units(units, seen), seen)
    assert not [why for why in found.values() if "unlike" in why]
