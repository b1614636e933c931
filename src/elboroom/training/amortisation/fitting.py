"""The training of a partial encoder: `amortise` minimises −log r(z | x_seen, m)."""

import copy
import itertools
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from elboroom.config import AmortiseConfig, ModelConfig, TrainConfig
from elboroom.config.run import require_options
from elboroom.data import Dataset, require_dataset
from elboroom.device import autocast, resolve_device, resolve_precision
from elboroom.errors import TrainingError, require_callable
from elboroom.model.networks.layers import require_eval_mode
from elboroom.model.partial_encoder import PartialEncoder
from elboroom.model.posteriors import Density
from elboroom.model.vae import VAE, require_model
from elboroom.randomness import restart, stream
from elboroom.training.amortisation.pairs import Pairs, PairSource
from elboroom.training.average import Average, averaged, trained
from elboroom.training.optimisers import Adam
from elboroom.training.progress import Progress
from elboroom.training.schedule import learning_rate
from elboroom.training.step import clip_gradients

_LOOKS = 20  # looks at the held-out pairs
_WATCHED = 1_000  # held-out pairs
_AVERAGE = 0.999
_CLIP = 100.0  # an encoder that is too sure of hidden pixels begins with steep gradients


@dataclass(frozen=True)
class Look:
    """A look at the training.

    Attributes:
        step: steps taken.
        progress: the share of the training that is over, in [0, 1].
        loss: mean −log r(z | x_seen, m) of held-out pairs, in nats.
        is_best: True if no earlier loss was as small.
    """

    step: int
    progress: float
    loss: float
    is_best: bool


@dataclass(frozen=True)
class Fit:
    """A trained partial encoder.

    Attributes:
        partial: the partial encoder at its best look.
        looks: all looks.
        held_out: by name, −log of a density at z of held-out rows of which half is seen, (N,), in
            nats: of r, of the encoder's q, and of the prior; z is of the whole row.
        drawn: the same of rows drawn from the model, whose z is exact.
        stopped: True if it was stopped before its end.
    """

    partial: PartialEncoder
    looks: list[Look]
    held_out: dict[str, Tensor]
    drawn: dict[str, Tensor]
    stopped: bool

    @property
    def best(self) -> Look:
        """The look of the smallest loss."""
        return min(self.looks, key=lambda look: look.loss)


def amortise(
    model: VAE,
    data: Dataset,
    config: AmortiseConfig,
    networks: ModelConfig,
    *,
    partial: PartialEncoder | None = None,
    on_look: Callable[[Look, PartialEncoder], None] = lambda look, partial: None,
    stop: Callable[[], bool] = lambda: False,
) -> Fit:
    """Train a partial encoder r(z | x_seen, m) of a model, which stays as it is.

    It minimises the mean of −log r(z | x_seen, m) over pairs (z, x) and random masks m. This is the
    forward KL up to a constant, so that r covers what it cannot fit. Of pairs drawn from the model
    the minimum over all densities is p(z | x_seen) itself, under every mask. Rows of the data, with
    z of the encoder's q(z | x), move it towards data that the model does not draw, and towards the
    encoder's own errors: Harvey, Naderiparizi & Wood (2022), and Strauss & Oliva (2022), who train
    on such rows alone. Weighted draws of q make these errors smaller. The model holds the result as
    `model.partial_encoder`.

    Args:
        model: in evaluation mode; moved to the device where it trains.
        data: its train part is drawn from; its validation part, or else its test part, is watched.
        config: options of this training.
        networks: options of the network, those that the model was made with.
        partial: a partial encoder of this model to train further; None begins at the encoder.
        on_look: called after each look, with the partial encoder as it was evaluated.
        stop: called after each step; True ends the training there.

    Returns:
        The partial encoder of the smallest held-out loss.

    Raises:
        UsageError: an argument has another type, or the model is in training mode.
        TrainingError: the loss is not finite; looks before it were handed out.
    """
    require_model(model)
    require_dataset(data)
    require_options(config, AmortiseConfig)
    require_callable(on_look=on_look, stop=stop)
    model.require_events(data.event_shape)
    require_eval_mode(model)
    device = resolve_device("auto")
    model.to(device)
    resumed, start = partial is not None, stream(config.seed, "partial encoder")
    if partial is None:
        partial = PartialEncoder.from_config(model, networks, config.family, generator=start)
    partial.module.to(device)
    fixed = model.fixed()
    shares = config.data_share, config.draws_for(is_ladder=model.is_ladder)
    source = PairSource(fixed, data.train.to(device), *shares)
    watched = PairSource(fixed, data.held_out[1].to(device), *shares)
    training = _Training(partial, source, config)
    with _without_gradients_of(model):
        found = training.run(_watched_pairs(watched, config), on_look, stop, resumed=resumed)
        held_out, drawn = _compare(partial, watched, config)
    model.partial_encoder = partial
    return Fit(partial, found, held_out, drawn, stopped=found[-1].progress < 1)


class _Training:
    """A partial encoder in training.

    Args:
        partial: trained in place.
        source: the pairs.
        config: options of the training.
    """

    def __init__(self, partial: PartialEncoder, source: PairSource, config: AmortiseConfig) -> None:
        self.partial, self.source, self.config = partial, source, config
        self.device = next(partial.module.parameters()).device
        self.dtype = resolve_precision("auto", self.device)
        self.optimiser = Adam(partial.module.parameters())
        self.average = Average(partial.module, _AVERAGE)
        self.noise = torch.Generator(self.device)
        rate = config.rate_for(is_ladder=source.model.is_ladder)
        self.rates = TrainConfig(epochs=1, learning_rate=rate, schedule="one-cycle")

    def run(
        self,
        watched: Pairs,
        on_look: Callable[[Look, PartialEncoder], None],
        stop: Callable[[], bool],
        *,
        resumed: bool,
    ) -> list[Look]:
        """Take all steps, return to the weights of the best look, and return the looks.

        A partial encoder that is trained further is looked at before the first step, too: it is
        kept where no later look is better.
        """
        looks, best, progress_after = list[Look](), dict[str, Tensor](), _progress(self.config)
        due = 0.0 if resumed else 1 / _LOOKS
        with trained(self.average):
            for number in itertools.count():
                progress = progress_after(number)
                ended = number > 0 and (progress >= 1 or stop())
                if ended or (progress >= due and (number or resumed)):
                    due = (math.floor(_LOOKS * progress) + 1) / _LOOKS
                    with averaged(self.average):
                        looks.append(self._look(number, progress, watched, looks))
                        if looks[-1].is_best:
                            best = copy.deepcopy(self.partial.module.state_dict())
                        if number:
                            on_look(looks[-1], self.partial)
                if ended:
                    break
                self._step(number, learning_rate(self.rates, Progress(progress, progress)))
        self.partial.module.load_state_dict(best)
        return looks

    def _step(self, number: int, rate: float) -> None:
        restart(self.noise, self.config.seed, "amortise", number)
        pairs = self.source.draw(self.config.batch_size, self.noise)
        self.partial.module.train()
        loss = self._losses(pairs).mean()
        self.optimiser.zero_grad()
        loss.backward()
        self.partial.module.eval()
        gradients = self.optimiser.gradients
        clip_gradients(gradients, get_total_norm(gradients), _CLIP)
        self.optimiser.step(rate)
        self.average.update()

    def _losses(self, pairs: Pairs) -> Tensor:
        """Compute −log r(z | x_seen, m) of each pair in nats, (B,)."""
        with autocast(self.dtype, self.device):
            r = self.partial.between(self.source.model, pairs.x, pairs.mask)
            return -r.log_prob(pairs.z)

    @torch.no_grad()
    def _look(self, step: int, progress: float, watched: Pairs, before: list[Look]) -> Look:
        loss = self._losses(watched).mean().item()
        if not math.isfinite(loss):
            raise TrainingError(
                "the loss of the partial encoder is not finite",
                why=f"found {loss} after step {step:,}",
                fix="use a smaller --learning-rate",
            )
        return Look(step, progress, loss, loss < min((b.loss for b in before), default=math.inf))


def _progress(config: AmortiseConfig) -> Callable[[int], float]:
    """Return a map from the steps taken to the share of the training that is over, in [0, 1].

    It is that of the steps, or without their number that of the time from now on.
    """
    total, start = config.steps, time.perf_counter()
    if total is not None:
        return lambda taken: taken / total
    return lambda taken: min(1.0, (time.perf_counter() - start) / (60 * config.minutes))


def _watched_pairs(source: PairSource, config: AmortiseConfig) -> Pairs:
    """Draw the held-out pairs, the same at every look."""
    device = next(source.model.parameters()).device
    return source.draw(_WATCHED, stream(config.seed, "watched pairs", device=device))


@torch.no_grad()
def _compare(
    partial: PartialEncoder, source: PairSource, config: AmortiseConfig
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the losses of r, q and the prior on held-out rows, and on rows of the model."""
    device = next(source.model.parameters()).device
    noise = stream(config.seed, "compared pairs", device=device)
    pairs = source.of_data(_WATCHED, noise), source.of_model(_WATCHED, noise)
    found = [_losses_of_each(partial, source.model, p.half_seen(noise)) for p in pairs]
    return found[0], found[1]


def _losses_of_each(partial: PartialEncoder, model: VAE, pairs: Pairs) -> dict[str, Tensor]:
    densities: dict[str, Density] = {
        "partial encoder": partial(model, pairs.x, pairs.mask),
        "encoder": model.posterior(pairs.x, pairs.mask),
        "prior": model.prior(len(pairs.x)),
    }
    return {name: -q.log_prob(pairs.z) for name, q in densities.items()}


@contextmanager
def _without_gradients_of(model: VAE) -> Iterator[None]:
    """Let no gradient be computed of the model's weights in this block."""
    wanted = [p for p in model.parameters() if p.requires_grad]
    for parameter in wanted:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in wanted:
            parameter.requires_grad_(True)
