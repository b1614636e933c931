"""Networks of one's own, made by a function that the config of a run names."""

import inspect
import os
import sys
from collections.abc import Callable
from importlib import import_module
from operator import attrgetter

import torch
from torch import nn

from elboroom.errors import UsageError

NetworkFactory = Callable[[tuple[int, ...], int], tuple[nn.Module, nn.Module] | nn.Module]
"""The shape of x, and the number of latents → an encoder and a decoder, or a whole `VAE`."""


def import_factory(name: str) -> NetworkFactory:
    """Import the factory that `package.module:function` names. Importing runs code.

    The working directory is searched last, after every installed package.

    Raises:
        UsageError: there is no such module or function.
    """
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    module, _, attribute = name.partition(":")
    try:
        return attrgetter(attribute)(import_module(module))
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"the network factory {name} cannot be imported",
            why=f"{type(error).__name__}: {error}",
            fix="work in the folder of its module, or add that folder to PYTHONPATH; in Python "
            "pass the function itself as `network`",
        ) from error


def name_of(factory: NetworkFactory) -> str:
    """Return the name that a config records, `package.module:function`."""
    named = factory if inspect.isroutine(factory) or inspect.isclass(factory) else type(factory)
    return f"{named.__module__}:{named.__qualname__}"


def made_by(
    factory: NetworkFactory,
    event_shape: tuple[int, ...],
    latents: int,
    generator: torch.Generator,
) -> object:
    """Call a factory with PyTorch's global random state seeded from `generator`.

    Initial weights are therefore those of the run's seed. The global state is as before afterwards.
    """
    seed = int(torch.randint(1 << 62, (), generator=generator))
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        return factory(event_shape, latents)
