"""Adam: Kingma & Ba, *Adam: A Method for Stochastic Optimization* (2015)."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim.adam import adam


class Adam:
    """Adam over `parameters`, which it changes in place by PyTorch's fused kernel.

    `torch.optim.Adam` computes the same, but loads PyTorch's compiler before the first step. That
    can take longer than everything else before it.

    Attributes:
        state: for each parameter its `step`, a count, and its moments `exp_avg` and `exp_avg_sq`.
    """

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self.state = {p: _initial_state(p) for p in parameters if p.requires_grad}

    def zero_grad(self) -> None:
        """Delete the gradients of all parameters."""
        for parameter in self.state:
            parameter.grad = None

    @torch.no_grad()
    def step(self, rate: float | Tensor) -> None:
        """Descend along the gradients of the parameters that have one.

        Args:
            rate: step size; a number, or a tensor on the device of the parameters.
        """
        moved = {p: p.grad for p in self.state if p.grad is not None}
        states = [self.state[p] for p in moved]
        adam(
            list(moved),
            list(moved.values()),
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=rate,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )


def _initial_state(parameter: nn.Parameter) -> dict[str, Tensor]:
    return {
        "step": torch.zeros((), device=parameter.device),
        "exp_avg": torch.zeros_like(parameter.data),
        "exp_avg_sq": torch.zeros_like(parameter.data),
    }
