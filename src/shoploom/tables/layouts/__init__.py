"""Published data sets in their own layout, made into shop folders; one file per layout.

A layout knows one publisher's files. It writes canonical Parquet tables and a ``shop.yaml``, and
says what a result on this data does not mean (``caveat``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from shoploom.core.errors import DataError
from shoploom.core.progress import Progress, Quiet
from shoploom.core.registry import Registry


class Layout(Protocol):
    """One publisher's way to lay out a shop's log. Members are frozen dataclasses."""

    @property
    def description(self) -> str:
        """What the data is, in a sentence."""
        ...

    @property
    def files(self) -> tuple[str, ...]:
        """The files that ``convert`` looks for."""
        ...

    @property
    def licence(self) -> str:
        """What its publisher allows, as stated there."""
        ...

    @property
    def caveat(self) -> str:
        """What a reader of any result must know; it is printed beside them."""
        ...

    def convert(self, folder: Path, out: Path, progress: Progress) -> Path:
        """Write the shop folder ``out`` and give back the path of its ``shop.yaml``."""
        ...


LAYOUTS: Registry[Layout] = Registry("layout", "shoploom.tables.layouts")


def import_layout(
    name: str, folder: Path | str, out: Path | str, *, progress: Progress | None = None
) -> Path:
    """Make a published data set into a shop folder; gives back the path of its ``shop.yaml``.

    Args:
        name: a registered layout, such as ``"retailrocket"``.
        folder: where its files lie.
        out: the shop folder to write; tables of the same names there are replaced.
        progress: where to report.

    Raises:
        UnknownName: no layout has this name.
        DataError: ``folder`` is missing or lacks the layout's files.
    """
    layout = LAYOUTS.get(name)
    folder, out = Path(folder), Path(out)
    progress = progress or Quiet()
    if not folder.is_dir():
        raise DataError(
            f"expected a folder with {', '.join(layout.files)} at {folder}, found none. "
            "Give the folder that the download was unpacked into."
        )
    return layout.convert(folder, out, progress)


__all__ = ["LAYOUTS", "Layout", "import_layout"]
