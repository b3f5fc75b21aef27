"""Start the server: one process, or several that share a socket."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from shoploom.core.errors import DataError
from shoploom.core.progress import Progress
from shoploom.serving.settings import ENVIRONMENT, ServeSettings

if TYPE_CHECKING:
    from shoploom.serving.api.gate import Gate

#: One thread of arithmetic per process: requests are many and small. Arrow's own allocator would
#: keep the memory that tables took while they were loaded.
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}
_DRAIN_S = 20


def check_installed() -> None:
    """Raise where the packages of a server are missing.

    Raises:
        DataError: they are.
    """
    from importlib.util import find_spec

    needed = ("fastapi", "uvicorn", "orjson", "prometheus_client", "httptools", "uvloop")
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        raise DataError(
            f"expected the packages of a server, {', '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing; run: pip install 'shoploom[serve]'."
        )


def serve(settings: ServeSettings, progress: Progress) -> None:
    """Serve until told to stop; what was acknowledged by then is on disk.

    Raises:
        NotFitted, StoreError, DataError: there is nothing to serve from.
    """
    check_installed()
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from shoploom.serving.bundle import check_run, load_bundle
    from shoploom.serving.store import open_store

    check_run(settings.run)
    # Problems are told here, once, rather than by every worker.
    open_store(settings.store_url).close()
    load_bundle(settings.run, progress=progress)
    where = f"http://{settings.host}:{settings.port}"
    progress.note(f"dashboard {where}/ · API {where}/openapi.json · stop with Ctrl-C")
    with tempfile.TemporaryDirectory(prefix="shoploom-meters-") as folder:
        if settings.workers > 1:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(Path(folder))
        _run(settings)


def from_environment() -> Gate:
    """The application of a worker that was started with its settings in the environment."""
    from shoploom.serving.api import make_app
    from shoploom.serving.dashboard import routes

    gate, _ = make_app(ServeSettings.from_json(os.environ[ENVIRONMENT]), [routes])
    return gate


def _run(settings: ServeSettings) -> None:
    import uvicorn

    from shoploom.serving.patience import Patient

    os.environ[ENVIRONMENT] = settings.as_json()
    # uvicorn finishes what is under way and then raises the signal again: that is a good end.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    uvicorn.run(
        "shoploom.serving.run:from_environment",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers if settings.workers > 1 else None,
        loop="uvloop",
        http=Patient,
        ws="none",
        access_log=False,
        log_level="warning",
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_DRAIN_S,
        backlog=4096,
    )
