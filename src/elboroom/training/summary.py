"""The line "training", which is printed before a run that takes more than the default recipe."""

import math

from elboroom.config import TrainConfig
from elboroom.training.schedule import AUTO_WARMUP


def summary(config: TrainConfig) -> list[str]:
    """Describe the recipe of a training in a line; return none for Adam alone."""
    parts = [] if config.optimiser == "adam" else [_optimiser(config)]
    if config.learning_rate_warmup:
        parts.append(f"learning rate rises over {_epochs(config.learning_rate_warmup)}")
    if config.warmup:
        parts.append(f"the weight of the KL rises over {_warmup(config)}")
    if config.clip is not None:
        parts.append(f"gradients clipped to norm {config.clip:g}")
    if config.skip is not None:
        above = "" if config.skip == math.inf else f"above {config.skip:g} or "
        parts.append(f"steps skipped whose norm is {above}not finite")
    if config.ema:
        parts.append(f"the average of the weights is evaluated (decay {config.ema:g})")
    if config.hide:
        parts.append(f"up to {config.hide:g} of the seen values of a row hidden")
    parts += _augmentation(config)
    return [f"training: {', '.join(parts)}"] if parts else []


def _optimiser(config: TrainConfig) -> str:
    decay = f" with weight decay {config.weight_decay:g}" if config.weight_decay else ""
    return f"by {config.optimiser}{decay}"


def _warmup(config: TrainConfig) -> str:
    if config.warmup == "auto":  # in a training by time
        return f"the first {AUTO_WARMUP:.3g} of the training"
    return _epochs(config.warmup)


def _epochs(number: float) -> str:
    return f"{number:g} epoch" + "s" * (number != 1)


def _augmentation(config: TrainConfig) -> list[str]:
    """Describe what is done to training images at each visit."""
    ways = ["flipped at random"] * config.flip
    pixels = f"{config.shift} pixel" + "s" * (config.shift > 1)
    ways += [f"shifted by up to {pixels}"] * (config.shift > 0)
    ways += [f"turned by up to {config.rotate:g}°"] * (config.rotate > 0)
    ways += [f"zoomed by up to {config.zoom:.3g}"] * (config.zoom > 0)
    both = " and ".join([", ".join(ways[:-1]), *ways[-1:]][-len(ways) :])
    share = config.augment_until
    until = "" if share == 1 else f" for the first {share:.3g} of the training"
    return [f"images {both}{until}"] if ways else []
