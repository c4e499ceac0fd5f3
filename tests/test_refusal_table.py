"""The edges of the tables that make a refusal an error, and of the hints that say when to come back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headwater import errors as e
from headwater.auth.redaction import redacted
from headwater.protocol.flow import Reply
from headwater.responses.decode import decode
from headwater.responses.refusal import error_from_response, error_in_body, retry_after

NOW = 1.8e9


def refused(status: int, body: Any = None) -> e.ProviderError:
    return error_from_response(Reply(status=status, headers={}, body=json.dumps(body or {}).encode()), provider="p")


def inside(**error: Any) -> e.ProviderError:
    found = error_in_body(json.dumps({"error": error}).encode())
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


def test_an_account_without_credit_still_says_when_it_comes_back() -> None:
    body = b'{"error":{"code":"insufficient_quota"}}'
    named = error_from_response(Reply(status=429, headers={"retry-after": "7"}, body=body), provider="p")
    reset = error_from_response(Reply(status=429, headers={"x-ratelimit-reset": "9"}, body=body), provider="p")
    assert (named.retryable, named.retry_after, reset.retry_after) == (False, 7.0, 9.0)
    assert (
        error_from_response(Reply(status=400, headers={"retry-after": "7"}, body=b""), provider="p").retry_after is None
    )


def test_of_several_numbers_the_first_is_the_code() -> None:
    assert refused(400, {"error": {"code": 17, "status": 18}}).code == "17"


@pytest.mark.parametrize(("length", "cut"), [(499, False), (500, False), (501, True)])
def test_how_much_of_what_it_said_is_quoted(length: int, cut: bool) -> None:
    error = refused(400, {"error": "x" * length})
    assert error.server_message == "x" * length
    assert str(error) == f"p answered 400: {'x' * min(length, 500)}{'...' if cut else ''}"


def test_the_first_variable_is_named() -> None:
    error = error_from_response(Reply(status=401, headers={}, body=b"{}"), provider="p", keys=("FIRST", "SECOND"))
    assert "set FIRST" in str(error) and "SECOND" not in str(error)


@pytest.mark.parametrize(("provider", "named", "start"), [("p", "p", "p sent"), ("", None, "the server sent")])
def test_who_sent_an_error_inside_an_answer(provider: str, named: str | None, start: str) -> None:
    error = error_in_body(b'{"error":"m"}', provider=provider)
    assert error is not None
    assert error.provider == named
    assert str(error).startswith(start)


@pytest.mark.parametrize(("url", "start"), [("http://h:1/v1", "h answered"), ("", "the server answered")])
def test_who_answered_with_what_is_no_answer(url: str, start: str) -> None:
    with pytest.raises(e.UnexpectedContentError, match=f"^{start}"):
        decode(Reply(status=200, headers={}, body=b"", url=url), dict)


def test_what_is_redacted_is_the_same_error() -> None:
    error = e.ServerError("a key")
    assert redacted(error, lambda text: text.replace("key", "*")) is error
    assert str(error) == "a *"


@pytest.mark.parametrize(("depth", "found"), [(5, True), (6, True), (7, False)])
def test_how_deep_words_are_looked_for(depth: int, found: bool) -> None:
    nested: Any = "deep"
    for _ in range(depth):
        nested = {"message": nested}
    assert (refused(400, nested).server_message == "deep") is found


def test_how_many_errors_are_quoted() -> None:
    said = refused(400, {"errors": [f"e{number}" for number in range(12)]}).server_message
    assert said == "; ".join(f"e{number}" for number in range(10))


@pytest.mark.parametrize("length", [1999, 2000, 2001, 9000])
def test_how_much_of_what_it_said_is_kept(length: int) -> None:
    assert len(refused(400, {"error": "x" * length}).server_message or "") == min(length, 2000)
