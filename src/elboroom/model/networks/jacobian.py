"""Jacobians: directional derivatives, pushed forward through the layers with the value."""

import warnings
from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elboroom.model.networks.layers import BatchNorm, Convolution, Gated, Residual
from elboroom.model.networks.maps import Output, ToMap

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


def _linear_map(layer: nn.Module, value: Tensor, tangents: Tensor) -> Pushed:
    moved = layer(tangents.flatten(0, 1))
    return layer(value), moved.unflatten(0, tangents.shape[:2])


def _convolution(layer: nn.Module, value: Tensor, tangents: Tensor) -> Pushed:
    if layer.bias is None:
        return _linear_map(layer, value, tangents)
    unbiased = {"bias": torch.zeros_like(cast(Tensor, layer.bias))}
    moved = torch.func.functional_call(layer, unbiased, tangents.flatten(0, 1))
    return layer(value), moved.unflatten(0, tangents.shape[:2])


def _output(layer: Output, value: Tensor, tangents: Tensor) -> Pushed:
    return layer(value), layer.crop(tangents)


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
    moved = _standardised(value, tangents, len(layer.normalized_shape), layer.eps)
    return layer(value), (moved * layer.weight if layer.elementwise_affine else moved).to(tangents)


def _group_norm(layer: nn.GroupNorm, value: Tensor, tangents: Tensor) -> Pushed:
    inner = value.ndim - 1  # axes of a row: channels first
    groups = (layer.num_groups, -1)
    x, dx = value.unflatten(1, groups), tangents.unflatten(2, groups)
    moved = _standardised(x, dx, inner, layer.eps).flatten(2, 3)
    if layer.affine:
        moved = moved * layer.weight.view(-1, *[1] * (inner - 1))
    return layer(value), moved.to(tangents)


def _standardised(value: Tensor, tangents: Tensor, axes: int, eps: float) -> Tensor:
    """Return the derivatives of u = (x − mean x) / σ over the last axes."""
    unit, _, precision = torch.native_layer_norm(value, value.shape[-axes:], None, None, eps)
    last = tuple(range(-axes, 0))
    along = (unit * tangents).mean(last, keepdim=True)
    # ∂u = (∂x − mean ∂x − u mean(u ∂x)) / σ
    return (tangents - tangents.mean(last, keepdim=True) - unit * along) * precision


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


_LINEAR_MAPS = (
    nn.Flatten,
    nn.Unflatten,
    nn.PixelShuffle,
    nn.PixelUnshuffle,
    nn.Upsample,
    nn.AvgPool1d,
    nn.AvgPool2d,
    nn.AvgPool3d,
    ToMap,
)
_CONVOLUTIONS = (
    Convolution,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)

# The type must match exactly: a subclass may compute something else.
_RULES: dict[type[nn.Module], Callable[[Any, Tensor, Tensor], Pushed]] = {
    nn.Linear: _linear,
    nn.Sequential: _sequential,
    nn.LayerNorm: _layer_norm,
    BatchNorm: _batch_norm,
    nn.GroupNorm: _group_norm,
    Gated: _gated,
    Residual: _residual,
    Output: _output,
    **dict.fromkeys(_CONVOLUTIONS, _convolution),
    **dict.fromkeys(_LINEAR_MAPS, _linear_map),
    **dict.fromkeys((nn.Tanh, nn.ReLU, nn.SiLU, nn.Softplus, nn.Identity), _elementwise),
}
