"""What requests and answers look like, for the OpenAPI document; hot routes check by hand."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from shoploom.core import columns as c

Action = Literal[
    "view", "cart", "remove", "favourite", "purchase", "search", "watch", "click", "return"
]
Id = Field(min_length=1, max_length=200)

EVENT = {
    "event_id": "7d1f0a52-3c1e-4b62-9d6a-0f4f4a3f6a10",
    "user_id": "42",
    "action": "cart",
    "time": "2026-11-28T09:30:00Z",
    "item_id": "i0564",
    "price": 13.99,
    "quantity": 1,
    "session_id": "s-881",
}


class Strict(BaseModel):
    """Nothing but what is named."""

    model_config = ConfigDict(extra="forbid")


class EventIn(Strict):
    """One thing that a user did."""

    event_id: str = Field(
        min_length=1,
        max_length=200,
        description="yours; with user_id it makes an event count once, however often it is sent",
    )
    user_id: str = Id
    action: Action
    time: str | int | None = Field(
        default=None, description="ISO 8601, or microseconds since 1970; now when left out"
    )
    item_id: str | None = Field(default=None, min_length=1, max_length=200)
    price: float | None = Field(default=None, ge=0, le=1e9, description="of one unit")
    quantity: float | None = Field(default=None, ge=1e-9, le=1e6)
    session_id: str | None = Field(default=None, min_length=1, max_length=200)
    query: str | None = Field(default=None, max_length=2000)
    dwell_s: float | None = Field(default=None, ge=0, le=1e7)
    stream_id: str | None = Field(default=None, min_length=1, max_length=200)
    source: str | None = Field(default=None, max_length=2000)


EventList = Annotated[list[EventIn], Field(min_length=1)]


class EventsIn(Strict):
    """A batch."""

    events: list[EventIn] = Field(min_length=1)


class Rejection(BaseModel):
    """What could not be taken, and why; it was put aside and is not lost."""

    place: int
    event_id: str | None
    reason: str


class EventsOut(BaseModel):
    """What became of a batch, once it is on disk."""

    accepted: int = Field(description="new events, kept for good")
    duplicates: int = Field(description="events that were there already")
    rejected: list[Rejection]


class ReviewIn(Strict):
    """What a user wrote about an item."""

    review_id: str = Id
    user_id: str = Id
    item_id: str = Id
    time: str | int | None = None
    rating: float | None = Field(default=None, ge=1, le=5)
    title: str | None = Field(default=None, max_length=500)
    text: str = Field(min_length=1, max_length=5000)


class MessageIn(Strict):
    """A turn of a dialogue."""

    message_id: str = Id
    dialogue_id: str = Id
    user_id: str = Id
    time: str | int | None = None
    role: Literal["customer", "agent"] = "customer"
    text: str = Field(min_length=1, max_length=5000)


class Kept(BaseModel):
    """Whether a text was new."""

    new: bool


class Error(BaseModel):
    """What went wrong."""

    code: str
    message: str
    details: list[Any]
    request_id: str


class ErrorOut(BaseModel):
    """The one shape of errors."""

    error: Error


class Item(BaseModel):
    """What lists show of an item."""

    item_id: str
    title: str | None
    category: str | None
    price: float | None
    image: bool = Field(description="whether there is a photo, at /v1/items/ID/image")


class About(BaseModel):
    """What every answer about a user begins with."""

    user_id: str
    known: bool = Field(description="whether anything is known; strangers get defined answers too")
    at: str
    events: int
    live_events: int = Field(description="of these, how many came after the model was made")
    model: str


class Recommended(Item):
    """An item of a list."""

    rank: int
    score: float | None
    because: Item | None = Field(
        default=None, description="with explain: the user's own item that spoke most for it"
    )


class Recommendations(About):
    """What a user wants next."""

    engine: str
    items: list[Recommended]


class Reason(BaseModel):
    """A number that moved an answer."""

    statistic: str
    value: float | None
    added: float | None = Field(description="to the answer's logit, or logarithm")


class BySubject(BaseModel):
    """An answer about one subject."""

    subject: str
    value: float | None


class Answer(BaseModel):
    """What a model expects of a user."""

    task: str
    unit: str
    window_days: int
    value: float | None = None
    values: list[BySubject] | None = None


class Prediction(About, Answer):
    """An answer with its engine."""

    engine: str
    because: list[Reason] | None = Field(default=None, description="with explain, where known")


class Interest(BaseModel):
    """A category and its share of what a user touched."""

    category: str
    share: float | None


class Happened(BaseModel):
    """An event of a user's history."""

    time: str
    action: Action
    price: float | None
    quantity: float | None
    item: Item | None


class Segment(BaseModel):
    """The group that a user belongs to now."""

    segment: int
    name: dict[str, str]


class Profile(About):
    """All that is known of a user."""

    segment: Segment | None
    habits: dict[str, float | None]
    interests: list[Interest]
    predictions: dict[str, Answer]
    history: list[Happened]


class Priced(BaseModel):
    """The price to show a user."""

    user_id: str
    item_id: str
    price: float | None = Field(description="today's list price")
    proposed: float | None = Field(description="the proposed list price")
    discount: float = Field(description="of this user's group, a share of the proposed price")
    to_pay: float | None
    action: str
    reason: str
    gain: list[float | None] | None
    elasticity: list[float | None] | None
    refused: str | None = Field(description="why today's price stands, where it does")


class Targeted(BaseModel):
    """Whether to show a user something."""

    user_id: str
    kind: str
    arm: str | None = Field(description="what to show; none means nothing")
    group: str | None
    gain: float | None
    effects: dict[str, float | None]
    why: Literal["shown", "no consent", "not worth it", "left alone"]
    reason: str
    decided: str


class Neighbour(Item):
    """A similar item."""

    score: float | None


class Similar(BaseModel):
    """Items like one, or items that answer a search."""

    by: str = Field(description="what likeness means: content, together, words, meaning or photo")
    items: list[Neighbour]


class TextIn(Strict):
    """Texts to read."""

    texts: list[str] = Field(min_length=1, max_length=64)


class Sentiment(BaseModel):
    """What a text says."""

    positive: float
    label: Literal["negative", "positive"]
    aspects: dict[str, float]


class Sentiments(BaseModel):
    """Of each text, in order."""

    texts: list[Sentiment]


class ReplyIn(Strict):
    """A running dialogue."""

    texts: list[str] = Field(min_length=1, max_length=100)
    roles: list[Literal["customer", "agent"]] | None = None
    user_id: str | None = Field(default=None, min_length=1, max_length=200)


class ReplyOut(BaseModel):
    """What to answer, and whether a person should."""

    reply: str
    chance: float
    person: bool
    text: str | None
    source: str
    intent: dict[str, float]
    emotion: dict[str, float]
    satisfaction: float | None
    chances: dict[str, float]


class Trend(Item):
    """An item that is taken more often than it used to be."""

    n: int = Field(description="events of the last hour")
    expected: float = Field(description="at its usual share of all events")
    surprise: float = Field(description="(n - expected) / sqrt(expected + 1)")


class AlertOut(BaseModel):
    """Something that is not as usual."""

    what: str
    level: Literal["high", "low"]
    now: float
    usual: float
    distance: float = Field(description="in units of the usual spread")


class MoodsOut(BaseModel):
    """How customers feel, over the last day."""

    n: int
    waiting: int
    positive: float | None
    hours: list[tuple[str, int, float]]
    worst: list[dict[str, Any]]
    can_read: bool


class DriftOut(BaseModel):
    """A number of users, when the model was made and now."""

    name: str
    kind: Literal["statistic", "answer"]
    index: float = Field(description="population stability index; above .25 it has changed")
    median_then: float | None
    median_now: float | None


class Drifts(BaseModel):
    """What was compared."""

    users: int
    numbers: list[DriftOut]


class Live(BaseModel):
    """What goes on."""

    at: str
    users: int
    events: int
    funnel: dict[str, int]
    revenue: float
    conversion: float | None
    trending: list[Trend]
    alerts: list[AlertOut]
    sentiment: MoodsOut
    drift: Drifts


class ModelOut(BaseModel):
    """The model that answers."""

    model: str
    shop: str
    currency: str
    engines: dict[str, str]
    trained_until: str
    users: int
    items: int
    loading: bool = Field(description="whether another one is being loaded")


class Reloaded(BaseModel):
    """The model that answers from now on."""

    model: str


class AuditLine(BaseModel):
    """Who did what."""

    time: str
    key: str
    action: str
    target: str
    outcome: str


class Audit(BaseModel):
    """Lines, newest first."""

    lines: list[AuditLine]


class Health(BaseModel):
    """That the process lives, or that it can answer."""

    status: Literal["ok", "unavailable"]
    detail: str | None = None


FIELDS = tuple(EventIn.model_fields)
assert set(FIELDS) >= {c.USER_ID, c.ACTION}
