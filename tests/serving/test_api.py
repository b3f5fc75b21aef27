"""The API: what is taken in, what is answered, and one shape of errors."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from shoploom.core import columns as c
from shoploom.serving.runs import promote, roll_back
from tests.serving.conftest import Served, event


def test_events_are_acknowledged_once_they_are_kept(served: Served):
    sent = [event("a", item_id="i03"), event("b", action="purchse"), event("c")]
    found = served.send(*sent)
    assert (found["accepted"], found["duplicates"]) == (2, 0)
    assert found["rejected"][0]["place"] == 1
    assert "Did you mean 'purchase'?" in found["rejected"][0]["reason"]
    assert served.send(*sent)["duplicates"] == 2
    assert len(served.server.store.history("u07")) == 2
    assert served.server.store.quarantined(5)[0][1] == "b"


@pytest.mark.parametrize("form", [event("x"), [event("x")], {"events": [event("x")]}])
def test_events_come_in_three_forms(served: Served, form: object):
    assert served.client.post("/v1/events", json=form).json()["accepted"] == 1


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "not_json"),
        (b"{", 400, "not_json"),
        (b"[" * 5000, 400, "not_json"),
        (b"[]", 422, "bad_request"),
        (b"7", 422, "bad_request"),
        (b'{"events": 7}', 422, "bad_request"),
        (b'{"events": [], "more": 1}', 422, "bad_request"),
        (b'[{"user_id": "u"}]', 422, "no_event"),
        (b'"\xff\xfe"', 400, "not_json"),
        (json.dumps([event("x", a=[[[[[[1]]]]]])]).encode(), 422, "no_event"),
    ],
)
def test_bad_bodies_get_one_shape_of_error(served: Served, body: bytes, status: int, code: str):
    answer = served.client.post(
        "/v1/events", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code == status
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "details", "request_id"}
    assert error["code"] == code
    assert error["request_id"] == answer.headers["x-request-id"]


def test_large_bodies_are_refused(serve: Callable[..., Served]):
    served = serve(largest=10_000, batch=20)
    for body, length in ((b"[" + b" " * 20_000 + b"]", None), (b"[]", "20000000")):
        headers = {"content-type": "application/json"} | (
            {"content-length": length} if length else {}
        )
        assert served.client.post("/v1/events", content=body, headers=headers).status_code == 413
    many = served.client.post("/v1/events", json=[event(str(n)) for n in range(21)])
    assert many.status_code == 413
    other = served.client.post("/v1/events", content=b"a=1", headers={"content-type": "text/plain"})
    assert other.status_code == 415


def test_every_answer_about_a_user(served: Served):
    for path in ("", "/recommendations", "/predictions/churn", "/predictions/category"):
        found = served.get(f"/v1/users/u07{path}")
        assert found[c.USER_ID] == "u07"
        assert found["known"]
    told = served.get("/v1/users/u07/recommendations", k=3, explain=True)["items"]
    assert [each["rank"] for each in told] == [1, 2, 3]
    assert all("because" in each for each in told)


def test_the_next_answer_has_the_event(served: Served):
    for turn in range(5):
        served.send(event(f"e{turn}", "somebody new", item_id=f"i{turn:02d}"))
        found = served.get("/v1/users/somebody%20new/recommendations")
        assert found["live_events"] == turn + 1


@pytest.mark.parametrize("user", ["a/b", "ü 名", "../../etc/passwd", "' OR 1=1 --", "a?b#c", "🛒"])
def test_ids_are_only_ids(served: Served, user: str):
    served.send(event("e", user))
    found = served.get(f"/v1/users/{quote(user, safe='')}")
    assert found[c.USER_ID] == user


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/nothing", 404, "not_found"),
        ("/v1/users/nobody", 404, "unknown_user"),
        ("/v1/users/u07/predictions/chrun", 404, "not_available"),
        ("/v1/users/u07/predictions/next_item", 422, "bad_request"),
        ("/v1/users/u07/recommendations?k=0", 422, "bad_request"),
        ("/v1/users/u07/recommendations?k=many", 422, "bad_request"),
        (f"/v1/users/{'x' * 201}", 422, "bad_id"),
        ("/v1/users/a%0Ab", 422, "bad_id"),
        ("/v1/users/u07/price", 422, "bad_request"),
        ("/v1/users/u07/price?item_id=i01", 404, "not_available"),
        ("/v1/users/u07/audience", 404, "not_available"),
        ("/v1/items/none/similar", 404, "not_available"),
        ("/v1/items/i01/image", 404, "no_photo"),
        ("/v1/search?q=", 422, "bad_request"),
        ("/v1/events", 405, "method_not_allowed"),
    ],
)
def test_what_cannot_be_answered_is_said(served: Served, path: str, status: int, code: str):
    assert served.get(path, status)["error"]["code"] == code


def test_items_like_one_and_items_that_are_searched_for(served: Served):
    together = served.get("/v1/items/i03/similar", k=4)
    assert together["by"] == "together"
    assert "i03" not in [each[c.ITEM_ID] for each in together["items"]]
    found = served.get("/v1/search", q="lamps number 8", k=3)
    assert found["by"] == "words"
    assert found["items"][0][c.TITLE] == "lamps number 8"
    assert served.get("/v1/search", q='"; DROP TABLE goods', k=3)["items"] == []
    photo = served.client.post("/v1/search/image", content=b"no photo")
    assert photo.json()["error"]["code"] == "not_available"


def test_health_metrics_and_the_document(served: Served):
    assert served.get("/healthz") == {"status": "ok"}
    assert served.get("/readyz") == {"status": "ok"}
    served.send(event("a"))
    text = served.client.get("/metrics").text
    assert 'shoploom_events_total{outcome="accepted"} 1.0' in text
    assert 'shoploom_requests_total{route="/v1/events",status="200"} 1.0' in text
    document = served.get("/openapi.json")
    assert set(document["paths"]) >= {
        *("/v1/events", "/v1/users/{user_id}", "/v1/users/{user_id}/recommendations"),
        *("/v1/users/{user_id}/price", "/v1/users/{user_id}/audience", "/v1/reply"),
        *("/v1/sentiment", "/v1/items/{item_id}/similar", "/v1/search", "/v1/search/image"),
    }
    body = document["paths"]["/v1/events"]["post"]["requestBody"]["content"]["application/json"]
    assert body["examples"]["one"]["value"]["action"] == "cart"
    assert not any(path.startswith("/dashboard") for path in document["paths"])


def test_what_goes_on_is_told(served: Served):
    items = ["i03", "i03", "i03", "i03", "i08"]
    served.send(*[event(str(n), f"x{n % 3}", item_id=item) for n, item in enumerate(items)])
    served.send(event("buy", "x0", c.PURCHASE, item_id="i03", price=5.0, quantity=2))
    found = served.get("/v1/live")
    assert (found["users"], found["events"], found["revenue"]) == (3, 6, 10.0)
    assert found["funnel"] == {"view": 3, "cart": 0, "purchase": 1}
    assert found["trending"][0][c.ITEM_ID] == "i03"


def test_reviews_and_messages_are_kept_once(served: Served):
    review = {"review_id": "r", c.USER_ID: "u07", c.ITEM_ID: "i01", c.TEXT: "Fine"}
    assert served.client.post("/v1/reviews", json=review).json() == {"new": True}
    assert served.client.post("/v1/reviews", json=review).json() == {"new": False}
    message = {"message_id": "m", "dialogue_id": "d", c.USER_ID: "u07", c.TEXT: "Hello?"}
    assert served.client.post("/v1/messages", json=message).json() == {"new": True}
    assert served.client.post("/v1/messages", json={"text": 5}).status_code == 422
    assert [text.kind for text in served.server.store.texts(0, 5)] == ["message", "review"]


def test_another_run_takes_over_without_a_failed_request(
    serve: Callable[..., Served], run_folder: Path, tmp_path: Path
):
    served = serve()
    other = tmp_path / "other"
    shutil.copytree(run_folder, other)
    card = json.loads((other / "model.json").read_text())
    (other / "model.json").write_text(json.dumps(card | {"shop": "Renamed"}))
    first = served.get("/v1/model")["model"]
    promote(served.server.store, other, current=run_folder, by="test")
    end, seen = time.monotonic() + 20, set()
    while time.monotonic() < end and len(seen) < 2:
        seen.add(served.get("/v1/users/u07/recommendations")["model"])
    assert len(seen) == 2
    assert served.get("/v1/model")["shop"] == "Renamed"
    assert roll_back(served.server.store, by="test") == run_folder.absolute()
    while time.monotonic() < end and served.get("/v1/model")["model"] != first:
        time.sleep(0.05)
    assert served.get("/v1/model")["model"] == first
    lines = served.get("/v1/admin/audit")["lines"]
    assert [line["action"] for line in lines] == ["roll back", "promote"]


def test_a_run_that_is_cut_short_does_not_take_over(
    serve: Callable[..., Served], run_folder: Path, tmp_path: Path
):
    served = serve()
    other = tmp_path / "other"
    shutil.copytree(run_folder, other)
    arrays = next((other / "engines").glob("*/arrays.safetensors"))
    for arrays in (other / "engines").glob("*/arrays.safetensors"):
        arrays.write_bytes(arrays.read_bytes()[:100])
    first = served.get("/v1/model")["model"]
    promote(served.server.store, other, current=run_folder, by="test")
    answer = served.client.post("/v1/admin/reload")
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "not_loaded"
    assert served.get("/v1/model")["model"] == first
    assert served.get("/v1/users/u07/recommendations")["items"]


def test_a_demo_answers_to_this_machine_alone(served: Served):
    answer = served.client.get("/v1/model", headers={"host": "evil.example"})
    assert answer.status_code == 421
    assert answer.json()["error"]["code"] == "wrong_host"
