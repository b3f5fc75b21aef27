"""Photos of items as small pictures that browsers may show, made from what the shop names.

A photo is decoded and written anew, so that nothing of a stranger's file reaches a browser but its
pixels.
"""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from pathlib import Path

from shoploom.core import columns as c
from shoploom.encoders.images import Unreadable, locate, read_image
from shoploom.serving.goods import Goods
from shoploom.workflows.run import Run

_HELD = 2_000  # small pictures of about ten thousand bytes
SIZES = (96, 256, 512)


class Photos:
    """Small pictures of a run's items.

    Args:
        folder: of the shop's files; None where it is not known.
        goods: that name them.
    """

    def __init__(self, folder: Path | None, goods: Goods):
        self._folder, self._goods = folder, goods
        self._held: OrderedDict[tuple[str, int], bytes | None] = OrderedDict()
        self._lock = threading.Lock()

    def jpeg(self, item: str, size: int) -> bytes | None:
        """A picture of at most ``size`` pixels on its longer side; None where there is none."""
        place = (item, size)
        with self._lock:
            if place in self._held:
                self._held.move_to_end(place)
                return self._held[place]
        made = self._make(item, size)
        with self._lock:
            self._held[place] = made
            if len(self._held) > _HELD:
                self._held.popitem(last=False)
        return made

    def _make(self, item: str, size: int) -> bytes | None:
        name = self._goods.get(item, c.IMAGE)
        if not name or self._folder is None:
            return None
        path = locate(self._folder, str(name))
        pixels = path if isinstance(path, Unreadable) else read_image(path, size)
        if isinstance(pixels, Unreadable):
            return None
        from PIL import Image

        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "JPEG", quality=85, optimize=True)
        return out.getvalue()


def shop_folder(run: Run, said: str | None) -> Path | None:
    """The folder of the shop's files, as the run's card names it."""
    if said is None:
        return None
    folder = (run.folder / said).resolve()
    return folder if folder.is_dir() else None
