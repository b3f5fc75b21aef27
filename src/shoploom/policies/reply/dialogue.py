"""Dialogues as they stood at a moment."""

from __future__ import annotations

from dataclasses import dataclass

from shoploom.core import columns as c
from shoploom.core.errors import DataError
from shoploom.tables import Tables


@dataclass(frozen=True)
class Dialogue:
    """One conversation, in order.

    Attributes:
        id, user: of the shop. time: of the first turn, microseconds.
        roles: ``customer`` or ``agent``, by turn. texts: what was said. times: when.
        intent, emotion: as logged; None where not. satisfaction: 1 to 5, None where not said.
    """

    id: str
    user: str
    time: int
    roles: tuple[str, ...]
    texts: tuple[str, ...]
    times: tuple[int, ...]
    intent: str | None = None
    emotion: str | None = None
    satisfaction: float | None = None

    def until(self, at: int) -> Dialogue:
        """What had been said by then; satisfaction was not known yet."""
        n = sum(time <= at for time in self.times)
        return Dialogue(
            self.id,
            self.user,
            self.time,
            self.roles[:n],
            self.texts[:n],
            self.times[:n],
            self.intent,
            self.emotion,
        )

    def said_by(self, role: str) -> str:
        """All that one of the two said."""
        return " ".join(
            text for who, text in zip(self.roles, self.texts, strict=True) if who == role
        )


def dialogues_of(tables: Tables) -> dict[str, Dialogue]:
    """The shop's dialogues by id, oldest turn first.

    Raises:
        DataError: the shop has none, or their texts or roles are missing.
    """
    table = tables.dialogues
    if table is None:
        raise DataError(
            "expected a table of dialogues (dialogue_id, user_id, time, role, text), the shop has "
            "none; add it to shop.yaml."
        )
    missing = [name for name in (c.ROLE, c.TEXT) if name not in table.columns]
    if missing:
        raise DataError(f"dialogues: expected the columns role and text, {missing} are missing.")
    rows = table.order_by([c.DIALOGUE_ID, c.TIME]).to_pyarrow().to_pylist()
    turns: dict[str, list[dict]] = {}
    for row in rows:
        turns.setdefault(str(row[c.DIALOGUE_ID]), []).append(row)
    return {name: _dialogue(name, some) for name, some in turns.items()}


def _dialogue(name: str, turns: list[dict]) -> Dialogue:
    def last(column: str):
        known = [turn[column] for turn in turns if turn.get(column) is not None]
        return known[-1] if known else None

    return Dialogue(
        id=name,
        user=str(turns[0][c.USER_ID]),
        time=int(turns[0][c.TIME]),
        roles=tuple(turn[c.ROLE] or c.CUSTOMER for turn in turns),
        texts=tuple(turn[c.TEXT] or "" for turn in turns),
        times=tuple(int(turn[c.TIME]) for turn in turns),
        intent=last(c.INTENT),
        emotion=last(c.EMOTION),
        satisfaction=last(c.SATISFACTION),
    )
