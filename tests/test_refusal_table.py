"""The edges of the tables that make a refusal an error, and of the hints that say when to come back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headwater import errors as e
from headwater.flow import Reply
from headwater.refusals import in_band, refusal, retry_after

NOW = 1.8e9


def refused(status: int, body: Any = None) -> e.ProviderError:
    return refusal(Reply(status=status, headers={}, body=json.dumps(body or {}).encode()), provider="p")


def inside(**error: Any) -> e.ProviderError:
    found = in_band(json.dumps({"error": error}).encode())
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (299, e.InvalidRequestError),
        (300, e.RedirectError),
        (301, e.RedirectError),
        (399, e.RedirectError),
        (400, e.InvalidRequestError),
        (499, e.InvalidRequestError),
        (500, e.ServerError),
    ],
)
def test_the_edges_of_the_classes(status: int, kind: type[e.ProviderError]) -> None:
    assert type(refused(status)) is kind


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("insufficient_quota", 429),
        ("rate_limit_exceeded", 429),
        ("RateLimitError", 429),
        ("too_many_requests", 429),
        ("RESOURCE_EXHAUSTED", 429),
        ("ThrottlingException", 429),
        ("overloaded_error", 529),
        ("UNAVAILABLE", 503),
        ("model_loading", 503),
        ("timeout", 504),
        ("DEADLINE_EXCEEDED", 504),
        ("authentication-error", 401),
        ("unauthorised", 401),
        ("invalid_api_key", 401),
        ("permission_denied", 403),
        ("not_found_error", 404),
        ("NotFound", 404),
        ("billing_hard_limit_reached", 402),
        ("payment-required", 402),
        ("invalid_request_error", 400),
        ("bad_request", 400),
        ("server_error", 500),
        ("api_error", 500),
        ("INTERNAL", 500),
        ("content_filter", 400),
        ("safety", 400),
        ("something", None),
    ],
)
def test_the_status_that_a_word_stands_for(word: str, status: int | None) -> None:
    assert inside(type=word, message="m").status == status


@pytest.mark.parametrize("key", ["code", "status", "status_code"])
@pytest.mark.parametrize(
    ("value", "status"), [(400, 400), ("599", 599), (399, None), (600, None), (4290, None), (True, None)]
)
def test_the_status_that_is_named(key: str, value: Any, status: int | None) -> None:
    assert inside(message="m", **{key: value}).status == status


@pytest.mark.parametrize("status", [400, 403, 422])
@pytest.mark.parametrize("code", ["content_filter", "content_policy_violation", "moderation_blocked", "SAFETY"])
def test_what_moderation_refuses(status: int, code: str) -> None:
    assert type(refused(status, {"error": {"code": code}})) is e.ContentRefusedError


@pytest.mark.parametrize("status", [401, 402, 404, 421, 423, 429, 500])
def test_what_it_does_not(status: int) -> None:
    assert not isinstance(refused(status, {"error": {"code": "content_filter"}}), e.ContentRefusedError)


@pytest.mark.parametrize(("word", "code"), [("x" * 64, "x" * 64), ("x" * 65, None), ("two words", None), ("", None)])
def test_what_counts_as_a_code(word: str, code: str | None) -> None:
    assert refused(400, {"error": {"code": word, "message": "m"}}).code == code


def test_a_word_tells_more_than_a_number() -> None:
    assert refused(400, {"error": {"code": 17, "type": "word"}}).code == "word"
    assert refused(400, {"error": {"code": 17}}).code == "17"
    assert refused(400, {"error": {"code": True, "message": "m"}}).code is None


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ({"estimated_time": 0}, 0.0),
        ({"estimated_time": 0.5}, 0.5),
        ({"estimated_time": 1e12}, 1e12),
        ({"estimated_time": 1.1e12}, None),
        ({"estimated_time": -0.1}, None),
        ({"estimated_time": True}, None),
        ({"estimated_time": "5"}, None),
    ],
)
def test_an_estimate(body: Any, seconds: float | None) -> None:
    assert retry_after({}, json.dumps(body).encode()) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("999999999", 999999999.0),
        ("1000000000", 0.0),
        ("1799999999", 0.0),
        ("1800000000", 0.0),
        ("1800000001", 1.0),
        ("999999999999", 999999999999 - NOW),
        ("1000000000000", 0.0),
        ("1800000001000", 1.0),
    ],
)
def test_a_reset_is_a_wait_or_a_time(text: str, seconds: float) -> None:
    assert retry_after({"x-ratelimit-reset": text}, now=NOW) == seconds


def test_a_time_without_a_clock_is_no_hint() -> None:
    assert retry_after({"x-ratelimit-reset": "1800000001"}) is None
