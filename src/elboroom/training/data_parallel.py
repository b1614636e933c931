"""Gradients that several processes average, by PyTorch's DistributedDataParallel."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from elboroom.device import World, lost_ranks
from elboroom.errors import UsageError

_SUMS = 3  # bound, reconstruction and KL
_BUCKET = 1 << 14  # MiB: one reduction, as a processor cannot compute meanwhile


class _Carrier(nn.Module):
    """The parameters of a model, and one more whose gradient is what the processes sum.

    It holds no buffers, which DDP would send around in every step.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        trained = [p for p in model.parameters() if p.requires_grad]
        self.trained = nn.ParameterList(trained)
        wide = torch.promote_types(trained[0].dtype, torch.float32)
        self.carried = nn.Parameter(trained[0].detach().new_zeros(_SUMS + 1, dtype=wide))

    def forward(self, compute: Callable[[], tuple[Tensor, Tensor]]) -> Tensor:
        """Return the loss, whose gradient by `carried` is the sums."""
        loss, sums = compute()
        return loss + (self.carried * sums.detach()).sum()


class DataParallel:
    """The gradients of a model, averaged over the processes, and sums that go along with them.

    A step needs one reduction, which also tells every process whether another one was asked to
    stop. Otherwise some would wait for gradients that never come.

    Args:
        model: its trained parameters get the gradients.
        world: the processes, more than one.
    """

    def __init__(self, model: nn.Module, world: World) -> None:
        self.world, self._carrier = world, _Carrier(model)
        self._asked, self._vote, self._last_vote = False, torch.zeros(()), torch.zeros(())
        self._module: DistributedDataParallel | None = None

    def differentiate(self, compute: Callable[[], tuple[Tensor, Tensor]]) -> Tensor:
        """Set the gradients of the mean of all losses, and return the sums of all processes.

        Args:
            compute: returns the loss of this process, and its sums (3,).

        Raises:
            UsageError: if the parameters that get a gradient change from step to step.
            WorldError: if another process has ended.
        """
        carried = self._carrier.carried
        carried.grad = None

        def with_vote() -> tuple[Tensor, Tensor]:
            loss, sums = compute()
            vote = torch.full((1,), float(self._asked), dtype=carried.dtype, device=carried.device)
            return loss, torch.cat([sums.to(carried.dtype), vote])

        with lost_ranks(self.world), _changing_layers():
            # Only now, since it would take a trial of the compiler for a step.
            self._module = self._module or self._new_module()
            self._module(with_vote).backward()
        assert carried.grad is not None
        total = carried.grad * self.world.size
        self._last_vote, self._vote = self._vote, total[_SUMS]
        return total[:_SUMS]

    def _new_module(self) -> DistributedDataParallel:
        return DistributedDataParallel(
            self._carrier,
            static_graph=True,
            gradient_as_bucket_view=True,
            bucket_cap_mb=None if self._carrier.carried.is_cuda else _BUCKET,
        )

    def close(self) -> None:
        """Leave the parameters: another one would otherwise find the gradients of this one."""
        if self._module is not None:
            self._module._remove_autograd_hooks()
            self._module = None

    def agrees_to_stop(self, asked: bool) -> bool:
        """Return whether any process was asked to stop; all get the same answer.

        What is asked now is sent with the next step, and known after the one that follows it: on
        CUDA, reading the last step would wait for it.
        """
        self._asked = self._asked or asked
        return bool(self._last_vote)


@contextmanager
def _changing_layers() -> Iterator[None]:
    """Report layers that take turns, whose gradients DDP waits for in vain."""
    try:
        yield
    except RuntimeError as error:
        if "Expected to have finished reduction" not in str(error):
            raise
        raise UsageError(
            "several processes cannot train these networks",
            why="some of their parameters get a gradient in one step and none in another, and the "
            "processes wait for the gradients of all",
            fix="let each step use the same layers, or train in one process",
        ) from error


def require_separable(model: nn.Module, world: World, device: torch.device) -> None:
    """Check that the loss of a model is a sum over rows that several processes can share.

    Raises:
        UsageError: if it is not, or PyTorch cannot reduce on the device.
    """
    if world.size == 1:
        return
    if device.type not in ("cpu", "cuda"):
        raise UsageError(
            f"{world.size} processes cannot train on {device.type}",
            why="PyTorch reduces on processors by gloo and on CUDA by NCCL alone",
            fix="use --device cpu, or one process",
        )
    for name, module in model.named_modules():
        if isinstance(module, _BatchNorm) and not isinstance(module, nn.SyncBatchNorm):
            raise UsageError(
                f"{world.size} processes cannot train {name} ({type(module).__name__})",
                why="batch normalisation takes the mean over the rows of one process, so that the "
                "result would depend on their number",
                fix="use GroupNorm or LayerNorm; on CUDA also nn.SyncBatchNorm; or one process",
            )
