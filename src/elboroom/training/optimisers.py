"""Adam, AdamW and Adamax, by the functions that the classes of `torch.optim` call.

The classes compute the same, but load PyTorch's compiler before the first step. That can take
longer than everything else before it.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from copy import copy
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.adamax import adamax
from torch.optim.adamw import adamw

from elboroom.config import OptimiserName, TrainConfig
from elboroom.model.vae import VAE

_BETAS = 0.9, 0.999
_EPS = 1e-8


class Optimiser(ABC):
    """The moments of some parameters, and steps that change the parameters in place by them.

    Args:
        parameters: those to move; frozen ones are left out.

    Attributes:
        moments: the names of the moments that it keeps of a parameter.
        state: for each parameter its `step`, a count, and its moments.
        is_elementary: True if a step is computed by elementary operations, which a compiler merges.
    """

    moments: ClassVar[tuple[str, ...]]
    is_elementary = False

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self.state = {p: self._initial(p) for p in parameters if p.requires_grad}

    def _initial(self, parameter: nn.Parameter) -> dict[str, Tensor]:
        count = {"step": torch.zeros((), device=parameter.device)}
        return count | {name: torch.zeros_like(parameter.data) for name in self.moments}

    @property
    def gradients(self) -> list[Tensor]:
        """The gradients that there are."""
        return [p.grad for p in self.state if p.grad is not None]

    def zero_grad(self) -> None:
        """Delete the gradients of all parameters."""
        for parameter in self.state:
            parameter.grad = None

    @torch.no_grad()
    def step(self, rate: float | Tensor, skip: Tensor | None = None) -> None:
        """Descend along the gradients of the parameters that have one.

        Args:
            rate: step size; a number, or a tensor on the device of the parameters.
            skip: (), float32; where it is 1, nothing changes, whatever the gradients.
        """
        move = self._move_elementarily if self.is_elementary else self._move
        move([p for p in self.state if p.grad is not None], rate, skip)

    def elementary(self) -> "Optimiser":
        """Return the same optimiser, over the same state, that computes by elementary operations.

        Only rounding differs.
        """
        found = copy(self)
        found.is_elementary = True
        return found

    def _move_elementarily(
        self, parameters: list[nn.Parameter], rate: float | Tensor, skip: Tensor | None
    ) -> None:
        counts = torch.stack([self.state[p]["step"] for p in parameters]) + 1
        factors = self._factors(counts, rate)
        for i, parameter in enumerate(parameters):
            state = self.state[parameter]
            first, second = (state[name] for name in self.moments)
            of_parameter = [factor[i] for factor in factors]
            new = *self._moved(parameter, first, second, *of_parameter), counts[i]
            old = parameter, first, second, state["step"]
            for tensor, value in zip(old, new, strict=True):
                tensor.copy_(value if skip is None else torch.where(skip == 1, tensor, value))

    @abstractmethod
    def _factors(self, t: Tensor, rate: float | Tensor) -> list[Tensor]:
        """Return what step t has in common for all elements of a parameter.

        A compiler computes these factors of all parameters at once, and not for each element.

        Args:
            t: the counts of some parameters, (P,).
            rate: step size.

        Returns:
            Factors, each with its values for these parameters, (P,).
        """

    @abstractmethod
    def _moved(
        self, w: nn.Parameter, m: Tensor, v: Tensor, *factors: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return a parameter and its two moments after a step with some factors, each ()."""

    @abstractmethod
    def _move(
        self, parameters: list[nn.Parameter], rate: float | Tensor, skip: Tensor | None
    ) -> None:
        """Move parameters along their gradients, unless `skip` is 1."""

    def _tensors(self, parameters: list[nn.Parameter]) -> dict[str, list[Tensor]]:
        """Return parameters, gradients, moments and counts, each a list in the same order."""
        found = {"parameters": list[Tensor](parameters)}
        found["gradients"] = [p.grad for p in parameters if p.grad is not None]
        return found | {
            name: [self.state[p][name] for p in parameters] for name in (*self.moments, "step")
        }


class Adam(Optimiser):
    """Adam: Kingma & Ba, *Adam: A Method for Stochastic Optimization* (2015), algorithm 1."""

    moments = "exp_avg", "exp_avg_sq"

    def _move(
        self, parameters: list[nn.Parameter], rate: float | Tensor, skip: Tensor | None
    ) -> None:
        self._move_by(adam, parameters, rate, skip, weight_decay=0.0)

    def _factors(self, t: Tensor, rate: float | Tensor) -> list[Tensor]:
        # α / (1 − β₁ᵗ),  1 / √(1 − β₂ᵗ)
        return [rate / _total(_BETAS[0], t), _total(_BETAS[1], t).rsqrt()]

    def _moved(
        self, w: nn.Parameter, m: Tensor, v: Tensor, *factors: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        assert w.grad is not None
        rate, of_root = factors
        # m ← β₁ m + (1 − β₁) g,  v ← β₂ v + (1 − β₂) g²
        m, v = torch.lerp(m, w.grad, 1 - _BETAS[0]), _BETAS[1] * v + (1 - _BETAS[1]) * w.grad**2
        # w ← w − α m̂ / (√v̂ + ε),  m̂ = m / (1 − β₁ᵗ),  v̂ = v / (1 − β₂ᵗ)
        return w - rate * (m / (v.sqrt() * of_root + _EPS)), m, v

    def _move_by(
        self,
        function: Callable[..., None],
        parameters: list[nn.Parameter],
        rate: float | Tensor,
        skip: Tensor | None,
        *,
        weight_decay: float,
    ) -> None:
        of = self._tensors(parameters)
        function(
            of["parameters"],
            of["gradients"],
            of["exp_avg"],
            of["exp_avg_sq"],
            [],
            of["step"],
            fused=True,
            found_inf=skip,
            amsgrad=False,
            beta1=_BETAS[0],
            beta2=_BETAS[1],
            lr=rate,
            weight_decay=weight_decay,
            eps=_EPS,
            maximize=False,
        )


class AdamW(Adam):
    """Adam with decoupled weight decay: Loshchilov & Hutter (2019), algorithm 2.

    Args:
        parameters: those to move.
        decayed: those that also shrink by the factor 1 − rate · weight decay in each step.
        weight_decay: the share of a weight that a step of size 1 would take away.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        decayed: Iterable[nn.Parameter],
        weight_decay: float,
    ) -> None:
        super().__init__(parameters)
        self.weight_decay, self._decayed = weight_decay, frozenset(decayed)

    def _move(
        self, parameters: list[nn.Parameter], rate: float | Tensor, skip: Tensor | None
    ) -> None:
        decayed = [p for p in parameters if p in self._decayed]
        others = [p for p in parameters if p not in self._decayed]
        self._move_by(adamw, decayed, rate, skip, weight_decay=self.weight_decay)
        self._move_by(adam, others, rate, skip, weight_decay=0.0)

    def _factors(self, t: Tensor, rate: float | Tensor) -> list[Tensor]:
        # α λ, beside the factors of Adam
        return [*super()._factors(t, rate), rate * self.weight_decay * torch.ones_like(t)]

    def _moved(
        self, w: nn.Parameter, m: Tensor, v: Tensor, *factors: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        *of_adam, decay = factors
        moved, m, v = super()._moved(w, m, v, *of_adam)
        # w ← w − α λ w, beside the step of Adam
        return moved - decay * w if w in self._decayed else moved, m, v


class Adamax(Optimiser):
    """Adamax: Kingma & Ba (2015), algorithm 2, which scales by the largest recent gradient."""

    moments = "exp_avg", "exp_inf"

    def _move(
        self, parameters: list[nn.Parameter], rate: float | Tensor, skip: Tensor | None
    ) -> None:
        of = self._tensors(parameters)
        changed = [t for name in of if name != "gradients" for t in of[name]]
        before = [] if skip is None else [tensor.clone() for tensor in changed]
        adamax(
            of["parameters"],
            of["gradients"],
            of["exp_avg"],
            of["exp_inf"],
            of["step"],
            foreach=True,
            capturable=any(p.is_cuda for p in parameters),
            beta1=_BETAS[0],
            beta2=_BETAS[1],
            lr=rate,  # type: ignore[arg-type]  # a tensor is taken, too
            weight_decay=0.0,
            eps=_EPS,
        )
        if skip is not None:
            is_skipped = skip == 1
            for tensor, old in zip(changed, before, strict=True):
                torch.where(is_skipped, old, tensor, out=tensor)

    def _factors(self, t: Tensor, rate: float | Tensor) -> list[Tensor]:
        # α / (1 − β₁ᵗ)
        return [rate / _total(_BETAS[0], t)]

    def _moved(
        self, w: nn.Parameter, m: Tensor, v: Tensor, *factors: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        assert w.grad is not None
        # m ← β₁ m + (1 − β₁) g,  u ← max(β₂ u, |g| + ε)
        m = torch.lerp(m, w.grad, 1 - _BETAS[0])
        u = torch.maximum(_BETAS[1] * v, w.grad.abs() + _EPS)
        # w ← w − α m / ((1 − β₁ᵗ) u)
        return w - factors[0] * (m / u), m, u


def _total(beta: float, t: Tensor) -> Tensor:
    """Return 1 − βᵗ without a difference, of which float32 has few digits for a β near 1.

    PyTorch's compiler keeps values that need `exp` instead of computing them anew where they are
    used; it does not do so for `expm1`.
    """
    x = t * math.log(beta)
    # 1 − eˣ = −(1 + eˣ) tanh(x / 2)
    return -(1 + x.exp()) * (0.5 * x).tanh()


OPTIMISER_CLASSES: dict[OptimiserName, type[Optimiser]] = {
    "adam": Adam,
    "adamw": AdamW,
    "adamax": Adamax,
}


def new_optimiser(model: VAE, config: TrainConfig) -> Optimiser:
    """Return the optimiser of `config` over the parameters of a model, before its first step."""
    parameters = list(model.parameters())
    if config.optimiser == "adamw":
        return AdamW(parameters, _matrices(model), config.weight_decay)
    return OPTIMISER_CLASSES[config.optimiser](parameters)


def _matrices(model: VAE) -> list[nn.Parameter]:
    """Return the matrices and kernels of the networks.

    Zero is no natural value of a bias, a scale, or a parameter of the prior.
    """
    both = (*model.encoder.parameters(), *model.decoder.parameters())
    return [parameter for parameter in both if parameter.ndim > 1]
