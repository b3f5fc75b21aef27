"""Files that are whole or absent: atomic writes, JSON, fingerprints, checked paths."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shoploom.core.errors import DataError

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its name when the block ends well.

    Works for a file or a folder. When the block raises (a full disk, Ctrl-C) what stood at
    ``path`` before is untouched and the temporary is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _settle_leftovers(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    replaced = path.with_name(f".{path.name}.{os.getpid()}.old.tmp")
    try:
        yield temporary
        if temporary.is_dir() and path.exists():
            # No rename replaces a full folder: the old one steps aside first.
            path.replace(replaced)
        temporary.replace(path)
    finally:
        _restore(replaced, path)
        remove(temporary)


@contextmanager
def one_at_a_time(path: Path | str) -> Iterator[None]:
    """Wait until no other process is in a block about this path; only where the system can lock."""
    if fcntl is None:
        yield
        return
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path.with_name(f"{path.name}-lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _restore(replaced: Path, path: Path) -> None:
    """Remove what a folder replaced, or put it back where nothing took its place."""
    if path.exists():
        remove(replaced)
    elif replaced.exists():
        replaced.replace(path)


def _settle_leftovers(path: Path) -> None:
    """Remove temporaries of this path whose process was killed, and put back what it moved away."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        process = leftover.name.removeprefix(f".{path.name}.").split(".")[0]
        if process.isdigit() and (int(process) == os.getpid() or not _is_running(int(process))):
            if leftover.name.endswith(".old.tmp"):
                _restore(leftover, path)
            else:
                remove(leftover)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def write_text(path: Path | str, text: str) -> None:
    """Write a text file atomically, UTF-8."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path | str, value: Any) -> None:
    """Write JSON atomically, keys in the order given, non-finite numbers refused."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n")


def read_json(path: Path | str) -> Any:
    """The value of a JSON file.

    Raises:
        DataError: the file is missing or is no JSON.
    """
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"expected a JSON file at {path}, found nothing there.") from None
    except ValueError as error:
        raise DataError(f"{path} is no valid JSON ({error}); was it cut short?") from None


def remove(path: Path | str) -> None:
    """Remove a file or a folder if it is there."""
    path = Path(path)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def fingerprint(*parts: Any) -> str:
    """A short hash of JSON-able values and of files (a Path counts by name, size and mtime)."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            stat = part.stat()
            part = [part.name, stat.st_size, stat.st_mtime_ns]
        digest.update(json.dumps(part, sort_keys=True, default=str).encode() + b"\0")
    return digest.hexdigest()[:16]
