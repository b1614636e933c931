"""The check of the parts that a user brings to `VAE`: shapes, types, and rows computed apart."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from elboroom.config import PosteriorName
from elboroom.errors import UsageError, named
from elboroom.model.likelihoods import Likelihood, ObservationModel
from elboroom.model.networks.layers import at_least_float32
from elboroom.model.posteriors import (
    POSTERIOR_FAMILIES,
    CholeskyGaussian,
    Density,
    DiagonalGaussian,
)
from elboroom.model.posteriors.flow import FlowFamily
from elboroom.model.priors import Prior

_ROWS = 5
_FEWER_ROWS = 3
_SAMPLES = 2
_FAMILIES: dict[PosteriorName, tuple[str, type[Any]]] = {
    "diagonal": ("(mean, log standard deviation)", DiagonalGaussian),
    "full": ("(mean, log of the Cholesky diagonal, below it)", CholeskyGaussian),
    "flow": ("(shift, log standard deviation, context)", FlowFamily),
}
_SHARE_OF_SPREAD = 0.01  # differences below this share of those between rows may be rounding
_ROUNDING = {torch.bfloat16: 0.05, torch.float16: 0.01, torch.float32: 1e-4, torch.float64: 1e-9}
_T = TypeVar("_T")


class Shapes(NamedTuple):
    """The shapes of the parts of a model.

    Attributes:
        event: shape of x.
        widest_activation: the largest number of values that a layer of the decoder has for one z.
    """

    event: tuple[int, ...]
    widest_activation: int


def check_parts(
    encoder: nn.Module,
    decoder: nn.Module,
    latents: int,
    likelihood: Callable[[Tensor], Likelihood],
    prior: Prior,
    family: Callable[..., Density],
) -> Shapes:
    """Check that the parts of a model fit each other, and return their shapes.

    Each part computes a few made-up rows in evaluation mode, with two numbers of rows and two of
    samples. Modes, buffers and the global random state are as before afterwards.

    Raises:
        UsageError: a part returns another shape or type than its contract says, or computes a row
            differently in another batch.
    """
    parts = [part for part in (encoder, decoder, prior, family) if isinstance(part, nn.Module)]
    with _undisturbed(parts), torch.no_grad():
        z = _numbers((_SAMPLES, _ROWS, latents), decoder)
        with _layer_sizes(decoder) as sizes:
            _decoded(decoder, z[0])
        parameter = _check_decoder(decoder, z)
        _require_differentiable(decoder, z[0])
        x = _check_likelihood(likelihood, parameter)
        is_model = isinstance(likelihood, ObservationModel)
        given = likelihood.encoder_input(x, None) if is_model else x
        q = _check_encoder(encoder, family, given.to(example_of(encoder)), latents)
        _check_prior(prior, q, latents)
    return Shapes(tuple(x.shape[1:]), max(sizes) // _ROWS)


def require_parts(encoder: object, decoder: object, latents: object, likelihood: Any) -> None:
    """Check the types of the parts, before any of them is called.

    Raises:
        UsageError: a part is of another type.
    """
    for name, part in (("encoder", encoder), ("decoder", decoder)):
        if not isinstance(part, nn.Module):
            raise UsageError(
                f"the {name} is not a module",
                why=f"found {named(part)}; expected an instance of torch.nn.Module",
                fix="call a class to make an instance, and wrap a function in a module",
            )
    if type(latents) is not int or latents < 1:
        raise UsageError(
            f"the number of latents cannot be {latents!r}",
            why=f"found a {type(latents).__name__}; expected an integer of 1 or more",
            fix="give D, the last axis of z",
        )
    is_class = isinstance(likelihood, type) and issubclass(likelihood, Likelihood)
    needs_noise = is_class and likelihood.has_scale
    if needs_noise or not callable(likelihood):
        raise UsageError(
            f"the likelihood cannot be {named(likelihood)}",
            why="expected a map from the decoder's output to a Likelihood"
            + (", and this class also needs a scale of the noise" if needs_noise else ""),
            fix="give Bernoulli, or ObservationModel(GaussianPixels, LearnedNoise(())), both of "
            "elboroom.model.likelihoods",
        )


def example_of(*modules: nn.Module) -> Tensor:
    """Return an empty tensor of the floating-point type and the device of modules."""
    tensors = (t for m in modules for some in (m.parameters(), m.buffers()) for t in some)
    first = next((t for t in tensors if t.dtype.is_floating_point), torch.empty(0))
    return torch.empty(0, dtype=first.dtype, device=first.device)


def _check_decoder(decoder: nn.Module, z: Tensor) -> Tensor:
    """Check z (..., D) → (..., *event), and return the output for z (K, B, D)."""
    rows = z[0]
    output = _decoded(decoder, rows)
    if output.ndim < 2 or len(output) != len(rows):
        raise _decoder_shape(output, rows, f"({len(rows)}, *event), one event for each row of z")
    event = tuple(output.shape[1:])
    for points in (rows[:_FEWER_ROWS], z[:1, :_FEWER_ROWS], z):
        found, expected = _decoded(decoder, points), (*points.shape[:-1], *event)
        if found.shape != expected:
            raise _decoder_shape(found, points, f"{expected}: z may have any leading axes")
        _require_apart("decoder", "z", found.reshape(-1, *event)[:_FEWER_ROWS], output)
    return _decoded(decoder, z)


def _decoded(decoder: nn.Module, z: Tensor) -> Tensor:
    output = _called(decoder, z, "decoder", f"z {_shape(z)}", "accept z (..., D), any leading axes")
    return _require_numbers(output, "decoder", f"z {_shape(z)}", "one tensor (..., *event)")


def _require_differentiable(decoder: nn.Module, z: Tensor) -> None:
    """Check that gradients can reach z through the decoder."""
    with torch.enable_grad():
        output = _decoded(decoder, z.clone().requires_grad_())
    if not output.requires_grad:
        raise UsageError(
            "the decoder cannot be differentiated",
            why="no gradient reaches z through its output, so neither training nor inference can",
            fix="leave out .detach(), .numpy() and torch.no_grad() from its forward",
        )


def _decoder_shape(found: Tensor, z: Tensor, expected: str) -> UsageError:
    return UsageError(
        f"the decoder returned {_shape(found)} for z {_shape(z)}",
        why=f"expected {expected}",
        fix="flatten them by z.flatten(0, -2), and end with .unflatten(0, z.shape[:-1])",
    )


def _check_likelihood(likelihood: Callable[[Tensor], Likelihood], parameter: Tensor) -> Tensor:
    """Check log p(x | z) for a parameter (K, B, *event); return some x (B, *event)."""
    words, must = f"the decoder's output {_shape(parameter)}", "take the output that it gets"
    density = _called(likelihood, at_least_float32(parameter), "likelihood", words, must)
    if not isinstance(density, Likelihood):
        raise UsageError(
            f"the likelihood returned a {type(density).__name__}",
            why="expected a Likelihood, with the score and information that inference needs",
            fix="derive it from elboroom.model.likelihoods.Likelihood; docs/extending.md has one",
        )
    must = "have units and noise that broadcast to the event"
    x = _called(density.sample, _generator(parameter.device), "sample of likelihood", words, must)[
        0
    ]
    found = _called(density.log_prob, x, "log_prob of the likelihood", f"x {_shape(x)}", must)
    expected = tuple(parameter.shape[:2])
    if found.shape != expected:
        raise UsageError(
            f"log_prob of the likelihood returned {_shape(found)} for x {_shape(x)}",
            why=f"expected {expected}: (samples, rows), summed over the event",
            fix="sum log_prob over all axes of an event",
        )
    return x


def _check_encoder(
    encoder: nn.Module, family: Callable[..., Density], x: Tensor, latents: int
) -> Density:
    """Check x (B, *event) → the parameters of q, and return q of all rows."""
    some, whole = (_encoded(encoder, family, rows, latents) for rows in (x[:_FEWER_ROWS], x))
    for fewer, all_rows in zip(some, whole, strict=True):
        _require_apart("encoder", "x", fewer, all_rows)
    q = _called(family, whole, "family", f"the encoder's {len(whole)} outputs", "take them all")
    return _check_density(q, "the encoder's q", len(x), latents)


def _encoded(
    encoder: nn.Module, family: Callable[..., Density], x: Tensor, latents: int
) -> list[Tensor]:
    given = f"x {_shape(x)}"
    event = f"take events of {tuple(x.shape[1:])}, the shape that the decoder returns"
    found = _called(encoder, x, "encoder", given, event)
    names, shapes = _expected_parameters(family, len(x), latents)
    if not isinstance(found, tuple | list):
        raise UsageError(
            f"the encoder returned {_described(found)} for {given}",
            why=f"expected a tuple of tensors, {names}",
            fix="return a tuple, for example output.chunk(2, -1), mean and log standard deviation",
        )
    tensors = [_require_numbers(one, "encoder", given, names) for one in found]
    fits = [tuple(one.shape) for one in tensors] == shapes if shapes else True
    if not fits or any(one.ndim < 1 or len(one) != len(x) for one in tensors):
        raise UsageError(
            f"the encoder returned {', '.join(map(_shape, tensors))} for {given}",
            why=f"expected {names}: {', '.join(map(str, shapes)) or f'each ({len(x)}, …)'}",
            fix=f"return one row for each row of x, and {latents} values for each of the latents",
        )
    return [at_least_float32(one) for one in tensors]


def _expected_parameters(
    family: Callable[..., Density], rows: int, latents: int
) -> tuple[str, list[tuple[int, ...]]]:
    """Return the names of the encoder's outputs and their shapes, if the family is known."""
    for name, (words, kind) in _FAMILIES.items():
        if family is kind or type(family) is kind:
            sizes = POSTERIOR_FAMILIES[name].sizes(latents)
            return words, [(rows, size) for size in sizes]
    return "the parameters of q", []


def _check_prior(prior: Prior, q: Density, latents: int) -> None:
    p = _called(prior, _ROWS, "prior", f"{_ROWS} rows", "return a Density of that many rows")
    _check_density(p, "the prior", _ROWS, latents)
    z = p.sample(1, _generator(p.mean.device))[0]
    gradient, precision = prior.curvature(z)
    _require_shape(gradient, (_ROWS, latents), "curvature of the prior returned a gradient")
    shape = (_ROWS, latents, latents)
    _require_shape(precision, shape, "curvature of the prior returned a precision")
    kl = prior.kl(q)
    if kl is not None:
        _require_shape(kl, (_ROWS,), "kl of the prior returned")


def _check_density(density: Any, what: str, rows: int, latents: int) -> Density:
    if not isinstance(density, Density):
        raise UsageError(
            f"{what} is a {type(density).__name__}",
            why="expected a Density, with mean, sample(k, generator) and log_prob",
            fix="derive it from elboroom.model.posteriors.Density; docs/extending.md has one",
        )
    _require_shape(density.mean, (rows, latents), f"the mean of {what} is")
    z = density.sample(_SAMPLES, _generator(density.mean.device))
    _require_shape(z, (_SAMPLES, rows, latents), f"sample of {what} returned")
    _require_shape(density.log_prob(z), (_SAMPLES, rows), f"log_prob of {what} returned")
    return density


def _require_shape(found: Tensor, expected: tuple[int, ...], what: str) -> None:
    if found.shape != expected:
        raise UsageError(
            f"{what} {_shape(found)}",
            why=f"expected {expected} for {_ROWS} rows and {expected[-1]} values",
            fix="return that shape; docs/extending.md states the shape of each member",
        )


def _require_apart(part: str, argument: str, some: Tensor, rows: Tensor) -> None:
    """Check that the first rows of a batch are computed alike in another batch."""
    if not rows.numel():
        return
    apart, largest = (some - rows[: len(some)]).abs().max(), rows.abs().max()
    spread = (rows.amax(0) - rows.amin(0)).max()
    # NaN compares as False: the weights may still wait for a checkpoint.
    if apart > _SHARE_OF_SPREAD * spread + _rounding(rows) * largest:
        raise UsageError(
            f"the {part} computes a row of {argument} differently in another batch",
            why=f"in evaluation mode it mixes rows, or draws noise; they differ by {apart:.2g}",
            fix="use running statistics in evaluation mode, and leave all draws to elboroom",
        )


def _rounding(rows: Tensor) -> float:
    """Return the relative error that rounding in bfloat16 or TF32 may cause, where it is used."""
    if torch.is_autocast_enabled(rows.device.type):
        return _ROUNDING[torch.bfloat16]
    tf32 = rows.is_cuda and rows.dtype == torch.float32
    return _ROUNDING[torch.float16 if tf32 else rows.dtype]


def _called(function: Callable[..., _T], given: Any, part: str, words: str, must: str) -> _T:
    """Call code of the user's, which may raise anything, and check that it keeps its input."""
    tensor = given if isinstance(given, Tensor) else torch.empty(0)
    before = tensor.clone()
    try:
        found = function(*given) if isinstance(given, list) else function(given)
    except Exception as error:
        raise UsageError(
            f"the {part} cannot be called with {words}",
            why=f"{type(error).__name__}: {error}",
            fix=f"let the {part} {must}",
        ) from error
    if not torch.allclose(before, tensor, rtol=0, atol=0, equal_nan=True):
        raise UsageError(
            f"the {part} changes its input in place",
            why="x and z are used again, to compute densities",
            fix="write x * 2 in the place of x.mul_(2), or begin with x = x.clone()",
        )
    return found


def _require_numbers(found: Any, part: str, given: str, expected: str) -> Tensor:
    if not isinstance(found, Tensor) or not found.is_floating_point():
        raise UsageError(
            f"the {part} returned {_described(found)} for {given}",
            why=f"expected {expected} of floating-point numbers",
            fix=f"return that from the {part}",
        )
    return found


def _described(found: object) -> str:
    if isinstance(found, Tensor):
        return f"one tensor {_shape(found)} of {found.dtype}"
    return f"a {type(found).__name__}"


def _numbers(shape: Sequence[int], module: nn.Module) -> Tensor:
    """Draw standard normal numbers of the type and device of a module."""
    numbers = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return numbers.to(example_of(module))


def _generator(device: torch.device) -> torch.Generator:
    return torch.Generator(device).manual_seed(0)


def _shape(tensor: Tensor) -> str:
    return str(tuple(tensor.shape))


@contextmanager
def _layer_sizes(network: nn.Module) -> Iterator[list[int]]:
    """Collect the number of values that each layer returns in this block."""
    sizes = list[int]()

    def note(layer: nn.Module, given: object, output: object) -> None:
        if isinstance(output, Tensor):
            sizes.append(output.numel())

    hooks = [layer.register_forward_hook(note) for layer in network.modules()]
    try:
        yield sizes
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def _undisturbed(parts: Sequence[nn.Module]) -> Iterator[None]:
    """Set modules to evaluation mode in this block; restore modes, buffers and random states."""
    inner = [module for part in parts for module in part.modules()]
    modes = [(module, module.training) for module in inner]
    buffers = [
        (module, name, buffer, buffer.clone())
        for module in inner
        for name, buffer in module.named_buffers(recurse=False)
        if not is_lazy(buffer)
    ]
    devices = {p.device for part in parts for p in part.parameters() if p.is_cuda}
    with torch.random.fork_rng(devices=list(devices)):
        try:
            for part in parts:
                part.eval()
            yield
        finally:
            for module, training in modes:
                module.training = training
            for module, name, buffer, value in buffers:
                buffer.copy_(value)
                setattr(module, name, buffer)
