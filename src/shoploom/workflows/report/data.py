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

    Raises:
        DataError: the shop lacks a key.
    """

    shop: Mapping[str, Any]
    quality: Mapping[str, Any]
    evaluation: Mapping[str, Any]
    insights: Mapping[str, Any]
    findings: Sequence[Mapping[str, str]] = ()
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        missing = [key for key in _SHOP_KEYS if key not in self.shop]
        if missing:
            raise DataError(
                f"expected the shop of a report to have {', '.join(_SHOP_KEYS)}; "
                f"{', '.join(missing)} is missing: add it to ReportData.shop."
            )
