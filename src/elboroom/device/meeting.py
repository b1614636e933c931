"""The store in which processes that torchrun started find each other, new for each attempt.

After a failure torchrun may keep its store (pytorch/pytorch, issue 135712), and its count of
restarts may differ between machines. Processes would then look for those of the last attempt.
"""

import time
from datetime import timedelta
from uuid import uuid4

from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

_POLL = 0.02  # seconds


def fresh_store(rank: int, size: int, patience: timedelta) -> Store:
    """Return a store that holds nothing of earlier attempts, the same for all processes.

    Args:
        rank: number of this process, from 0.
        size: number of processes.
        patience: how long the others are waited for.

    Raises:
        RuntimeError: if they do not come.
    """
    store, _, _ = next(rendezvous("env://", rank, size, timeout=patience))
    store.set_timeout(patience)
    token = _given_token(store, size, patience) if rank == 0 else _asked_token(store, rank)
    return PrefixStore(token, store)


def _asked_token(store: Store, rank: int) -> str:
    """Ask the first process for its token, under a name that no earlier process had."""
    name = uuid4().hex
    store.set(f"name of {rank}", name)
    token = store.get(f"token for {name}").decode()
    store.add(f"{token} is known", 1)
    return token


def _given_token(store: Store, size: int, patience: timedelta) -> str:
    """Give a new token to every process that asks, until all of them know it."""
    token, until = uuid4().hex, time.monotonic() + patience.total_seconds()
    while store.add(f"{token} is known", 0) < size - 1:
        if time.monotonic() > until:
            raise RuntimeError(f"Connection to {size - 1} other processes failed")
        for rank in range(1, size):
            if store.check([f"name of {rank}"]):
                # The name may be one of an earlier attempt, whose answer nobody reads.
                store.set(f"token for {store.get(f'name of {rank}').decode()}", token)
        time.sleep(_POLL)
    return token
