"""What the simulated shop sells: its categories, and the closed vocabularies of its truth."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import Any

LANGUAGES = ("en", "zh")

#: The axes of visual style, each in [-1, 1]. Only the photo shows them; no text may tell.
STYLE_AXES = ("warmth", "vividness", "pattern", "roundness")

#: What a review may speak of.
ASPECTS = ("quality", "looks", "comfort", "value", "delivery", "service")

#: How strongly demand answers to price: rows of the elasticity table.
USER_GROUPS = ("bargain hunter", "typical", "devoted")
ITEM_GROUPS = ("everyday", "considered", "luxury")

INTENTS = (
    "where is my order",
    "return or refund",
    "damaged or wrong item",
    "size or fit",
    "product question",
    "price or coupon",
    "cancel order",
    "praise",
)
EMOTIONS = ("calm", "worried", "annoyed", "angry", "happy")

#: What an agent may answer with.
REPLIES = (
    "apologise and refund",
    "apologise and replace",
    "explain the policy",
    "give the facts",
    "offer a coupon",
    "thank and close",
)


@dataclass(frozen=True)
class Category:
    """One category of the shop.

    Attributes:
        path, path_zh: the category path, English and Chinese.
        noun, noun_zh: what one of its items is called.
        shape: what a photo of it shows (see ``content.photos``).
        price: median price of its items, in the shop's currency.
        group: one of ITEM_GROUPS.
        repeat_days: days after which a buyer needs it again; 0 for things bought once.
        peak_day: day of the year when it is most wanted.
        season: strength of the season: log of demand at the peak over the yearly mean.
        materials, materials_zh: what its items are made of, as titles say it.
        goes_with: noun of the category that is wanted after this one.
    """

    path: str
    path_zh: str
    noun: str
    noun_zh: str
    shape: str
    price: float
    group: str
    repeat_days: float
    peak_day: int
    season: float
    materials: tuple[str, ...]
    materials_zh: tuple[str, ...]
    goes_with: str


def _read() -> tuple[Category, ...]:
    """The categories in ``catalogue.yaml``, which stands beside this file."""
    import yaml

    file = resources.files("shoploom.simulate").joinpath("catalogue.yaml")
    return tuple(
        Category(**{name: _frozen(value) for name, value in row.items()})
        for row in yaml.safe_load(file.read_text(encoding="utf-8"))
    )


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


CATEGORIES = _read()

#: The code of the category that is wanted after category ``i``.
COMPLEMENTS: tuple[int, ...] = tuple(
    [category.noun for category in CATEGORIES].index(category.goes_with) for category in CATEGORIES
)

BRANDS = (
    *("Aldern", "Brisa", "Corvo", "Dahlia", "Estrel", "Fjord & Co", "Galena", "Hazel", "Isola"),
    *("Juno", "Kestrel", "Lumen", "Moss", "Nocturne", "Orla", "Pavo", "Quill", "Ronda", "Sable"),
    *("Tamsin", "Umbra", "Vesper", "Willow", "Yarrow", "Zephyr", "Ambra", "Bramble", "Cinder"),
    *("Dune", "Ember", "Fennel", "Grove"),
    *("云裳", "青禾", "木棉", "初见", "山海", "拾光", "南风", "知否", "白鹿", "小满"),
)
