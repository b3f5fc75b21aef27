"""Words and figures of the dashboard in one language at a time.

Names of tasks, engines, metrics and reasons are those of the report, so that both say the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from shoploom.core.time import DAY_US, HOUR_US, MINUTE_US, SECOND_US, from_us
from shoploom.workflows.report import wording as report

LANGUAGES = report.LANGUAGES
NOTHING = "–"

_MONEY = ("spend", "order_value", "unit_price")
_WINDOW = re.compile(r"(.+?)_(pace_)?(\d+)d(?:_(?:cos|sin|power))?\Z")


@cache
def texts() -> dict[str, Any]:
    """Every text, nested as in texts.yaml."""
    import yaml

    source = files("shoploom.serving.dashboard").joinpath("texts.yaml")
    return yaml.safe_load(source.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Words:
    """What to say, in one language.

    Attributes:
        language: ``en`` or ``zh``.
        currency: of the shop, ISO 4217.
    """

    language: str
    currency: str

    def __call__(self, key: str, **values: Any) -> str:
        """The text at a dotted key, with values filled in.

        Raises:
            KeyError: there is none.
        """
        found: Any = texts()
        for part in key.split("."):
            found = found[part]
        return found[self.language].format(**values)

    def name(self, group: str, name: str) -> str:
        """What a task, engine or reason is called in the report; its own name if nowhere."""
        return report.name_of(group, name)[self.language]

    def either(self, said: Any) -> str:
        """Text that may be there in both languages."""
        if isinstance(said, dict):
            return str(said.get(self.language) or said.get("en") or "")
        return "" if said is None else str(said)

    def metric(self, name: str) -> str:
        """What a metric is called."""
        return report.metric_name(name)[self.language]

    def deed(self, action: str, *, named: bool) -> str:
        """An action as what somebody did; by itself where no object is named after it."""
        return texts()["deeds" if named else "deeds_alone"][action][self.language]

    @staticmethod
    def kind(statistic: str) -> str:
        """How values of a statistic are written."""
        if statistic.startswith(_MONEY):
            return "money"
        return "share" if statistic.endswith("_share") else "number"

    def statistic(self, name: str) -> str:
        """A statistic of users in words."""
        known = texts()["statistics"]
        name = name.removeprefix("answer: ")
        if name in known:
            return known[name][self.language]
        if name in report.texts()["task_names"]:
            return self.name("task_names", name)
        found = _WINDOW.match(name)
        if found is None:
            return name
        what, pace, n = found.groups()
        if what == "period":
            return self("rhythm", n=n)
        said = known.get(what, {}).get(self.language, what)
        return self("pace" if pace else "window", what=said, n=n)

    def number(self, value: float | None, digits: int = 0) -> str:
        """A number; a dash where there is none."""
        return NOTHING if value is None else report.number(value, digits)[self.language]

    def decimal(self, value: float | None, digits: int = 3) -> str:
        """A number with digits after the point."""
        return NOTHING if value is None else f"{value:,.{digits}f}"

    def money(self, value: float | None) -> str:
        """An amount in the shop's currency."""
        return NOTHING if value is None else report.money(value, self.currency)[self.language]

    def signed(self, value: float | None) -> str:
        """An amount with its sign."""
        if value is None:
            return NOTHING
        return ("+" if value > 0 else "−" if value < 0 else "") + self.money(abs(value))

    def share(self, value: float | None, digits: int = 0) -> str:
        """A share of one as per cent."""
        return NOTHING if value is None else report.share(value, digits)[self.language]

    def day(self, moment: str) -> str:
        """The day of an ISO moment."""
        return report.day(moment)[self.language]

    def clock(self, us: int) -> str:
        """Day and time, UTC."""
        moment = from_us(us)
        return f"{self.day(moment.date().isoformat())} {moment:%H:%M}"

    def ago(self, us: int, now: int) -> str:
        """How long ago something was."""
        past = max(now - us, 0)
        for name, unit in (("days", DAY_US), ("hours", HOUR_US), ("minutes", MINUTE_US)):
            if past >= unit:
                return self(f"ago.{name}", n=f"{past // unit:,}")
        return self("ago.seconds", n=past // SECOND_US)

    def value(self, kind: str, value: Any) -> str:
        """A cell of a table."""
        if value is None:
            return NOTHING
        if kind == "time":
            return self.clock(int(value))
        if kind == "day":
            return self.day(str(value))
        plain = {
            "number": lambda: self.number(value, 0 if float(value).is_integer() else 1),
            "decimal": lambda: self.decimal(value),
            "share": lambda: self.share(value, 1),
            "money": lambda: self.money(value),
            "signed": lambda: self.signed(value),
        }
        return plain[kind]() if kind in plain else str(value)
