"""Fill tables with MIWAE (Mattei & Frellsen 2019), after the paper and its authors' notebook.

python table_miwae.py TASK.npz RESULT.npz [TASK.npz RESULT.npz …]

z ~ N(0, I) of 10 dimensions; a Student's t of each column given z, whose place, scale and degrees
of freedom come from a network of two hidden layers of 128; q(z | x) is a Student's t from a network
alike, which sees learnt constants where an entry is missing. The bound of Burda et al. (2016) has
K = 20 samples; an entry is imputed by 10,000 self-normalised importance samples. Activation, rate,
batch and epochs are those of the authors' notebook for data of this size ("MIWAE_demo_UCI"; the
paper's networks have tanh, its latents are 10). Columns are standardised; a category becomes
indicators, and the level of the largest one is taken back.
"""

import sys
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from table_task import Filled, Numbers, Task, answer
from torch import Tensor, nn
from torch.distributions import StudentT

_LATENTS, _HIDDEN = 10, 128
_PARTICLES, _SAMPLES = 20, 10_000
_RATE, _BATCH, _EPOCHS = 1e-3, 64, 601
_LEAST_SCALE, _LEAST_FREEDOM = 1e-3, 3.0


def network(inputs: int, outputs: int) -> nn.Sequential:
    """Return two hidden layers, with orthogonal weights."""
    widths = (inputs, _HIDDEN, _HIDDEN, outputs)
    layers = [nn.Linear(a, b) for a, b in pairwise(widths)]
    for layer in layers:
        nn.init.orthogonal_(layer.weight)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])


def student_t(raw: Tensor, least_scale: float) -> StudentT:
    """Return a Student's t of three raw parameters for each dimension."""
    place, scale, freedom = raw.chunk(3, dim=-1)
    return StudentT(_LEAST_FREEDOM + F.softplus(freedom), place, F.softplus(scale) + least_scale)


@dataclass(frozen=True)
class Weighed:
    """K samples for each of B rows.

    Attributes:
        log_weights: log p(x_seen | z) + log p(z) − log q(z | x_seen), (K, B).
        x: p(x | z), (K, B, D).
    """

    log_weights: Tensor
    x: StudentT


class MIWAE(nn.Module):
    """The model of a table of D columns."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.encoder = network(columns, 3 * _LATENTS)
        self.decoder = network(_LATENTS, 3 * columns)
        self.unseen = nn.Parameter(torch.zeros(columns))

    def forward(self, x: Tensor, seen: Tensor, samples: int) -> Weighed:
        """Draw from q(z | x_seen) of rows x (B, D), 0 where unseen."""
        q = student_t(self.encoder(x + self.unseen * ~seen), 0.0)
        z = q.rsample((samples,))
        p = student_t(self.decoder(z), _LEAST_SCALE)
        log_x = (p.log_prob(x) * seen).sum(dim=-1)
        log_z = -(z**2 + np.log(2 * np.pi)).sum(dim=-1) / 2
        return Weighed(log_x + log_z - q.log_prob(z).sum(dim=-1), p)


def trained(x: Tensor, seen: Tensor) -> MIWAE:
    """Maximise the bound log 1/K Σ exp(log weight) of all rows."""
    model = MIWAE(x.shape[1])
    adam = torch.optim.Adam(model.parameters(), lr=_RATE)
    for _ in range(_EPOCHS):
        for rows in torch.randperm(len(x)).split(_BATCH):
            loss = -model(x[rows], seen[rows], _PARTICLES).log_weights.logsumexp(dim=0).mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
    return model


@torch.no_grad()
def imputed(model: MIWAE, x: Tensor, seen: Tensor, draws: int) -> tuple[Tensor, Tensor]:
    """Return the mean (D,), and draws (m, D) by resampling, of one row (D,)."""
    weighed = model(x[None], seen[None], _SAMPLES)
    weights = weighed.log_weights[:, 0].softmax(dim=0)
    picked = torch.multinomial(weights, draws, replacement=True)
    t = weighed.x
    of_picked = StudentT(t.df[picked, 0], t.loc[picked, 0], t.scale[picked, 0])
    return weights @ t.loc[:, 0], of_picked.sample()


def impute(task: Task) -> Filled:
    """Train on a table, and fill it."""
    torch.manual_seed(task.seed)
    numbers = Numbers(task)
    table = torch.from_numpy(numbers.encoded()).float()
    x, seen = table.nan_to_num(), ~table.isnan()
    model = trained(x, seen)
    rows = [imputed(model, *row, task.draws) for row in zip(x, seen, strict=True)]
    means, draws = (torch.stack(part).double().numpy() for part in zip(*rows, strict=True))
    completed = task.complete(numbers.decoded(draws.swapaxes(0, 1)))
    return Filled(task.complete(numbers.decoded(means)), completed)


if __name__ == "__main__":
    torch.set_num_threads(1)
    answer(impute, tuple(sys.argv[1:]))
