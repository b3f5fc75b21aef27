"""What a shop asks about one user, answered from last night's model and this second's events.

Plain values in, JSON-able values out: HTTP and the command line share it. Nothing here waits: what
takes more than a few milliseconds (texts, photos) is asked for by the ``slow`` answers, which
callers run beside the event loop.
"""

from __future__ import annotations

import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoploom.core import columns as c
from shoploom.core.errors import DataError, NotFitted, ShoploomError
from shoploom.core.progress import Progress
from shoploom.core.time import DAY_US, HOUR_US, MINUTE_US, iso
from shoploom.engines import Accounts, Explains, ItemCounts
from shoploom.serving.bundle import Bundle, load_bundle, question
from shoploom.serving.clock import Clock
from shoploom.serving.decisions import in_order
from shoploom.serving.live import Known, known
from shoploom.serving.store import Store
from shoploom.tasks import Task
from shoploom.workflows.reply import Describes, Service, load_service
from shoploom.workflows.user_features import in_columns

RECOMMENDS = "next_item"
_REASONS = 8  # numbers that an explanation names
_HISTORY = 50
_COUNTED_FOR_S = 60.0


class UnknownUser(ShoploomError):
    """Nothing is known of a user who was asked about."""


class NotThere(ShoploomError):
    """The model that serves has no such answer; the message says what gives it."""


class Predictor:
    """Answers from a bundle that can be put in the place of another.

    Args:
        store: of live events.
        clock: that says what time it is.
        bundle: of the run that answers.
    """

    def __init__(self, store: Store, clock: Clock, folder: Path | str, progress: Progress):
        self.store, self.clock = store, clock
        self._counted: tuple[tuple[str, int], float, ItemCounts] | None = None
        self._services: dict[str, Service | None] = {}
        self._lock = threading.Lock()
        self.bundle = self.load(folder, progress)

    def load(self, folder: Path | str, progress: Progress | None = None) -> Bundle:
        """A bundle, not yet in place."""
        return load_bundle(folder, counts=self._counts, progress=progress)

    def replace(self, bundle: Bundle) -> None:
        """Answer from another bundle from now on; requests under way end with the old one."""
        self.bundle = bundle

    def known(self, user: str, bundle: Bundle | None = None) -> Known:
        """What is known of a user now."""
        bundle = bundle or self.bundle
        deeds = self.store.history(user, bundle.floor)
        return known(bundle.ready.histories, deeds, user, self.clock.now())

    def recommend(self, user: str, *, k: int = 10, explain: bool = False) -> dict[str, Any]:
        """The ``k`` items that a user wants next, best first; popular ones for a stranger."""
        bundle = self.bundle
        task, asked, fitted = self._task(bundle, RECOMMENDS)
        one = self.known(user, bundle)
        inputs = bundle.around.inputs(one)
        answers = fitted.answer(task, question(task.name, asked, user, one.at), inputs, k=k)
        assert answers.items is not None
        assert answers.scores is not None
        assert answers.catalogue is not None
        codes = answers.items[0, :k]
        codes = codes[codes >= 0]
        items = answers.catalogue.decode(codes).tolist()
        listed = [
            bundle.goods.brief(item) | {"rank": rank, "score": _rounded(score)}
            for rank, (item, score) in enumerate(
                zip(items, answers.scores[0].tolist(), strict=False), 1
            )
        ]
        if explain:
            own = np.full(len(codes), -1)
            if isinstance(fitted, Explains) and one.is_known:
                users = np.array([user], dtype=object)
                own = fitted.because(users, codes[None], one.at, inputs)[0]
            for each, item in zip(listed, answers.catalogue.decode(own).tolist(), strict=True):
                each["because"] = None if item is None else bundle.goods.brief(item)
        return self._said(bundle, one, bundle.chosen(task.name)) | {"items": listed}

    def predict(self, user: str, name: str, *, explain: bool = False) -> dict[str, Any]:
        """A task's answer about a user: a chance, an expectation, or one by subject."""
        bundle = self.bundle
        one = self.known(user, bundle)
        answer = self._answer(bundle, one, name)
        said = self._said(bundle, one, bundle.chosen(name)) | answer
        if explain:
            said["because"] = self.reasons(bundle, one, name)
        return said

    def risks(self, one: Known, bundle: Bundle) -> dict[str, Any]:
        """All answers about a user that are no rankings, by task."""
        return {
            name: self._answer(bundle, one, name)
            for name, task in bundle.tasks.items()
            if task.kind != "ranking"
        }

    def profile(self, user: str, *, history: int = _HISTORY) -> dict[str, Any]:
        """Who a user is: habits, interests, risks, and what they did last.

        Raises:
            UnknownUser: nobody of that id was ever seen.
        """
        bundle = self.bundle
        one = self.known(user, bundle)
        if not one.is_known:
            raise UnknownUser(f"expected a user with at least one event, none has the id {user!r}.")
        return self._said(bundle, one, None) | {
            "segment": self.segment(one, bundle),
            "habits": self.habits(one),
            "interests": self.interests(one, bundle),
            "predictions": self.risks(one, bundle),
            "history": self.history(one, bundle, history),
        }

    def segment(self, one: Known, bundle: Bundle) -> dict[str, Any] | None:
        """The group that a user belongs to now; None where nobody asked for groups."""
        found = bundle.decisions.membership
        if found is None or not one.is_known:
            return None
        users = one.events.users.ids
        z = bundle.represent(one) if found.reads_z else None
        group = int(found.of(one.statistics, one.events.sequences(), users, z)[0])
        return {"segment": group + 1, "name": dict(found.names[group])}

    def price(self, user: str, item: str) -> dict[str, Any]:
        """The price to show a user, within the guardrails that it was proposed under.

        Raises:
            NotThere: no prices were proposed, or none for this item.
        """
        prices = self.bundle.decisions.prices
        if prices is None:
            raise NotThere("no prices were proposed; run `shoploom price shop.yaml`, then reload.")
        found = prices.of_user(user, item)
        if found is None:
            raise NotThere(f"no item with a price has the id {item!r}.")
        return found

    def audience(self, user: str, kind: str) -> dict[str, Any]:
        """Whether to show a user something of a kind, by what is known of them now.

        Raises:
            NotThere: there is no such campaign, or it was refused.
        """
        bundle = self.bundle
        decider = bundle.decisions.deciders.get(kind)
        if decider is None:
            campaign = bundle.decisions.campaigns.get(kind)
            known = ", ".join(bundle.decisions.deciders) or "none"
            why = campaign["refused"] if campaign else f"the known ones are {known}"
            raise NotThere(
                f"no campaign of kind {kind!r} is ready: {why}; `shoploom audience` makes one."
            )
        one = self.known(user, bundle)
        if one.is_known:
            row = in_order(one.statistics.values[0], one.statistics.names, decider.statistics)
        else:
            row = np.full(len(decider.statistics), np.nan, dtype=np.float32)
        found = decider.decide(user, one.at, row, bundle.decisions.people.said(user))
        gain = found["gain"]
        return {
            c.USER_ID: user,
            "kind": kind,
            **found,
            "gain": None if gain is None else _rounded(gain),
            "effects": {name: _rounded(value) for name, value in found["effects"].items()},
            "decided": iso(one.at),
        }

    def similar(self, item: str, k: int, by: str | None) -> dict[str, Any]:
        """Items like one; takes a while the first time.

        Raises:
            NotThere: there is no such item.
        """
        bundle = self.bundle
        if bundle.goods.code(item) < 0:
            raise NotThere(f"no item has the id {item!r}.")
        how, found = bundle.likeness.similar(item, k, by)
        return {"by": how, "items": _neighbours(bundle, found)}

    def search(self, query: str, k: int) -> dict[str, Any]:
        """Items that answer a text; takes a while."""
        bundle = self.bundle
        how, found = bundle.likeness.search(query, k)
        return {"by": how, "items": _neighbours(bundle, found)}

    def search_photo(self, photo: bytes, k: int) -> dict[str, Any]:
        """Items whose photos are like one; takes a while."""
        bundle = self.bundle
        found = bundle.likeness.search_photo(photo, k)
        return {"by": "photo", "items": _neighbours(bundle, found)}

    def reply(self, texts: list[str], roles: list[str] | None, user: str | None) -> dict[str, Any]:
        """The best reply to a running dialogue; takes a while.

        Raises:
            NotThere: nothing was learned of replies, or it was refused.
        """
        bundle = self.bundle
        service = self._service(bundle)
        if service is None:
            raise NotThere("no replies were learned; run `shoploom reply shop.yaml`, then reload.")
        if service.refused:
            raise NotThere(f"replies were refused: {service.refused}")
        return asdict(service.answer(texts, user, roles))

    def _service(self, bundle: Bundle) -> Service | None:
        with self._lock:
            if bundle.id not in self._services:
                self._services.clear()
                self._services[bundle.id] = load_service(
                    bundle.run, lambda how, users: self._customers(bundle, how, users)
                )
            return self._services[bundle.id]

    def _customers(
        self, bundle: Bundle, how: Describes, users: NDArray[np.object_]
    ) -> NDArray[np.float64]:
        """What replies are chosen by, of users as they are known now."""
        rows = []
        for user in users.tolist():
            one = self.known(str(user), bundle)
            habits = np.full((1, len(how.habits)), np.nan)
            if one.is_known:
                places = [one.statistics.names.index(name) for name in how.habits]
                habits = one.statistics.values[:, places].astype(np.float64)
            said = bundle.decisions.people.said(str(user))
            columns = [np.empty((1, 0), dtype=np.float32)] + [
                in_columns(np.array([said.get(name)], dtype=object), values)
                for name, values in how.words.items()
            ]
            z = bundle.represent(one) if how.reads_z else None
            rows.append(how.rows(habits, np.hstack(columns), z))
        return np.vstack(rows)

    def habits(self, one: Known) -> dict[str, float | None]:
        """A user's statistics by name."""
        values = one.statistics.values[0]
        return {n: _rounded(v) for n, v in zip(one.statistics.names, values, strict=True)}

    def interests(self, one: Known, bundle: Bundle, k: int = 8) -> list[dict[str, Any]]:
        """Categories that a user touched, weighed by deed and age, as shares."""
        if not bundle.around.categories:
            return []
        from shoploom.sequences.interests import ACTION_WEIGHTS

        _, of = bundle.around.categories[max(bundle.around.categories)]
        weight = np.array([ACTION_WEIGHTS.get(name, 0.0) for name in c.ACTIONS])
        events = one.events
        deed = weight[events.action] * np.exp2(-(one.at - events.time) / (30 * DAY_US))
        names = [of.get(item) for item in events.items.ids]
        total: dict[str, float] = {}
        for item, value in zip(events.item.tolist(), deed.tolist(), strict=True):
            if item >= 0 and value > 0 and (name := names[item]) is not None:
                total[name] = total.get(name, 0.0) + value
        whole = sum(total.values())
        best = sorted(total.items(), key=lambda pair: (-pair[1], pair[0]))[:k]
        return [{c.CATEGORY: name, "share": _rounded(value / whole)} for name, value in best]

    def history(self, one: Known, bundle: Bundle, n: int) -> list[dict[str, Any]]:
        """A user's last events, newest first."""
        events = one.events
        return [
            {
                c.TIME: iso(int(events.time[place])),
                c.ACTION: c.ACTIONS[events.action[place]],
                c.PRICE: _rounded(events.price[place]),
                c.QUANTITY: _rounded(events.quantity[place]),
                "item": None
                if events.item[place] < 0
                else bundle.goods.brief(str(events.items.ids[events.item[place]])),
            }
            for place in range(len(events.time) - 1, max(-1, len(events.time) - 1 - n), -1)
        ]

    def _task(self, bundle: Bundle, name: str) -> tuple[Task, Any, Any]:
        if name not in bundle.tasks:
            raise NotThere(
                f"this model was not trained for {name!r} (it knows {', '.join(bundle.tasks)}); "
                "add the task to shop.yaml and run again."
            )
        return bundle.task(name)

    def _answer(self, bundle: Bundle, one: Known, name: str) -> dict[str, Any]:
        task, asked, fitted = self._task(bundle, name)
        if task.kind == "ranking":
            raise DataError(f"the task {name!r} ranks items: ask for recommendations.")
        asks = question(name, asked, one.user, one.at)
        values = fitted.answer(task, asks, bundle.around.inputs(one)).values
        assert values is not None
        about = {"task": name, "unit": task.unit, "window_days": task.window_days}
        if asked.subjects is None:
            return about | {"value": _rounded(values[0])}
        order = np.argsort(-values, kind="stable").tolist()
        return about | {
            "values": [{"subject": asked.subjects[i], "value": _rounded(values[i])} for i in order]
        }

    def reasons(self, bundle: Bundle, one: Known, name: str) -> list[dict[str, Any]] | None:
        """The numbers that moved an answer most; None where the engine cannot say."""
        task, asked, fitted = bundle.task(name)
        if asked.subjects is not None or not isinstance(fitted, Accounts):
            return None
        asks = question(name, asked, one.user, one.at)
        try:
            told = fitted.account(task, asks, bundle.around.inputs(one))
        except NotFitted:
            return None
        order = np.argsort(-np.abs(told.added[0]), kind="stable")[:_REASONS]
        return [
            {
                "statistic": told.names[i],
                "value": _rounded(told.values[0, i]),
                "added": _rounded(told.added[0, i]),
            }
            for i in order.tolist()
            if told.added[0, i]
        ]

    def _said(self, bundle: Bundle, one: Known, engine: str | None) -> dict[str, Any]:
        """What every answer about a user begins with."""
        return {
            c.USER_ID: one.user,
            "known": one.is_known,
            "at": iso(one.at),
            "events": len(one.events.time),
            "live_events": one.live,
            "model": bundle.id,
        } | ({"engine": engine} if engine else {})

    def _counts(self, bundle: Bundle, since: int, at: int) -> ItemCounts:
        """How often everybody took each item, a minute old at most."""
        key, now = (bundle.id, (at - since) // MINUTE_US), time.monotonic()
        with self._lock:
            held = self._counted
            if held is not None and held[0] == key and now - held[1] < _COUNTED_FOR_S:
                return held[2]
            base = bundle.ready.histories.counts(since)
            found = _with_live(
                base, self.store.item_hours(max(since, base_end(bundle)), at + HOUR_US)
            )
            self._counted = (key, now, found)
            return found


def _neighbours(bundle: Bundle, found: list[tuple[str, float]]) -> list[dict[str, Any]]:
    return [bundle.goods.brief(item) | {"score": _rounded(score)} for item, score in found]


def base_end(bundle: Bundle) -> int:
    """Where a run's own events end."""
    return bundle.ready.histories.end


def _with_live(base: ItemCounts, rows: list[tuple[str, int, int]]) -> ItemCounts:
    """With live events of items that the run knows."""
    counts = base.counts.copy()
    codes = base.items.encode([item for item, _, _ in rows]).tolist()
    for code, (_, action, n) in zip(codes, rows, strict=True):
        if code >= 0:
            counts[code, action] += n
    return ItemCounts(base.items, counts)


def _rounded(value: float) -> float | None:
    """A number as it leaves: with the digits that mean something; None where undefined."""
    return round(float(value), 6) if np.isfinite(value) else None
