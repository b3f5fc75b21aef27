"""Learning curves for TensorBoard."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from shoploom.core.errors import DataError
from shoploom.engines.engine import Record


@contextmanager
def curves_in(folder: Path | None) -> Iterator[Record | None]:
    """What writes points to a folder, which are all there in the end; None without a folder.

    Raises:
        DataError: the package tensorboardX is missing.
    """
    if folder is None:
        yield None
        return
    if find_spec("tensorboardX") is None:
        raise DataError(
            "engine 'neural': curves need the package tensorboardX, found it nowhere; run: pip "
            "install 'shoploom[curves]', or leave out the setting `curves`."
        )
    from tensorboardX import SummaryWriter

    writer = SummaryWriter(logdir=str(folder))
    try:
        yield lambda name, step, value: writer.add_scalar(name, value, step)
    finally:
        writer.close()
