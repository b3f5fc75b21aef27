"""What the report is made of: one frozen value of JSON-able parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shoploom.core.errors import DataError

_SHOP_KEYS = ("name", "currency", "caveat", "period", "generated_at")


@dataclass(frozen=True)
class ReportData:
    """Everything that the report shows, as JSON-able values.

    Attributes:
        shop: ``name``; ``currency`` (ISO 4217); ``caveat`` (text, a dict of ``en`` and ``zh``, or
            empty); ``period`` (``first`` and ``last`` ISO moments, ``days``); ``generated_at``
            (ISO moment).
        quality: the content of quality.json.
        evaluation: the content of evaluation.json; an empty dict before anything was evaluated.
        insights: what ``insights`` gives, plus, where known, ``at_risk`` (from ``at_risk``),
            ``pairs`` and ``category_pairs`` (from ``named_pairs``).
        findings: sentences ``{"en": text, "zh": text}``, most important first.
        versions: version by package name.
        content: what texts and photos say, every part optional: ``coverage``, ``sentiment``,
            ``map``, ``interests``, ``service``; docs/report.md has the form of each.
        studies: what was tried beside the main run, every part optional: ``knockout`` and
            ``controls`` (from ``judge_variants``) and ``tuning`` (from ``tune``), by engine.
        policies: every part optional: ``segments`` (what ``segment`` found) and ``audience`` (what
            ``audience`` found, by kind of exposure).

    Raises:
        DataError: the shop lacks a key, or the pictures of the map are not inside the report.
    """

    shop: Mapping[str, Any]
    quality: Mapping[str, Any]
    evaluation: Mapping[str, Any]
    insights: Mapping[str, Any]
    findings: Sequence[Mapping[str, str]] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    content: Mapping[str, Any] = field(default_factory=dict)
    studies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    policies: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        missing = [key for key in _SHOP_KEYS if key not in self.shop]
        if missing:
            raise DataError(
                f"expected the shop of a report to have {', '.join(_SHOP_KEYS)}; "
                f"{', '.join(missing)} is missing: add it to ReportData.shop."
            )
        sprite = self.content.get("map", {}).get("sprite")
        if sprite and not sprite["data"].startswith("data:image/"):
            raise DataError(
                'expected the thumbnails of content["map"]["sprite"]["data"] inside the report, '
                f'as "data:image/jpeg;base64,…", got {sprite["data"][:40]!r}; '
                "a report loads nothing from elsewhere."
            )
