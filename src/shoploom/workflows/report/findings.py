"""What the numbers say, in sentences that somebody without statistics can act on.

Every sentence carries its figures, and says so when a simple method was not beaten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from shoploom.core.columns import CATEGORY_SEPARATOR
from shoploom.evaluation import describe
from shoploom.workflows.report.wording import (
    Wording,
    day,
    metric_name,
    money,
    name_of,
    number,
    plain,
    say,
    share,
    texts,
)

#: Methods that anybody could build in an afternoon; the others must beat them to be worth it.
BASELINES = ("popularity", "popularity_7d", "personal", "rfm")

#: A summary much longer than this is not one; what reviews say comes on top.
MOST_FINDINGS = 6

#: The part of the ranked customers that sentences speak of.
TOP_SHARE = 0.2

#: A pair of categories is worth a sentence when this part of all baskets holds it.
FREQUENT = 0.005

#: An aspect spoken of more rarely is not worth a sentence.
FEW_MENTIONS = 10

#: Nor is an item with fewer reviews than this, whatever these say.
FEW_REVIEWS = 5

#: What guessing reaches, for metrics of which it is known beforehand.
CHANCE = {"auroc": 0.5, "gini": 0.0}

_HITS = "hr@10"

#: Chinese needs no space between sentences.
_BETWEEN_SENTENCES = {"en": " ", "zh": ""}


def findings(
    quality: Mapping[str, Any],
    evaluation: Mapping[str, Any],
    insights: Mapping[str, Any],
    content: Mapping[str, Any] | None = None,
    *,
    currency: str = "USD",
    policies: Mapping[str, Any] | None = None,
) -> list[Wording]:
    """Three to six sentences, most important first, each ``{"en": text, "zh": text}``.

    Where there is content, up to two more say what reviews complain about and where their words
    and their stars disagree; and one for every policy that is shown to bring more.

    Args:
        quality: as in quality.json.
        evaluation: as in evaluation.json.
        insights: from ``insights``, with ``at_risk`` where churn was predicted.
        content: as in ``ReportData.content``.
        currency: ISO 4217 code of the shop's money.
        policies: as in ``ReportData.policies``.
    """
    tasks = evaluation.get("tasks", {})
    said = [_size(insights["totals"], currency)]
    if insights["recent"]:
        said.append(_recent(insights["recent"], currency))
    said += [_predicted(name, tasks[name]) for name in _most_telling(tasks)]
    if insights.get("at_risk"):
        said.append(_at_risk(insights["at_risk"], tasks["churn"]["window_days"], currency))
    if insights["concentration"]:
        said.append(_concentration(insights["concentration"]))
    frequent = [p for p in insights["category_pairs"] or () if p["support"] >= FREQUENT]
    if frequent:
        said.append(_pair(frequent[0]))
    read = _of_reviews((content or {}).get("sentiment", {}))
    acted = _of_policies(policies or {}, currency)
    return [*said[: MOST_FINDINGS - 1], *read, *acted, _quality(quality)]


def _of_policies(policies: Mapping[str, Any], currency: str) -> list[Wording]:
    """One sentence for each policy whose gain has an interval above zero."""
    said = []
    prices = policies.get("price")
    if prices and not prices["refused"] and prices["gain"][1] > 0:
        changes = sum(n for action, n in prices["proposals"].items() if action != "keep")
        gain, low, high = (money(x, currency) for x in prices["gain"])
        said.append(say("findings.policy_prices", n=str(changes), gain=gain, low=low, high=high))
    for kind, about in policies.get("audience", {}).items():
        _, low, _ = about["chosen_minus_best"]
        if not about["refused"] and not about["observational"] and (low or 0) > 0:
            best = about["best_of_the_same_for_all"].removeprefix("everybody: ")
            told = _gained(about["chosen_minus_best"])
            said.append(say("findings.policy_ads", kind=kind, best=best, **told))
    for name in ("slates", "reply"):
        about = policies.get(name)
        if not about or about["refused"]:
            continue
        found = about if name == "slates" else about["policies"]["chosen"]
        minus = found["minus_logged"][found["read"]]
        if (minus[1] or 0) > 0:
            key = "policy_slates" if name == "slates" else "policy_replies"
            said.append(say(f"findings.{key}", **_gained(minus)))
    return said


def _gained(minus: Sequence[float]) -> dict[str, str]:
    return {name: f"{x:+.3f}" for name, x in zip(("gain", "low", "high"), minus, strict=True)}


def outcome(task: Mapping[str, Any]) -> str:
    """How the chosen engine stands against the best simple method on the test questions.

    ``wins`` and ``loses`` when the 95 % interval of their difference excludes zero, ``draws`` when
    it does not (or is unknown), ``baseline`` when a simple method was chosen, ``alone`` when none
    was tried.
    """
    if task["chosen"] in BASELINES:
        return "baseline"
    rival = best_baseline(task)
    if rival is None:
        return "alone"
    _, low, high = task["versus"][rival][task["metric"]]
    if low is None or high is None:
        return "draws"
    if lower_is_better(task["metric"]):
        low, high = -high, -low
    return "wins" if low > 0 else "loses" if high < 0 else "draws"


def verdict(task: Mapping[str, Any]) -> Wording:
    """Whether the chosen engine of a task is worth having over the simple ones, with figures."""
    chosen, metric, rival = task["chosen"], task["metric"], best_baseline(task)
    told = {
        "engine": name_of("engines", chosen),
        "metric": metric_name(metric),
        "value": _figure(task["results"][chosen][metric][0]),
    }
    if rival is not None and chosen not in BASELINES:
        _, low, high = task["versus"][rival][metric]
        told |= {
            "other": name_of("engines", rival),
            "other_value": _figure(task["results"][rival][metric][0]),
            "low": _figure(low, signed=True),
            "high": _figure(high, signed=True),
        }
    sentences = [say(f"verdict.{outcome(task)}", **told)]
    if is_guessing(task):
        sentences.append(say("verdict.guessing"))
    best = task["best"]
    if best not in (chosen, rival, None):
        value = _figure(task["results"][best][metric][0])
        sentences.append(say("verdict.better_on_test", best=name_of("engines", best), value=value))
    return _joined(sentences)


def effects(table: Mapping[str, Any]) -> Wording:
    """Which variants of an engine are worse than the first, which better, and which no different.

    A difference counts where its 95 % interval leaves zero.
    """
    sign = -1 if lower_is_better(table["metric"]) else 1
    found: dict[str, list[Wording]] = {"worse": [], "better": [], "same": []}
    for name, (value, low, high) in table["versus"].items():
        sure = None not in (value, low, high) and (low > 0 or high < 0)
        kind = "same" if not sure else "worse" if sign * value > 0 else "better"
        found[kind].append(variant_name(name))
    base = variant_name(table["base"])
    return _joined(
        [
            say(f"studies.{kind}", base=base, names=_listed(names))
            for kind, names in found.items()
            if names
        ]
    )


def variant_name(name: str) -> Wording:
    """What a variant is called: sources left out and single ones by the name of the source."""
    if name in texts()["variants"]:
        return say(f"variants.{name}")
    for form in ("without", "alone"):
        source = name.removeprefix("without ").removesuffix(" alone")
        if source != name and form in name:
            known = f"variants.{source}" if source in texts()["variants"] else None
            return say(f"variants.{form}", name=say(known) if known else plain(source))
    return plain(name)


def _listed(names: Sequence[Wording]) -> Wording:
    """Names one after the other."""
    return {
        "en": ", ".join(name["en"] for name in names),
        "zh": "、".join(name["zh"] for name in names),
    }


def reading_verdict(judged: Mapping[str, Any]) -> Wording:
    """How well texts are read, beside the simple ways of reading them.

    A gain counts where the 95 % intervals do not meet, which asks for more than their difference
    would have to show.
    """
    accuracy = dict(judged["accuracy"])
    value, low, high = accuracy.pop("reader")
    told = {"reader": name_of("readers", judged["reader"]), "value": share(value, 1)}
    if not accuracy:
        return say("content.judged_alone", **told)
    rivals = [
        say("content.rival", name=name_of("readers", name), value=share(rival[0], 1))
        for name, rival in accuracy.items()
    ]
    _, best_low, best_high = max(accuracy.values(), key=lambda estimate: estimate[0])
    stands = "wins" if low > best_high else "loses" if high < best_low else "draws"
    return _joined(
        [
            say("content.judged", rivals=_joined(rivals, {"en": ", ", "zh": "，"}), **told),
            say(f"content.judged_{stands}"),
        ]
    )


def is_guessing(task: Mapping[str, Any]) -> bool:
    """Whether the chosen engine's interval reaches what guessing gives."""
    low = task["results"][task["chosen"]][task["metric"]][1]
    return low is not None and low <= CHANCE.get(task["metric"], -np.inf)


def best_baseline(task: Mapping[str, Any]) -> str | None:
    """The simple method with the best test value of the task's metric, the chosen one aside."""
    metric = task["metric"]
    values = {
        name: task["results"][name][metric][0]
        for name in BASELINES
        if name in task["results"] and name != task["chosen"]
    }
    values = {name: value for name, value in values.items() if value is not None}
    if not values:
        return None
    higher = not lower_is_better(metric)
    return (max if higher else min)(values, key=lambda name: values[name])


def captured(calibration: Mapping[str, Any], top: float = TOP_SHARE) -> float | None:
    """Share of all cases found among the ``top`` share of rows with the highest predictions.

    Read off calibration bins, linearly within the last bin that is needed; None without cases.
    """
    order = np.argsort(calibration["predicted"])[::-1]
    n = np.array(calibration["n"], dtype=float)[order]
    cases = n * np.array(calibration["observed"], dtype=float)[order]
    if not cases.sum():
        return None
    rows = np.concatenate(([0.0], np.cumsum(n))) / n.sum()
    return float(np.interp(top, rows, np.concatenate(([0.0], np.cumsum(cases))) / cases.sum()))


def lower_is_better(metric: str) -> bool:
    """Whether less of a metric is better."""
    return describe(metric).higher_is_better is False


def _size(totals: Mapping[str, Any], currency: str) -> Wording:
    if not totals["orders"]:
        return say(
            "findings.no_sales", events=number(totals["events"]), users=number(totals["users"])
        )
    return say(
        "findings.size",
        buyers=number(totals["buyers"]),
        orders=number(totals["orders"]),
        revenue=money(totals["revenue"], currency),
        order_value=money(totals["order_value"], currency),
        first=day(totals["first"]),
        last=day(totals["last"]),
    )


def _concentration(tenths: list[float]) -> Wording:
    return say("findings.concentration", top=share(tenths[0]), bottom=share(sum(tenths[5:])))


def _recent(recent: Mapping[str, Any], currency: str) -> Wording:
    before = recent["previous_revenue"]
    change = (recent["revenue"] - before) / before if before else 0.0
    return say(
        "findings.recent_up" if change >= 0 else "findings.recent_down",
        days=str(recent["days"]),
        revenue=money(recent["revenue"], currency),
        change=share(abs(change), 1),
    )


def _most_telling(tasks: Mapping[str, Any]) -> Iterable[str]:
    """The two tasks that a shop asks about first, of those it has."""
    known = [name for name in ("churn", "next_item", "purchase", "spend") if name in tasks]
    return (known + [name for name in tasks if name not in known])[:2]


def _predicted(name: str, task: Mapping[str, Any]) -> Wording:
    """What a task achieves, in the figure that is easiest to picture, and whether to trust it."""
    picture = _hits(task) if task["kind"] == "ranking" else _captured(name, task)
    if picture is None:
        return say("findings.verdict", task=name_of("task_names", name), verdict=verdict(task))
    engine = name_of("engines", task["chosen"])
    if is_guessing(task):
        return _joined([picture, say("verdict.guessing")])
    caution = {
        "draws": say("findings.doubtful"),
        "loses": say("findings.beaten"),
        "baseline": say("findings.unbeaten", engine=engine),
    }.get(outcome(task))
    return _joined([picture, caution] if caution else [picture])


def _hits(task: Mapping[str, Any]) -> Wording | None:
    """The share of customers with a right suggestion, where hit rates were measured."""
    chosen, rival = task["chosen"], best_baseline(task)
    if rival is None:
        return None
    rates = [task["results"][engine].get(_HITS, [None])[0] for engine in (chosen, rival)]
    if None in rates:
        return None
    return say(
        "findings.hits",
        k=_HITS.split("@")[1],
        engine=name_of("engines", chosen),
        share=share(rates[0]),
        other=name_of("engines", rival),
        other_share=share(rates[1]),
    )


def _captured(name: str, task: Mapping[str, Any]) -> Wording | None:
    """The share of cases in the top fifth, where probabilities were judged."""
    calibration, rival = task.get("calibration", {}), best_baseline(task)
    found = captured(calibration[task["chosen"]]) if task["chosen"] in calibration else None
    other = captured(calibration[rival]) if rival in calibration else None
    if found is None:
        return None
    told = {
        "task": name_of("task_names", name),
        "days": plain(str(task["window_days"])),
        "engine": name_of("engines", task["chosen"]),
        "share": share(found),
        "chance": share(TOP_SHARE),
    }
    key = "findings.capture_churn" if name == "churn" else "findings.capture"
    if rival is None or other is None:
        return say(f"{key}_alone", **told)
    return say(key, other=name_of("engines", rival), other_share=share(other), **told)


def _at_risk(users: list[Mapping[str, Any]], days: int, currency: str) -> Wording:
    values = [user["value"] for user in users]
    return say(
        "findings.at_risk",
        n=number(len(users)),
        days=str(days),
        value=money(sum(values), currency),
        ten=money(sum(values[:10]), currency),
    )


def _of_reviews(sentiment: Mapping[str, Any]) -> list[Wording]:
    """What reviews complain about most, and an item whose words and stars disagree most."""
    said = []
    aspects = [a for a in sentiment.get("aspects", ()) if a["n"] >= FEW_MENTIONS]
    worst = max(aspects, key=_complaints, default=None)
    if worst is not None and _complaints(worst) > 0:
        said.append(
            say(
                "findings.complaint",
                aspect=_within(name_of("aspects", worst["aspect"])),
                bad=number(_complaints(worst)),
                n=number(worst["n"]),
                share=share(1 - worst["positive"]),
            )
        )
    told = [item for item in sentiment.get("disagree", ()) if item["n"] >= FEW_REVIEWS]
    for item in told[:1]:
        stars = (item["stars"] - 1) / 4  # on the scale of shares: 1 star is 0, 5 stars are 1
        said.append(
            say(
                "findings.stars_flatter" if stars > item["words"] else "findings.stars_hide",
                title=item["title"] or item["item_id"],
                stars=number(item["stars"], 1),
                words=number(round(item["words"] * item["n"])),
                n=number(item["n"]),
            )
        )
    return said


def _complaints(aspect: Mapping[str, Any]) -> int:
    return round(aspect["n"] * (1 - aspect["positive"]))


def _within(name: Wording) -> Wording:
    """A name as it reads inside a sentence."""
    return {**name, "en": name["en"].lower()}


def _quality(quality: Mapping[str, Any]) -> Wording:
    tables = quality["tables"].values()
    read, aside = (sum(t[key] for t in tables) for key in ("rows_read", "rows_quarantined"))
    if not aside:
        return say("findings.quality_clean", read=number(read))
    reasons: dict[str, int] = {}
    for table in tables:
        for reason, n in table["reasons"].items():
            reasons[reason] = reasons.get(reason, 0) + n
    return say(
        "findings.quality",
        share=share((read - aside) / read, 2),
        read=number(read),
        n=number(aside),
        reason=name_of("reasons", max(reasons, key=lambda reason: reasons[reason])),
    )


def _pair(pair: Mapping[str, Any]) -> Wording:
    names = {place: pair[place].split(CATEGORY_SEPARATOR)[-1] for place in ("first", "second")}
    return say("findings.pair", lift=number(pair["lift"], 1), **names)


def _joined(sentences: list[Wording], between: Wording = _BETWEEN_SENTENCES) -> Wording:
    """Several sentences as one text."""
    return {
        language: space.join(sentence[language] for sentence in sentences)
        for language, space in between.items()
    }


def _figure(value: float | None, *, signed: bool = False) -> str:
    if value is None:
        return "–"
    digits = 3 if abs(value) < 10 else 2 if abs(value) < 1000 else 0
    return f"{value:{'+' if signed else ''},.{digits}f}".replace("-", "\N{MINUS SIGN}")
