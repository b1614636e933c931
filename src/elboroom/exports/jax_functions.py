"""Functions of PyTorch in JAX, with their gradients: JAX calls PyTorch while it computes.

A translation of the networks to JAX would be faster, but know the built-in ones only.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import torch
from torch import Tensor

from elboroom.errors import UsageError
from elboroom.model.vae import VAE

TorchFunction = Callable[[Tensor], Tensor]
"""A function of z (..., D), which mixes no axes but the last."""


def log_density(function: TorchFunction, model: VAE) -> Callable[[jax.Array], jax.Array]:
    """Return a log-density z (..., D) → (...) for JAX, with its gradient in reverse mode.

    Args:
        function: the log-density in PyTorch.
        model: the model whose type and device it takes.
    """

    def compute(z: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        with torch.no_grad():
            return _to_numpy(function(_to_torch(z, model)), z)

    def compute_both(z: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], ...]:
        with torch.enable_grad():
            here = _to_torch(z, model).requires_grad_()
            value = function(here)
            (gradient,) = torch.autograd.grad(value.sum(), here)
        return _to_numpy(value, z), _to_numpy(gradient, z)

    @jax.custom_vjp
    def call(z: jax.Array) -> jax.Array:
        return _callback(compute, _like(z, z.shape[:-1]), z)

    def forward(z: jax.Array) -> tuple[jax.Array, jax.Array]:
        return _callback(compute_both, (_like(z, z.shape[:-1]), _like(z, z.shape)), z)

    def backward(gradient: jax.Array, cotangent: jax.Array) -> tuple[jax.Array]:
        return (cotangent[..., None] * gradient,)

    call.defvjp(forward, backward)
    return call


def mapping(
    function: TorchFunction, event_shape: tuple[int, ...], model: VAE
) -> Callable[[jax.Array], jax.Array]:
    """Return a function z (..., D) → (..., *event) for JAX, with its gradient in reverse mode.

    Args:
        function: the function in PyTorch.
        event_shape: the shape of its result for one z.
        model: the model whose type and device it takes.
    """

    def compute(z: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        with torch.no_grad():
            return _to_numpy(function(_to_torch(z, model)), z)

    def pull(z: np.ndarray[Any, Any], cotangent: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        with torch.enable_grad():
            here = _to_torch(z, model).requires_grad_()
            (gradient,) = torch.autograd.grad(function(here), here, _to_torch(cotangent, model))
        return _to_numpy(gradient, z)

    @jax.custom_vjp
    def call(z: jax.Array) -> jax.Array:
        return _callback(compute, _like(z, (*z.shape[:-1], *event_shape)), z)

    def forward(z: jax.Array) -> tuple[jax.Array, jax.Array]:
        return call(z), z

    def backward(z: jax.Array, cotangent: jax.Array) -> tuple[jax.Array]:
        return (_callback(pull, _like(z, z.shape), z, cotangent),)

    call.defvjp(forward, backward)
    return call


def draw(
    function: Callable[[Tensor, torch.Generator], Tensor],
    shape: tuple[int, ...],
    model: VAE,
    key: jax.Array,
    z: jax.Array,
) -> jax.Array:
    """Draw in PyTorch by a key of JAX; (..., D) and a generator → an array of `shape`."""

    def compute(seed: np.ndarray[Any, Any], z: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        here = _to_torch(z, model)
        generator = torch.Generator(here.device).manual_seed(int(np.asarray(seed)))
        with torch.no_grad():
            return _to_numpy(function(here, generator), z)

    seed = jax.random.bits(key, dtype=np.uint32)
    return jax.pure_callback(compute, _like(z, shape), seed, z, vmap_method="sequential")


def as_latents(z: Any, latents: int) -> jax.Array:
    """Return z as an array (..., D) of floating-point numbers.

    Raises:
        UsageError: its last axis is no D latents.
    """
    found = jax.numpy.asarray(z)
    if found.shape[-1:] != (latents,):
        raise UsageError(
            "this z does not fit the decoder",
            why=f"found shape {found.shape}; expected (..., {latents})",
            fix="put the latents last",
        )
    return found.astype(jax.numpy.result_type(found, float))


def _callback(function: Callable[..., Any], result: Any, *args: jax.Array) -> Any:
    return jax.pure_callback(function, result, *args, vmap_method="broadcast_all")


def _like(z: jax.Array, shape: tuple[int, ...]) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, z.dtype)


def _to_torch(values: np.ndarray[Any, Any], model: VAE) -> Tensor:
    """Copy values of JAX, which must not be written to, with the model's type and device."""
    like = next(iter(model.parameters()))
    dtype = torch.float64 if like.dtype == torch.float64 else torch.float32
    known = np.float64 if values.dtype == np.float64 else np.float32  # PyTorch has no bfloat16 here
    return torch.from_numpy(np.array(values, known)).to(like.device, dtype)


def _to_numpy(values: Tensor, like: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return values.detach().cpu().numpy().astype(like.dtype)
