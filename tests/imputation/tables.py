"""Tables with gaps and small models of them, for tests."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from elboroom.config import Config, DataConfig, ModelConfig, TrainConfig
from elboroom.data import Dataset
from elboroom.imputation.ensemble import Ensemble
from elboroom.imputation.training import trained
from elboroom.model.vae import VAE
from elboroom.randomness import stream

COLUMNS = 5
NOISE = 0.4


class Gaussian:
    """Rows of N(μ, W Wᵀ + σ² I) in columns of different scales, whose conditionals are known."""

    def __init__(self, columns: int = COLUMNS, seed: int = 0) -> None:
        noise = np.random.default_rng(seed)
        self.scale = np.geomspace(0.01, 1000, columns)
        weight = noise.normal(size=(columns, 2))
        self.mean = noise.normal(size=columns) * self.scale
        covariance = weight @ weight.T + NOISE**2 * np.eye(columns)
        self.covariance = covariance * np.outer(self.scale, self.scale)
        self.weight = weight

    def rows(self, count: int, seed: int = 1) -> np.ndarray:
        """Draw rows, (N, D)."""
        noise = np.random.default_rng(seed)
        return noise.multivariate_normal(self.mean, self.covariance, size=count)

    def conditional(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean and the standard deviation of the gaps of rows, 0 where seen."""
        mean, std = x.copy(), np.zeros_like(x)
        for row in range(len(x)):
            h, s = np.isnan(x[row]), ~np.isnan(x[row])
            gain = self.covariance[np.ix_(h, s)] @ np.linalg.inv(self.covariance[np.ix_(s, s)])
            mean[row, h] = self.mean[h] + gain @ (x[row, s] - self.mean[s])
            left = self.covariance[np.ix_(h, h)] - gain @ self.covariance[np.ix_(s, h)]
            std[row, h] = np.sqrt(np.diag(left))
        return mean, std

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        """Compute log p(x_seen) of rows with gaps, (N,)."""
        found = list[float]()
        for row in x:
            s = ~np.isnan(row)
            left, covariance = row[s] - self.mean[s], self.covariance[np.ix_(s, s)]
            quadratic = left @ np.linalg.solve(covariance, left)
            log_det = np.linalg.slogdet(covariance)[1]
            found.append(-0.5 * (quadratic + log_det + s.sum() * np.log(2 * np.pi)))
        return np.array(found)

    def model(self) -> VAE:
        """Return the model of these rows: a linear decoder with the true weights and noise."""
        columns = len(self.mean)
        config = ModelConfig(
            latents=2,
            hidden=(),
            posterior="laplace",
            likelihood="columns",
            columns=("gaussian",) * columns,
        )
        model = VAE.from_config(config, (columns,), generator=stream(0, "weights"))
        table, output = model.likelihood, model.decoder.output_bias
        with torch.no_grad():
            for values in (table.location, table.seen_location, table.fill):
                values.copy_(torch.from_numpy(self.mean))
            table.spread.copy_(torch.from_numpy(self.scale))
            table.seen_spread.copy_(torch.from_numpy(self.scale))
            table.noise.begin_at(torch.full((columns,), NOISE))
            table.is_measured.fill_(True)
            output.zero_()
            model.decoder.trunk[-1].weight.copy_(torch.from_numpy(self.weight))
        return model.eval()


def with_gaps(x: np.ndarray, share: float = 0.3, seed: int = 2) -> np.ndarray:
    """Return rows in which a share of the entries is missing, and one of each row is known."""
    gaps = np.random.default_rng(seed).random(x.shape) < share
    gaps[np.arange(len(x)), np.arange(len(x)) % x.shape[1]] = False
    return np.where(gaps, np.nan, x)


def ensemble(*models: VAE) -> Ensemble:
    """Return models with equal weights."""
    return Ensemble(models, torch.full((len(models),), 1 / len(models), dtype=torch.float64))


def tensor(x: np.ndarray) -> Tensor:
    """Return an array as float32."""
    return torch.from_numpy(x.astype("f4"))


def mixed(rows: int = 300) -> tuple[Dataset, tuple[str, ...]]:
    """Return a table of a number, a count, a binary, a category and an ordinal, with gaps."""
    noise = np.random.default_rng(0)
    z = noise.normal(size=rows)
    x = np.stack(
        [
            3 + z + 0.5 * noise.normal(size=rows),
            noise.poisson(np.exp(0.5 + 0.7 * z)),
            z + 0.5 * noise.normal(size=rows) > 0,
            np.digitize(z + 0.5 * noise.normal(size=rows), [-0.7, 0.7]),
            np.digitize(z + 0.5 * noise.normal(size=rows), [-1.0, 0.0, 1.0]),
        ],
        axis=1,
    ).astype("f4")
    x[noise.random(x.shape) < 0.2] = np.nan
    columns = ("gaussian", "poisson", "bernoulli", "categorical:3", "ordinal:4")
    return Dataset.from_arrays(x, config=DataConfig(withhold=0.2)), columns


def model_of_mixed(data: Dataset, columns: tuple[str, ...], epochs: int = 40) -> VAE:
    """Train a small model of such a table."""
    model = ModelConfig(
        latents=2, hidden=(), posterior="laplace", likelihood="columns", columns=columns
    )
    options = TrainConfig(
        epochs=epochs, batch_size=150, learning_rate=3e-2, threads=1, keep_best=True
    )
    config = Config(data=DataConfig(withhold=0.2), model=model, train=options)
    return trained(data, replace(config, train=replace(options, compile="off", device="cpu")))
