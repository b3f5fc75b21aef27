"""One thread for arithmetic that is too small to share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from shoploom.encoders.images import missing_package


@contextmanager
def one_thread(*, torch: bool = False) -> Iterator[None]:
    """Linear algebra inside the block runs on one thread; what was set before comes back after.

    Threads of a small factorisation mostly wait for each other, and wait by spinning. On two cores
    that somebody else used as well, a singular value decomposition of 640 x 1,280 took 12.8 CPU
    seconds on two threads and .18 on one.

    Args:
        torch: whether torch, too, is to use one thread; it is imported for that.

    Without threadpoolctl, which comes with scikit-learn, numpy keeps the threads that it has.

    Raises:
        DataError: torch was asked for and is not installed.
    """
    with ExitStack() as undo:
        if torch:
            try:
                from torch import get_num_threads, set_num_threads
            except ImportError:
                raise missing_package("torch", "text") from None
            undo.callback(set_num_threads, get_num_threads())
            set_num_threads(1)
        try:
            from threadpoolctl import threadpool_limits
        except ImportError:
            pass
        else:
            undo.enter_context(threadpool_limits(1))
        yield
