"""A Dask cluster to work on: for :mod:`hbutils.sums` and :mod:`hbutils.study`."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hbutils.data import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import Client

PATIENCE = 30  # seconds to wait for a scheduler
# Dask gives up on a task after it has seen some workers die under it, which may be none of the task's doing.
OFTEN: dict[str, Any] = {"pure": False, "retries": 5}


@contextmanager
def opened(cluster: Client | str | None) -> Iterator[Client]:
    """A client of a cluster of our own, of the scheduler at an address, or the one that is given."""
    from distributed import Client, LocalCluster  # noqa: PLC0415 - it takes half a second

    if isinstance(cluster, Client):
        yield cluster
        return
    # One thread a worker: NumPy's work on small arrays does not gain from more
    own = LocalCluster(threads_per_worker=1, dashboard_address=":0") if cluster is None else None
    try:
        client = Client(own or cluster, timeout=PATIENCE)
    except OSError as error:
        raise InputError(f"no Dask scheduler answers at {cluster}: {error}") from None
    try:
        with client:
            yield client
    finally:
        if own:
            own.close()
