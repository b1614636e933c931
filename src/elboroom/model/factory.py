"""Networks of one's own, made by a function that the config of a run names."""

import inspect
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
        UsageError: there is no such module or function, or its module cannot be executed.
    """
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    module, _, attribute = name.partition(":")
    try:
        return attrgetter(attribute)(import_module(module))
    except Exception as error:  # the module's code may raise anything
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

    Raises:
        UsageError: it is no function, or it raises an error.
    """
    if not callable(factory) or isinstance(factory, nn.Module):
        raise UsageError(
            "the network factory is not a function",
            why=f"found a {type(factory).__name__}; expected a function that makes the networks",
            fix="give a function (event_shape, latents) → (encoder, decoder)",
        )
    seed = int(torch.randint(1 << 62, (), generator=generator))
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        try:
            return factory(event_shape, latents)
        except Exception as error:  # the user's code may raise anything
            raise _failed(factory, event_shape, latents, error) from error


@contextmanager
def named_factory(factory: NetworkFactory) -> Iterator[None]:
    """Name the factory in an error about the networks that it made."""
    try:
        yield
    except UsageError as error:
        what = f"of the networks that the factory {name_of(factory)} made, {error.what}"
        raise UsageError(what, why=error.why, fix=error.fix) from error


def _failed(
    factory: NetworkFactory, event_shape: tuple[int, ...], latents: int, error: Exception
) -> UsageError:
    return UsageError(
        f"the network factory {name_of(factory)} failed for {event_shape} and {latents} latents",
        why=f"{type(error).__name__}: {error}",
        fix="let it take the shape of x and the number of latents, factory(event_shape, latents), "
        "and return an encoder and a decoder for them",
    )
