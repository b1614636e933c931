"""Jacobians: directional derivatives, pushed forward through the layers with the value."""

import warnings
from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elboroom.model.networks.layers import BatchNorm, Gated, Residual

Pushed = tuple[Tensor, Tensor]
"""A value, and its derivatives along D directions."""


def tangent_basis(z: Tensor) -> Tensor:
    """Return the D unit directions of z (B, D), for each row, (D, B, D)."""
    identity = torch.eye(z.shape[-1], dtype=z.dtype, device=z.device)
    return identity[:, None].expand(-1, *z.shape)


def push(layer: nn.Module, value: Tensor, tangents: Tensor) -> Pushed:
    """Apply `layer` to a value (B, ...) and to directions (D, B, ...) in which it moves.

    A row of the output may depend only on the same row of the value. PyTorch differentiates layers
    that have no rule here, which is as exact and takes longer: in forward mode, or, where an
    operation has none, in reverse mode, with one backward pass for each value of an event.
    """
    return _RULES.get(type(layer), _by_autograd)(layer, value, tangents)


def _linear(layer: nn.Linear, value: Tensor, tangents: Tensor) -> Pushed:
    return layer(value), F.linear(tangents, layer.weight)


def _elementwise(layer: nn.Module, value: Tensor, tangents: Tensor) -> Pushed:
    with torch.enable_grad():
        x = value.detach().requires_grad_()
        y = layer(x)
        slope = torch.autograd.grad(y.sum(), x)[0]
    return y.detach(), tangents * slope


def _sequential(layers: nn.Sequential, value: Tensor, tangents: Tensor) -> Pushed:
    for layer in layers:
        value, tangents = push(layer, value, tangents)
    return value, tangents


def _layer_norm(layer: nn.LayerNorm, value: Tensor, tangents: Tensor) -> Pushed:
    unit, _, precision = torch.native_layer_norm(
        value, layer.normalized_shape, None, None, layer.eps
    )
    axes = tuple(range(-len(layer.normalized_shape), 0))
    along = (unit * tangents).mean(axes, keepdim=True)
    # ∂u = (∂x − mean ∂x − u mean(u ∂x)) / σ
    moved = (tangents - tangents.mean(axes, keepdim=True) - unit * along) * precision
    return layer(value), (moved * layer.weight if layer.elementwise_affine else moved).to(tangents)


def _batch_norm(layer: BatchNorm, value: Tensor, tangents: Tensor) -> Pushed:
    # y = γ (x − m) / √(v + ϵ) + β, with the running m and v
    slope = layer.weight * (cast(Tensor, layer.running_var) + layer.eps).rsqrt()
    return layer(value), tangents * slope.to(tangents)


def _gated(layer: Gated, value: Tensor, tangents: Tensor) -> Pushed:
    both, moved = _linear(layer.affine, value, tangents)
    (inner, gate), (d_inner, d_gate) = both.chunk(2, -1), moved.chunk(2, -1)
    h, d_h = push(layer.nonlinearity, inner, d_inner)
    g = gate.sigmoid()
    # ∂(h g) = g ∂h + h g (1 − g) ∂a,  g = σ(a)
    return h * g, g * d_h + (h * g * (1 - g)) * d_gate


def _residual(layer: Residual, value: Tensor, tangents: Tensor) -> Pushed:
    branch, moved = push(layer.branch, value, tangents)
    return value + branch, tangents + moved


def _by_autograd(layer: nn.Module, value: Tensor, tangents: Tensor) -> Pushed:
    try:
        return _forward_mode(layer, value, tangents)
    except RuntimeError:  # attention, recurrent layers, or a buffer that counts calls
        return _reverse_mode(layer, value, tangents)


def _reverse_mode(layer: nn.Module, value: Tensor, tangents: Tensor) -> Pushed:
    with torch.enable_grad():
        x = value.detach().requires_grad_()
        y = layer(x)
        outputs = y.flatten(1).sum(0).unbind()
    # ∂y_p along t = Σ_i t_i ∂y_p/∂x_i
    moved = [
        (tangents * torch.autograd.grad(one, x, retain_graph=True)[0]).flatten(2).sum(-1)
        for one in outputs
    ]
    return y.detach(), torch.stack(moved, -1).unflatten(-1, y.shape[1:])


def _forward_mode(layer: nn.Module, value: Tensor, tangents: Tensor) -> Pushed:
    def along(tangent: Tensor) -> Pushed:
        return cast(Pushed, torch.func.jvp(layer, (value,), (tangent,)))

    with warnings.catch_warnings():  # PyTorch's forward mode loads a deprecated module of its own
        warnings.filterwarnings("ignore", "`torch.jit.script`", DeprecationWarning)
        output, moved = torch.func.vmap(along)(tangents.to(value.dtype))
    return output[0], moved


# The type must match exactly: a subclass may compute something else.
_RULES: dict[type[nn.Module], Callable[[Any, Tensor, Tensor], Pushed]] = {
    nn.Linear: _linear,
    nn.Sequential: _sequential,
    nn.LayerNorm: _layer_norm,
    BatchNorm: _batch_norm,
    Gated: _gated,
    Residual: _residual,
    **dict.fromkeys((nn.Tanh, nn.ReLU, nn.SiLU, nn.Softplus, nn.Identity), _elementwise),
}
