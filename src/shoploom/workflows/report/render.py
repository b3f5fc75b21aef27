"""One HTML file from the parts of a report.

The file is complete in itself. A content security policy written into it allows exactly the
scripts that are placed here, by their hashes, and no request to any host: a shop's own texts
cannot become code even where an escape were missed.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from shoploom.core.errors import DataError
from shoploom.core.files import write_text
from shoploom.workflows.report.data import ReportData
from shoploom.workflows.report.findings import (
    best_baseline,
    effects,
    lower_is_better,
    reading_verdict,
    verdict,
)
from shoploom.workflows.report.wording import (
    LANGUAGES,
    day,
    metric_about,
    metric_name,
    name_of,
    plain,
    say,
    texts,
)

_HERE = files("shoploom.workflows.report")
_SCRIPTS = (
    "vendor/echarts.min.js",
    "charts.js",
    "figures.js",
    "content.js",
    "studies.js",
    "policies.js",
    "report.js",
)
#: Response curves that are drawn; the table shows all that are kept.
_PRICE_CURVES = 6
_STYLES = ("vendor/fonts.css", "report.css", "content.css")

#: In reading order; the first two and the last are always there.
_SECTIONS = (
    *("summary", "quality", "behaviour", "content", "predict", "studies"),
    *("risk", "baskets", "segments", "campaigns", "prices", "acting", "method"),
)


def render_report(data: ReportData, path: Path | str) -> None:
    """Write the report as one HTML file, atomically.

    Raises:
        DataError: a part holds something that JSON cannot, such as NaN.
    """
    write_text(path, report_html(data))


def report_html(data: ReportData) -> str:
    """The report as the text of one HTML document; see ``render_report``."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(_read),
    )
    scripts = [_read(name) for name in _SCRIPTS]

    def both(wording: Mapping[str, str], tag: str = "span") -> Markup:
        """A wording as one element per language, of which the style sheet shows one."""
        return Markup("").join(
            Markup('<{tag} lang="{lang}">{text}</{tag}>').format(
                tag=Markup(tag), lang=language, text=wording[language]
            )
            for language in LANGUAGES
        )

    environment.globals.update(
        both=both,
        t=lambda key, **values: both(say(key, **values)),
        name_of=name_of,
        metric_name=metric_name,
        metric_about=metric_about,
    )
    template = environment.get_template("report.html.j2")
    return template.render(
        shop=data.shop,
        caveat=_caveat(data.shop["caveat"]),
        quality=data.quality,
        evaluation=data.evaluation,
        insights=data.insights,
        content=_content(data),
        reading=_reading(data.content.get("sentiment", {}).get("judged")),
        findings=data.findings,
        versions=data.versions,
        tasks=[_task(name, task) for name, task in data.evaluation.get("tasks", {}).items()],
        studies=_studies(data),
        tuned=data.studies.get("tuning", {}),
        groups=data.policies.get("segments"),
        campaigns=_campaigns(data),
        prices=_prices(data),
        acting=_acting(data),
        metrics=_metrics_used(data.evaluation),
        engines=_engines_used(data.evaluation),
        sections=_sections(data),
        clock=_clock(data.insights["timezone"]),
        risk_days=str(data.evaluation.get("tasks", {}).get("churn", {}).get("window_days", 28)),
        absent=_absent(data.quality),
        reasons=any(table["reasons"] for table in data.quality["tables"].values()),
        repairs=any(table["repairs"] for table in data.quality["tables"].values()),
        styles=Markup("\n".join(map(_read, _STYLES))),
        scripts=[Markup(script) for script in scripts],
        policy=_policy(scripts),
        payload=Markup(_payload(data)),
    )


def _read(name: str) -> str:
    return _HERE.joinpath(name).read_text(encoding="utf-8")


def _policy(scripts: list[str]) -> str:
    """A content security policy that runs these scripts, inline styles, and nothing else."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        "font-src data:; img-src data:; base-uri 'none'; form-action 'none'"
    )


def _payload(data: ReportData) -> str:
    """The parts and texts that the browser draws from, as JSON that no HTML parser can leave.

    ``<``, ``>`` and ``&`` are written as JSON escapes, so that neither ``</script>`` nor a comment
    can begin inside a string.

    Raises:
        DataError: JSON cannot hold a value.
    """
    tasks = data.evaluation.get("tasks", {})
    value = {
        "shop": data.shop,
        "quality": data.quality,
        "evaluation": data.evaluation,
        "insights": data.insights,
        "content": data.content,
        "studies": data.studies,
        "policies": data.policies,
        "texts": _browser_texts(data.evaluation),
        "rivals": {name: best_baseline(task) for name, task in tasks.items()},
        "lower": [m for m in _metrics_used(data.evaluation) if lower_is_better(m)],
    }
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (ValueError, TypeError) as error:
        raise DataError(
            f"expected the parts of a report to be JSON-able, got a value that is not ({error}); "
            "use None for a number that is undefined."
        ) from None
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _browser_texts(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """The texts that report.js writes itself; metrics come with their cut-offs filled in."""
    groups = ("page", "figure", "columns", "actions", "split", "orders_made", "clock", "engines")
    groups += ("slices", "slice_values", "reasons", "task_names", "campaigns", "outcomes")
    groups += ("prices", "price_actions", "price_reasons", "price_bounds", "acting")
    groups += ("variants", "modalities", "languages", "aspects", "readers", "intents", "emotions")
    chosen = {group: texts()[group] for group in groups}
    chosen["segments"] = texts()["segments"]["names"]
    chosen["segment_about"] = texts()["segments"]["about"]
    chosen["metrics"] = {name: metric_name(name) for name in _metrics_used(evaluation)}
    return chosen


def _task(name: str, task: Mapping[str, Any]) -> dict[str, Any]:
    """What the template needs to lay out one task."""
    return {
        "name": name,
        "question": name_of("tasks", name),
        "about": texts()["task_about"].get(name) or plain(""),
        "verdict": verdict(task),
        "task": task,
        "rival": best_baseline(task),
        "calibration": _filled(task.get("calibration", {}).get(task["chosen"])),
        "deciles": _filled(task.get("deciles", {}).get(task["chosen"])),
        "threshold": task.get("threshold", {}).get(task["chosen"]),
    }


def _studies(data: ReportData) -> list[dict[str, Any]]:
    """What the template needs to lay out the comparisons of variants, one by one."""
    return [
        {
            "study": study,
            "engine": engine,
            "tasks": [
                {"name": name, "question": name_of("tasks", name), "verdict": effects(table)}
                for name, table in found.items()
            ],
            "compared": sum(len(table["versus"]) for table in found.values()),
        }
        for study in ("knockout", "controls")
        for engine, found in data.studies.get(study, {}).items()
    ]


def _campaigns(data: ReportData) -> list[dict[str, Any]]:
    """What the template needs to lay out each kind of exposure."""
    found = []
    for kind, about in data.policies.get("audience", {}).items():
        value, low, high = about["chosen_minus_best"]
        best = about["best_of_the_same_for_all"].removeprefix("everybody: ")
        if about["refused"]:
            verdict = say("campaigns.refused", reason=about["refused"])
        else:
            numbers = {"value": f"{value:+.3f}", "low": f"{low:+.3f}", "high": f"{high:+.3f}"}
            whom = say("campaigns.everybody", arm=best)
            key = "campaigns.ahead" if low > 0 else "campaigns.not_ahead"
            verdict = {
                language: say(key, best=whom[language], **numbers)[language]
                for language in LANGUAGES
            }
        found.append(
            {
                "kind": kind,
                "observational": about["observational"],
                "verdict": verdict,
                "arms": list(about["orders"]),
            }
        )
    return found


def _prices(data: ReportData) -> dict[str, Any] | None:
    """What the template needs to lay out prices."""
    about = data.policies.get("price")
    if not about:
        return None
    value, low, high = (f"{x:.2f}" for x in about["elasticity"])
    counts = {name: str(about["proposals"].get(name, 0)) for name in ("raise", "lower", "keep")}
    currency = data.shop["currency"]
    gain, least, most = (f"{x:+,.0f} {currency}" for x in about["gain"])
    sentences = [
        say(
            "prices.elasticity",
            value=value,
            low=low,
            high=high,
            naive=f"{about['naive']:.2f}",
            known=f"{about['known']:,}",
            items=f"{about['items']:,}",
        ),
        say(
            "prices.proposals",
            raise_=counts["raise"],
            lower=counts["lower"],
            keep=counts["keep"],
            value=gain,
            low=least,
            high=most,
            profit=f"{about['profit']:,.0f} {currency}",
        ),
    ]
    found = about["discounts"]
    if found["protected"]:
        apart, parity = (f"{found[name]:.1%}" for name in ("apart", "parity"))
        sentences.append(
            say("prices.fair", attribute=found["protected"], apart=apart, parity=parity)
        )
    if about["refused"]:
        sentences.append(say("prices.refused", reason=about["refused"]))
    curves = about["curves"][:_PRICE_CURVES]
    return {
        "drawn": about["drawn"],
        "judged": bool(about.get("judged")),
        "sentences": sentences,
        "curves": curves,
    }


def _acting(data: ReportData) -> dict[str, Any]:
    """What the template needs to lay out slates and replies."""
    slates, replies = data.policies.get("slates"), data.policies.get("reply")
    found: dict[str, Any] = {"slates": None, "replies": None}
    if slates and slates["slates"]:
        about = say(
            "acting.slates_about",
            slates=f"{slates['slates']:,}",
            k=str(slates["k"]),
            items=f"{slates['items']:,}",
            categories=f"{slates['categories']:.1f}",
        )
        if slates["refused"] or slates["estimates"] is None:
            verdict = say("acting.refused", reason=slates["refused"])
        else:
            minus, low, high = (f"{x:+.4f}" for x in slates["minus_logged"][slates["read"]])
            verdict = say(
                "acting.slates_verdict",
                value=f"{slates['estimates'][slates['read']][0]:.4f}",
                logged=f"{slates['logged'][0]:.4f}",
                minus=minus,
                low=low,
                high=high,
            )
        found["slates"] = {"about": about, "verdict": verdict}
    if replies:
        chosen = replies["policies"]["chosen"]
        if replies["refused"]:
            verdict = say("acting.refused", reason=replies["refused"])
        else:
            value, low, high = (f"{x:+.2f}" for x in chosen["minus_logged"][chosen["read"]])
            verdict = say("acting.replies_verdict", value=value, low=low, high=high)
        about = say(
            "acting.replies_about",
            learned=f"{replies['learned_from']:,}",
            judged=f"{replies['judged_on']:,}",
            person=f"{replies['person']:.0%}",
        )
        found["replies"] = {"about": about, "verdict": verdict, "matrix": bool(replies["matrix"])}
    return found


def _filled(curve: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The curve, or None when it has no point."""
    return curve if curve and curve["n"] else None


def _metrics_used(evaluation: Mapping[str, Any]) -> list[str]:
    names = (
        metric
        for task in evaluation.get("tasks", {}).values()
        for result in task["results"].values()
        for metric in result
    )
    return list(dict.fromkeys(names))


def _engines_used(evaluation: Mapping[str, Any]) -> list[str]:
    names = (name for task in evaluation.get("tasks", {}).values() for name in task["results"])
    return list(dict.fromkeys(names))


def _sections(data: ReportData) -> list[str]:
    """The sections that there is something to say in, in order."""
    insights = data.insights
    there = {
        "behaviour": bool(insights["revenue"] or insights["funnel"]),
        "content": bool(_content(data)),
        "predict": bool(data.evaluation.get("tasks")),
        "studies": any(data.studies.values()),
        "risk": bool(insights.get("at_risk")),
        "baskets": bool(insights.get("pairs") or insights["best_sellers"]),
        "segments": bool(insights["rfm"] or data.policies.get("segments")),
        "campaigns": bool(data.policies.get("audience")),
        "prices": bool(data.policies.get("price")),
        "acting": bool(data.policies.get("slates") or data.policies.get("reply")),
    }
    return [section for section in _SECTIONS if there.get(section, True)]


def _content(data: ReportData) -> dict[str, dict[str, Any]]:
    """The parts about content that hold something; a map without items holds nothing."""
    parts = {
        name: {key: value for key, value in part.items() if value}
        for name, part in data.content.items()
    }
    return {
        name: part for name, part in parts.items() if part and (name != "map" or "cells" in part)
    }


def _reading(judged: Mapping[str, Any] | None) -> dict[str, Mapping[str, str]] | None:
    """What the template says of how well texts are read."""
    if not judged:
        return None
    return {"day": day(judged["from"]), "verdict": reading_verdict(judged)}


def _caveat(caveat: str | Mapping[str, str] | None) -> Mapping[str, str] | None:
    if not caveat:
        return None
    return plain(caveat) if isinstance(caveat, str) else caveat


def _clock(timezone: str) -> Mapping[str, str]:
    """Which clock hours of the day are on."""
    return say("clock.utc") if timezone == "UTC" else say("clock.shop", timezone=timezone)


def _absent(quality: Mapping[str, Any]) -> list[str]:
    """Columns of the contract without a single value, as ``table.column``."""
    return [
        f"{name}.{column}"
        for name, table in quality["tables"].items()
        for column, present in table["columns"].items()
        if not present
    ]
