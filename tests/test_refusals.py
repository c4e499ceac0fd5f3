"""Refusals by status and body, errors inside answers, hints of when to come back, and unreadable answers."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater import errors as e
from headwater.auth.redaction import redacted
from headwater.protocol.flow import Reply
from headwater.responses.decode import decode
from headwater.responses.refusal import error_from_response, error_in_body, retry_after
from headwater.tasks.output import Output

NOW = 1_800_000_000.0


def reply(status: int, body: Any = b"", content_type: str = "application/json", **headers: str) -> Reply:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status=status, headers={"content-type": content_type, **named}, body=data)


def refused(*args: Any, **kwargs: Any) -> e.ProviderError:
    return error_from_response(reply(*args, **kwargs), provider="together", model="m", now=NOW)


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (301, e.RedirectError, False),
        (307, e.RedirectError, False),
        (400, e.InvalidRequestError, False),
        (401, e.AuthenticationError, False),
        (402, e.PaymentRequiredError, False),
        (403, e.PermissionDeniedError, False),
        (404, e.NotFoundError, False),
        (405, e.InvalidRequestError, False),
        (408, e.ServerError, True),
        (409, e.ConflictError, True),
        (410, e.NotFoundError, False),
        (413, e.InvalidRequestError, False),
        (415, e.InvalidRequestError, False),
        (422, e.InvalidRequestError, False),
        (425, e.ServerError, True),
        (429, e.RateLimitError, True),
        (500, e.ServerError, True),
        (501, e.ServerError, False),
        (502, e.ServerError, True),
        (503, e.ServerError, True),
        (504, e.ServerError, True),
        (505, e.ServerError, False),
        (529, e.OverloadedError, True),
    ],
)
def test_a_status_is_a_class(status: int, kind: type[e.ProviderError], retryable: bool) -> None:
    error = refused(status)
    assert (type(error), error.status, error.retryable) == (kind, status, retryable)
    assert (error.provider, error.model) == ("together", "m")


@pytest.mark.parametrize(
    ("status", "error_type", "kind"),
    [
        (422, "validation", e.ValidationError),
        (424, "generation", e.GenerationError),
        (429, "overloaded", e.OverloadedError),
        (500, "incomplete_generation", e.IncompleteGenerationError),
        (422, "template_error", e.UnknownError),
        (429, "rate_limit_exceeded", e.RateLimitError),
    ],
)
def test_a_text_generation_servers_error_type_decides(
    status: int, error_type: str, kind: type[e.ProviderError]
) -> None:
    body = {"error": "words", "error_type": error_type}
    assert type(refused(status, body)) is kind
    inside = error_in_body(json.dumps(body).encode())
    assert type(inside) is kind and inside.server_message == "words" and inside.code == error_type


SHAPES = [
    ({"error": "Model X does not exist"}, "Model X does not exist"),
    ({"error": ["Error in `inputs.context`: field required"]}, "Error in `inputs.context`: field required"),
    ({"error": ["one", "two"]}, "one; two"),
    (
        {"error": "unknown error", "warnings": ["There was an inference error: unknown error: no str"]},
        "unknown error: no str",
    ),
    ({"error": {"message": "Bad key", "type": "t", "param": None, "code": "c"}}, "Bad key"),
    ({"error": {"message": None, "type": "server_error"}}, "server_error"),
    ({"detail": "Unsupported data URL"}, "Unsupported data URL"),
    (
        {"detail": [{"loc": ["body", "loras", 0, "path"], "msg": "str type expected", "type": "t"}]},
        "body.loras.0.path: str type expected",
    ),
    ({"detail": {"error": {"message": "nested"}}}, "nested"),
    ({"message": "m", "type": "t", "param": "", "code": "c"}, "m"),
    ({"code": 401, "reason": "FAILED_TO_AUTH", "message": "failed", "metadata": {}}, "failed"),
    ({"object": "error", "message": "Only A && B"}, "Only A && B"),
    ({"errors": [{"message": "a"}, {"message": "b"}]}, "a; b"),
    ({"title": "Billing required", "detail": "Set it up", "status": 402}, "Billing required: Set it up"),
    ({"error": "invalid_token", "error_description": "It expired"}, "invalid_token: It expired"),
    ("just a string", "just a string"),
    ({"error": {}}, None),
    ({"error": True}, None),
    ({}, None),
    ([], None),
    (None, None),
    (7, None),
]


@pytest.mark.parametrize(("body", "said"), SHAPES)
def test_the_servers_words_are_found_in_every_shape(body: Any, said: str | None) -> None:
    error = refused(400, body)
    assert error.server_message == said
    assert str(error) == f"together answered 400: {said or 'no reason was given'}"


def test_plain_text_is_quoted_on_one_line_without_control_characters() -> None:
    error = refused(401, b"Unauthorized:\n\x1b[31mInvalid API key!\n", "text/plain; charset=utf-8")
    assert error.server_message == "Unauthorized: [31mInvalid API key!"
    assert refused(500, b"\xff\xfe", "").server_message == "\ufffd\ufffd"


def test_html_is_never_quoted_but_for_its_title() -> None:
    page = b"<!DOCTYPE html><html><head><title>502 Bad\n Gateway</title></head><body>secrets</body></html>"
    assert refused(502, page, "text/html").server_message == "an HTML page titled '502 Bad Gateway'"
    assert refused(502, page, "").server_message == "an HTML page titled '502 Bad Gateway'"
    assert refused(502, b"<html><body>words</body></html>", "text/html").server_message is None


def test_a_header_speaks_where_the_body_does_not() -> None:
    assert refused(403, b"", x_error_message="Gated").server_message == "Gated"


def test_the_message_says_who_what_which_and_what_to_do() -> None:
    answer = reply(401, {"error": {"message": "Invalid API key"}}, x_request_id="r-1")
    error = error_from_response(answer, provider="together", keys=("TOGETHER_API_KEY",))
    assert str(error) == (
        "together answered 401: Invalid API key (request id r-1); pass a valid key as token=, or set TOGETHER_API_KEY"
    )
    assert error.request_id == "r-1"
    assert "terms" in str(refused(403)) and "base_url" in str(refused(404)) and "parameters" in str(refused(422))
    assert str(refused(429, retry_after="12")).endswith("; it says to come back in 12 s")


@pytest.mark.parametrize("name", ["x-request-id", "request-id", "x-amzn-trace-id", "x-amz-cf-id", "cf-ray"])
def test_a_request_id_has_many_names(name: str) -> None:
    assert error_from_response(Reply(status=500, headers={name: "r-2"}, body=b""), provider="p").request_id == "r-2"


def test_long_words_are_cut_in_the_message_and_kept_in_the_body() -> None:
    error = refused(400, {"error": "x" * 70_000})
    assert len(str(error)) < 700 and len(error.text) == 65536 and len(error.server_message or "") == 2000


def test_a_model_that_is_loading_says_when_it_is_ready() -> None:
    error = refused(503, {"error": "Model X is currently loading", "estimated_time": 20.0})
    assert (type(error), error.retry_after, error.retryable) == (e.ModelLoadingError, 20.0, True)
    llama = {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}
    assert type(refused(503, llama)) is e.ModelLoadingError
    assert type(refused(503, {"error": "overloaded"})) is e.ServerError
    assert type(refused(500, {"error": "loading"})) is e.ServerError


def test_moderation_is_not_a_bad_request() -> None:
    body = {"error": {"message": "no", "type": "invalid_request_error", "code": "content_policy_violation"}}
    assert type(refused(400, body)) is e.ContentRefusedError
    assert type(refused(400, {"error": "the content filter parameter is unknown"})) is e.InvalidRequestError


def test_a_spent_quota_is_not_waited_for() -> None:
    body = {"error": {"message": "pay", "type": "insufficient_quota", "code": "insufficient_quota"}}
    error = refused(429, body)
    assert (type(error), error.retryable, error.code) == (e.RateLimitError, False, "insufficient_quota")


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https://evil.example/path?signature=abc", "https://evil.example"),
        ("//other.example:8443/x", "https://other.example:8443"),
        ("/elsewhere?token=abc", "https://api.example"),
        ("https://user:pass@evil.example/", "https://evil.example"),
        ("http://[broken", "another place"),
        ("https://h:99999/", "another place"),
        ("", "https://api.example"),
    ],
)
def test_a_redirect_is_told_by_its_origin_alone(location: str, shown: str) -> None:
    answer = Reply(status=307, headers={"location": location}, body=b"", url="https://api.example/v1")
    error = error_from_response(answer, provider="p")
    assert type(error) is e.RedirectError
    assert str(error) == f"p answered 307: it wants the request sent to {shown}, which is not followed"


def test_no_secret_is_left_anywhere_in_an_error() -> None:
    secret = "sk-canary"
    answer = reply(401, {"error": {"message": f"bad {secret}", "code": secret}}, x_request_id=secret, echo=secret)
    error = error_from_response(answer, provider="p", redact=lambda text: text.replace(secret, "*"))
    assert secret not in repr(error) + repr(error.__dict__)
    assert error.headers["echo"] == "*" and error.code == "*"
    broken = e.MalformedEventError(f"no {secret}")
    broken.body = b"\xff " + secret.encode()
    redacted(broken, lambda text: text.replace(secret, "*"))
    assert broken.args == ("no *",) and broken.body == b"\xff *"


WAITS: list[tuple[dict[str, str], Any, float | None]] = [
    ({}, None, None),
    ({"retry-after": "7"}, None, 7.0),
    ({"retry-after": " 1.5 "}, None, 1.5),
    ({"retry-after": "0"}, None, 0.0),
    ({"retry-after": "1000000000"}, None, 1e9),
    ({"retry-after": "1e9"}, None, None),
    ({"retry-after": "nan"}, None, None),
    ({"retry-after": "inf"}, None, None),
    ({"retry-after": "-5"}, None, None),
    ({"retry-after": "soon"}, None, None),
    ({"retry-after": "٣"}, None, None),
    ({"retry-after": "9" * 400}, None, None),
    ({"retry-after": ""}, None, None),
    ({"retry-after": "Fri, 15 Jan 2027 08:00:30 GMT"}, None, 30.0),
    ({"retry-after": "Fri, 15 Jan 2027 07:00:00 GMT"}, None, 0.0),
    ({"retry-after": "Fri, 99 Jan 2027 07:00:00 GMT"}, None, None),
    ({"retry-after-ms": "250", "retry-after": "1"}, None, 0.25),
    ({"retry-after-ms": "x", "retry-after": "1"}, None, 1.0),
    ({"ratelimit": '"api";r=0;t=55'}, None, 55.0),
    ({"ratelimit": '"api";r=10;t=55, "tokens";r=0;t=7'}, None, 7.0),
    ({"ratelimit": "limit=100, remaining=0, reset=9"}, None, 9.0),
    ({"ratelimit": "words"}, None, None),
    ({"ratelimit-reset": "1"}, None, 1.0),
    ({"x-ratelimit-reset": "1m30s"}, None, 90.0),
    ({"x-ratelimit-reset": "12ms"}, None, 0.012),
    ({"x-ratelimit-reset": "6m0s"}, None, 360.0),
    ({"x-ratelimit-reset": "1h2m3.5s"}, None, 3723.5),
    ({"x-ratelimit-reset": "2d"}, None, 172800.0),
    ({"x-ratelimit-reset": "1.2.3s"}, None, None),
    ({"x-ratelimit-reset": "m"}, None, None),
    ({"x-ratelimit-reset": "1800000010"}, None, 10.0),
    ({"x-ratelimit-reset": "1800000010500"}, None, 10.5),
    (
        {
            "x-ratelimit-reset-requests": "1s",
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-tokens": "6m0s",
            "x-ratelimit-remaining-tokens": "500",
        },
        None,
        1.0,
    ),
    (
        {
            "x-ratelimit-reset-requests": "8s",
            "x-ratelimit-remaining-requests": "5",
            "x-ratelimit-reset-tokens": "3s",
            "x-ratelimit-remaining-tokens": "5",
        },
        None,
        3.0,
    ),
    ({}, {"error": "loading", "estimated_time": 20.5}, 20.5),
    ({"retry-after": "3"}, {"estimated_time": 20.5}, 3.0),
    ({}, {"estimated_time": -1}, None),
    ({}, {"estimated_time": True}, None),
    ({}, {"estimated_time": "20"}, None),
    ({}, [{"error": {"details": [{"retryDelay": 1}, {"retryDelay": "33s"}]}}], 1.0),
    ({}, {"error": {"details": [{"@type": "x"}, {"retryDelay": "33.5s"}]}}, 33.5),
    ({}, {"error": {"details": [7, {"retryDelay": "soon"}]}}, None),
    ({}, {"error": {"details": [{"retryDelay": {"seconds": 33, "nanos": 0}}]}}, 33.0),
    ({}, {"error": {"retryAfterSeconds": 33}}, 33.0),
    ({}, {"error": {"RetryAfter": "33s"}}, 33.0),
    ({}, {"error": {"retryAfterMs": "500"}}, 0.5),
    ({}, {"error": {"metadata": {"raw": '{"error": {"retry_after": 33}}'}}}, 33.0),
    ({}, {"data": {"error": {"retry_after": 33}}}, 33.0),
    ({"retry-after": "33s"}, {}, 33.0),
    ({}, {"error": {"metadata": {"headers": {"X-RateLimit-Reset": "1800000009000"}}}}, 9.0),
    ({}, {"error": {"metadata": {"headers": {"X-RateLimit-Reset": 1800000009}}}}, 9.0),
    ({}, {"error": {"metadata": {"headers": {"X-RateLimit-Reset": "1799999999000"}}}}, 0.0),
    ({}, {"error": {"metadata": {"headers": {"Retry-After": "4"}}}}, 4.0),
    ({}, {"error": {"metadata": {"headers": ["odd"]}}}, None),
    ({}, {"error": {"metadata": {"retry_after_seconds": 3}}}, 3.0),
    ({}, {"error": {"retry_after": 5}}, 5.0),
    ({}, {"error": {"retry_after": "1m5s"}}, 65.0),
    ({}, {"error": {"retry_after": True}}, None),
    ({}, {"error": {"retry_after": -1}}, None),
    ({}, {"error": {"retry_after_ms": 250}}, 0.25),
    ({}, {"parameters": {"retry_after": 6}}, 6.0),
    ({}, {"detail": {"error": {"retry_after": 7}}}, 7.0),
    ({"retry-after": "2"}, {"error": {"retry_after": 7}}, 2.0),
    ({"retry-after-ms": "1500"}, {"error": {"retry_after": 7}}, 1.5),
    ({}, [1], None),
]


@pytest.mark.parametrize(("headers", "body", "seconds"), WAITS)
def test_when_to_come_back(headers: dict[str, str], body: Any, seconds: float | None) -> None:
    data = b"" if body is None else json.dumps(body).encode()
    assert retry_after(headers, data, NOW) == (None if seconds is None else pytest.approx(seconds))


def test_without_a_clock_a_date_counts_from_the_answers_own() -> None:
    dates = {"retry-after": "Fri, 15 Jan 2027 08:00:30 GMT", "date": "Fri, 15 Jan 2027 08:00:00 GMT"}
    assert retry_after(dates) == 30.0
    assert retry_after({"retry-after": dates["retry-after"]}) is None
    assert retry_after({"x-ratelimit-reset": "1800000010"}) is None


@given(st.text(), st.text(), st.sampled_from(["retry-after", "retry-after-ms", "ratelimit", "x-ratelimit-reset"]))
def test_no_hint_is_ever_a_bad_number(text: str, body: str, name: str) -> None:
    found = retry_after({name: text}, body.encode(errors="replace"), NOW)
    assert found is None or 0 <= found < 1e18


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("Rate limit reached. Please try again in 20s. Visit us.", 20.0),
        ("Please try again in 1m2.5s.", 62.5),
        ("Please try again in 120ms.", 0.12),
        ("Request was throttled. Expected available in 9 seconds.", 9.0),  # Django REST framework: Replicate
        ("please retry after 7 seconds", 7.0),
        ("Please retry in 2 minutes", 120.0),
        ("retry in 500 milliseconds", 0.5),
        ("Please wait for 3 seconds", 3.0),
        ("Try again in a moment, all 20 of you", None),
        ("try again in 2027", None),
        ("It costs 20 s", None),
    ],
)
def test_a_wait_in_a_sentence(said: str, seconds: float | None) -> None:
    assert refused(429, {"error": {"message": said}}).retry_after == seconds
    assert refused(503, {"error": {"message": said}}).retry_after is None


@pytest.mark.parametrize(
    ("status", "asked", "retryable"),
    [(503, "false", False), (429, "False", False), (400, "true", True), (503, "perhaps", True), (400, "", False)],
)
def test_the_server_says_whether_to_try_again(status: int, asked: str, retryable: bool) -> None:
    error = refused(status, x_should_retry=asked, retry_after="3")
    assert error.retryable is retryable
    assert error.retry_after == (3.0 if retryable or status == 429 else None)


def test_limits_count_for_rate_limits_alone() -> None:
    assert refused(429, ratelimit_reset="5").retry_after == 5.0
    assert refused(500, ratelimit_reset="5").retry_after is None
    assert refused(422, retry_after="5").retry_after is None


IN_BAND: list[tuple[Any, type[e.ProviderError], int | None]] = [
    ({"error": {"message": "m", "code": 429}}, e.RateLimitError, 429),
    ({"error": {"message": "m", "code": "429"}}, e.RateLimitError, 429),
    ({"error": {"message": "m", "status": 401}}, e.AuthenticationError, 401),
    ({"error": "m", "status": 500}, e.ServerError, 500),
    ({"error": {"message": "m", "type": "rate_limit_error"}}, e.RateLimitError, 429),
    ({"error": {"message": "m", "type": "overloaded_error"}}, e.OverloadedError, 529),
    ({"error": "overloaded"}, e.OverloadedError, 529),
    ({"error": {"message": "m", "type": "invalid_request_error"}}, e.InvalidRequestError, 400),
    (
        {"error": {"message": "m", "type": "invalid_request_error", "code": "invalid_api_key"}},
        e.AuthenticationError,
        401,
    ),
    ({"error": {"message": "m", "type": "authentication_error"}}, e.AuthenticationError, 401),
    ({"error": {"message": "m", "type": "permission_error"}}, e.PermissionDeniedError, 403),
    ({"error": {"message": "m", "code": "model_not_found"}}, e.NotFoundError, 404),
    ({"error": {"message": "m", "type": "insufficient_quota"}}, e.RateLimitError, 429),
    ({"error": {"message": "m", "type": "server_error"}}, e.ServerError, 500),
    ({"type": "error", "error": {"type": "api_error", "message": "m"}}, e.ServerError, 500),
    ({"error": {"message": "m", "code": "content_filter"}}, e.ContentRefusedError, 400),
    ({"error": {"message": "m", "type": "moderation_blocked"}}, e.ContentRefusedError, 400),
    ({"error": {"message": "Loading", "code": 503}}, e.ModelLoadingError, 503),
    ({"object": "error", "message": "m"}, e.UnknownError, None),
    ({"error": "the dog ate it"}, e.UnknownError, None),
    ({"error": {"message": "m"}, "choices": []}, e.UnknownError, None),
]


@pytest.mark.parametrize(("body", "kind", "status"), IN_BAND)
def test_an_error_inside_an_answer_is_what_its_status_would_be(
    body: Any, kind: type[e.ProviderError], status: int | None
) -> None:
    error = error_in_body(json.dumps(body).encode(), provider="p")
    assert error is not None
    assert (type(error), error.status) == (kind, status)
    assert error.server_message and error.server_message in str(error)
    with pytest.raises(kind):
        decode(reply(200, body), dict[str, Any])


@pytest.mark.parametrize(
    "body",
    [
        {"error": None, "choices": []},
        {"error": ""},
        {"errors": 1},
        {"choices": []},
        [{"error": "x"}],
        "error",
    ],
)
def test_what_is_no_error_is_none(body: Any) -> None:
    assert error_in_body(json.dumps(body).encode()) is None


@pytest.mark.parametrize("data", [b"it broke", b"{}", b'"it broke"', b"{", b"\xff", b""])
def test_an_error_event_is_an_error_whatever_is_in_it(data: bytes) -> None:
    error = error_in_body(data, event="error")
    assert type(error) is e.UnknownError and not error.retryable
    assert error_in_body(data) is None


class Answer(Output):
    """A small answer."""

    text: str
    score: float = 0.0


def test_a_whole_answer_keeps_its_bytes() -> None:
    answer = decode(reply(200, {"text": "a", "more": 1}), Answer)
    assert (answer.text, answer.raw) == ("a", {"text": "a", "more": 1})
    assert decode(reply(200, [{"text": "a"}]), list[Answer]) == [Answer(text="a")]


def test_the_word_error_alone_is_no_error() -> None:
    assert decode(reply(200, {"text": "error", "error": None}), Answer).text == "error"


SHAPE = "something else than this task's result"
UNREADABLE: list[tuple[Any, str, type[e.DecodeError], str]] = [
    (b"", "application/json", e.UnexpectedContentError, "empty body"),
    (b" \n", "application/json", e.UnexpectedContentError, "empty body"),
    (b"<html>hello</html>", "text/html", e.UnexpectedContentError, "page for people"),
    (b"<!DOCTYPE html><p>", "application/json", e.UnexpectedContentError, "page for people"),
    (b"hello", "text/plain", e.UnexpectedContentError, "text/plain instead of JSON: hello"),
    (b"\x89PNG\x00", "image/png", e.UnexpectedContentError, "image/png instead of JSON"),
    (b'{"text": "a', "application/json", e.DecodeError, SHAPE),
    (b'{"text": "\xff"}', "application/json", e.DecodeError, SHAPE),
    (b'{"score": 1}', "application/json", e.DecodeError, "text"),
    (b"[" * 100_000, "application/json", e.DecodeError, ""),
]


@pytest.mark.parametrize(("body", "content_type", "kind", "words"), UNREADABLE)
def test_what_is_no_answer_says_what_it_is(
    body: bytes, content_type: str, kind: type[e.DecodeError], words: str
) -> None:
    with pytest.raises(kind) as caught:
        decode(reply(200, body, content_type, x_request_id="r-3"), Answer)
    assert type(caught.value) is kind
    assert words in str(caught.value)
    assert (caught.value.body, caught.value.request_id) == (body[:512], "r-3")


def test_a_wrong_type_says_where() -> None:
    with pytest.raises(e.DecodeError) as caught:
        decode(reply(200, {"text": "a", "score": "high"}), Answer)
    assert caught.value.path == "$.score"


def test_json_under_another_name_is_read_all_the_same() -> None:
    assert decode(reply(200, {"text": "a"}, "text/plain"), Answer).text == "a"
    with pytest.raises(e.DecodeError) as caught:
        decode(reply(200, {}, "text/plain"), Answer)
    assert type(caught.value) is e.DecodeError


@given(st.binary(max_size=200))
def test_no_bytes_break_the_readers(data: bytes) -> None:
    error_in_body(data)
    error_in_body(data, event="error")
    assert error_from_response(Reply(status=500, headers={}, body=data), provider="p").retryable
    with pytest.raises(e.HeadwaterError):
        decode(Reply(status=200, headers={}, body=data), Answer)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "detail", "code", "type", "loc", "msg", "status", "error_type"]),
            inner,
        )
    ),
    max_leaves=12,
)


@given(json_values, st.sampled_from([307, 400, 422, 429, 503]))
def test_no_json_breaks_the_readers(value: Any, status: int) -> None:
    body = msgspec.json.encode(value)
    error = error_from_response(Reply(status=status, headers={}, body=body), provider="p")
    assert error.status == status and "\n" not in str(error)
    error_in_body(body)


def test_a_reply_with_another_body_is_looked_through_anew() -> None:
    reply = Reply(status=200, headers={}, body=b'{"answer": "{}"}')
    assert not reply.names_error()
    inner = msgspec.structs.replace(reply, body=b'{"error": "overloaded"}')
    assert inner.names_error() and not msgspec.structs.replace(inner, body=b"{}").names_error()
