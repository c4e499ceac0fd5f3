"""Which error a refusal is: by its status, the codes in its body, a text-generation server's `error_type`.

Tables and pure functions of them; the words of the error are written in `refusal`.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any, Final

from ..errors import (
    AuthenticationError,
    ConflictError,
    ContentRefusedError,
    GenerationError,
    IncompleteGenerationError,
    InvalidRequestError,
    ModelLoadingError,
    NotFoundError,
    OverloadedError,
    PaymentRequiredError,
    PermissionDeniedError,
    ProviderError,
    RateLimitError,
    RedirectError,
    ServerError,
    UnknownError,
    ValidationError,
)
from ..protocol.lazy import lazy_pattern
from . import message

_BY_STATUS: Final[dict[int, type[ProviderError]]] = {
    401: AuthenticationError,
    402: PaymentRequiredError,
    403: PermissionDeniedError,
    404: NotFoundError,
    408: ServerError,
    409: ConflictError,
    410: NotFoundError,
    425: ServerError,
    429: RateLimitError,
    529: OverloadedError,
}
_BY_ERROR_TYPE: Final[dict[str, type[ProviderError]]] = {
    "validation": ValidationError,
    "generation": GenerationError,
    "overloaded": OverloadedError,
    "incomplete_generation": IncompleteGenerationError,
}
_RETRYABLE_4XX: Final = frozenset({408, 409, 425, 429})
_FINAL_5XX: Final = frozenset({501, 505})
_MOST_CODE_CHARACTERS: Final = 64
_NAMES_OF_CODES: Final = (
    "code",
    "error_type",
    "type",
    "error_code",
    "status_code",
    "errcode",
    "errorcode",
    "errorCode",
    "errorType",
    "err_code",
    "ret_code",
    "retCode",
    "Code",
    "__type",
    "reason",
)
_NAMES_OF_STATUS: Final = (
    "code",
    "status",
    "status_code",
    "statusCode",
    "http_status",
    "httpStatusCode",
    "error_code",
    "errorCode",
    "errcode",
    "err_code",
    "ret_code",
    "retCode",
    "error",
)
_SENTENCES: Final = (
    "message",
    "detail",
    "error",
    "msg",
    "error_msg",
    "status_msg",
    "Message",
    "error_message",
    "faultstring",
)
_SAYS_NOTHING: Final = frozenset({"error", "Error", "failed", "fail", "none", "null", "None"})
_FAILED: Final = frozenset({"error", "fail", "failed", "failure"})
_GOOD: Final = frozenset({"", "ok", "success", "succeeded", "successful", "none", "null"})
_GRPC: Final = frozenset(
    {
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    }
)
"""https://grpc.io/docs/guides/status-codes/, which Google's answers have as their `status`."""
_OF_REFUSALS: Final = frozenset(
    {
        "base_resp",
        "code",
        "created",
        "detail",
        "details",
        "err_code",
        "err_msg",
        "errcode",
        "errmsg",
        "error",
        "errorCode",
        "errorMessage",
        "errorType",
        "error_code",
        "error_description",
        "error_message",
        "error_msg",
        "error_type",
        "errors",
        "Error",
        "exception",
        "fail_reason",
        "failure_reason",
        "fault",
        "header",
        "help",
        "httpStatusCode",
        "instance",
        "message",
        "messages",
        "metadata",
        "model",
        "msg",
        "object",
        "ok",
        "param",
        "parameters",
        "path",
        "reason",
        "request_id",
        "requestId",
        "ret",
        "ret_code",
        "retCode",
        "retMsg",
        "retry_after",
        "retryAfter",
        "status_code",
        "statusCode",
        "success",
        "timestamp",
        "title",
        "trace_id",
        "traceId",
        "type",
        "warnings",
        "Response",
        "Message",
        "Code",
        "__type",
        "id",
    }
)
_MODERATED: Final = lazy_pattern(
    r"content_?(filter|policy|violation)|policy_?violation|bio_?policy|moderat|safety|data_?inspection|sensitive"
)
_HUMPS: Final = lazy_pattern(r"(?<=[a-z0-9])(?=[A-Z])")
_TOO_MANY: Final = lazy_pattern(
    r"too many requests|rate.?limit(s|ed)? (was |has been |is )?(exceed|reach|hit|trigger)|you are being rate.?limited"
    r"|(quota|requests? limit) (exceeded|reached)",
    re.IGNORECASE,
)
_PHRASES: Final = {status.phrase.lower(): int(status) for status in HTTPStatus if status >= 400} | {
    "not authenticated": 401,
    "could not validate credentials": 401,
    "invalid api key": 401,
    "overloaded": 529,
}
_WORDS: Final = tuple(
    (lazy_pattern(words), status)
    for words, status in (
        (
            "insufficient_quota|rate_?limit|too_?many_?requests|resource_exhausted|throttl|limit_?requests|request_?limit",
            429,
        ),
        ("overloaded", 529),
        ("unavailable|loading", 503),
        ("timed?_?out|deadline", 504),
        ("authentication|unauthori[sz]ed|unauthenticated|invalid_?api_?key", 401),
        ("permission|forbidden|access_?denied", 403),
        ("(^|_)image(_|$)|residency_?mismatch", 400),  # of an input, in OpenAI's responses
        ("not_?found", 404),
        ("too_?large", 413),
        ("billing|payment|arrear|insufficient_?balance", 402),
        (_MODERATED.pattern, 400),
        ("invalid|validation|bad_?request", 400),
        ("server_?error|api_error|internal", 500),
    )
)
# https://platform.minimax.io/docs/api-reference/errorcode
_MINIMAX: Final = {
    "1000": 500, "1001": 504, "1002": 429, "1004": 401, "1008": 402, "1024": 500, "1026": 400, "1027": 400,
    "1033": 500, "1039": 429, "1041": 429, "1042": 400, "1043": 400, "1044": 400, "2013": 400, "2037": 400,
    "2039": 409, "2042": 403, "2045": 429, "2048": 400, "2049": 401, "2056": 429, "20132": 400,
}  # fmt: skip
_SENSITIVE: Final = (("base_resp", "status_code", {"1026", "1027"}), ("error", "code", {"1301"}))
"""Where a vendor's number says that the content was refused."""
# https://cloud.baidu.com/doc/WENXINWORKSHOP/s/tlmyncueh
_BAIDU: Final = {
    "1": 500, "2": 503, "3": 404, "4": 429, "6": 403, "13": 401, "14": 401, "17": 429, "18": 429, "19": 429,
    "100": 401, "110": 401, "111": 401, "336000": 500, "336001": 400, "336002": 400, "336003": 400, "336006": 400,
    "336007": 400, "336100": 529, "336103": 400, "336104": 400, "336105": 400, "336117": 400, "336200": 500,
    "336303": 500, "336501": 429, "336502": 429, "336503": 429, "336504": 429, "336505": 429,
}  # fmt: skip
# https://developers.cloudflare.com/workers-ai/platform/errors/, and the gateway's own 10000 and 10001
_CLOUDFLARE: Final = {
    "3003": 400, "3006": 413, "3007": 408, "3008": 408, "3023": 403, "3036": 429, "3039": 400, "3040": 429,
    "3041": 403, "3042": 404, "5004": 400, "5005": 405, "5007": 400, "5016": 403, "5018": 403, "5019": 405,
    "10000": 401, "10001": 401,
}  # fmt: skip
# https://docs.bigmodel.cn/cn/api/api-code
_ZHIPU: Final = {
    "1000": 401, "1001": 401, "1002": 401, "1003": 401, "1004": 401, "1110": 403, "1111": 403, "1112": 403, "1113": 402,
    "1121": 403, "1210": 400, "1211": 404, "1212": 400, "1213": 400, "1214": 400, "1215": 400, "1220": 403, "1221": 404,
    "1230": 500, "1234": 500, "1261": 400, "1300": 403, "1301": 400, "1302": 429, "1303": 429, "1304": 429, "1305": 429,
    "1308": 429, "1309": 403, "1310": 429, "1313": 429,
}  # fmt: skip
_VENDORS: Final = (
    ("base_resp", "status_code", _MINIMAX),
    ("error", "code", _ZHIPU),
    ("", "error_code", _BAIDU),
    ("errors", "code", _CLOUDFLARE),
)
"""Numbers that only their vendors know: the member that holds them, their name in it, and what HTTP would have said."""


def codes_in(value: Any) -> list[str]:
    """The codes and types in a decoded error body, the most telling first; sentences are not among them."""
    found: list[Any] = []
    for place in error_objects(value):
        found += [place.get(name) for name in _NAMES_OF_CODES]
        state = place.get("status")
        found += [state] if isinstance(state, str) and state in _GRPC else []
    top = _object_of(value)
    found.append(top.get("error") if top is not None else None)
    words = [str(w) for w in found if isinstance(w, (str, int)) and not isinstance(w, bool)]
    return [w for w in words if w and len(w) <= _MOST_CODE_CHARACTERS and " " not in w and w not in _SAYS_NOTHING]


def error_objects(value: Any) -> list[dict[str, Any]]:
    """The objects of a decoded error body in which servers put what they say, the innermost first.

    Google puts the object into a list; FastAPI the vendor's into `detail`; Cloudflare `errors` into a list;
    Tencent `Error` into `Response`; MiniMax its code into `base_resp`, iFlytek into `header`, Apigee into the `detail`
    of `fault`.
    """
    top = _object_of(value)
    if top is None:
        return []
    found = [top]
    for name in ("header", "base_resp", "errors", "detail", "Response", "fault", "error", "Error"):
        inner = _object_of(top.get(name))
        if inner is None:
            continue
        found.insert(0, inner)
        for deeper in map(_object_of, map(inner.get, ("error", "Error", "detail"))):
            if deeper is not None:
                found.insert(0, deeper)
    for name in _ENVELOPES:
        inner = _object_of(top.get(name))
        if inner is not None and any(inner.get(fault) not in _EMPTY for fault in _FAULTS):
            found = [*error_objects(inner), *found]
    return found


def _object_of(value: Any) -> dict[str, Any] | None:
    """The object, the first one of a list, or the one that a text is the JSON of."""
    if isinstance(value, list) and value:
        value = value[0]
    if isinstance(value, str) and value[:1] == "{":
        value = message.parse(value.encode(errors="replace"))
    return value if isinstance(value, dict) else None


def status_of(value: Any, words: list[str]) -> int | None:
    """The HTTP status that an error inside a 200 answer would have had; None where nothing tells."""
    places = error_objects(value)
    for place in places:
        for key in _NAMES_OF_STATUS:
            if re.fullmatch(r"[45][0-9]{2}", str(place.get(key))):
                return int(str(place[key]))
    for name, key, codes in _VENDORS:
        for place in places:
            listed = place.get(name) if name else place
            inner = _object_of(listed)
            status = codes.get(str(inner.get(key))) if inner is not None else None
            if status is not None:
                return status
    for word in map(_snake_case, words):
        for pattern, status in _WORDS:
            if pattern.search(word):
                return status
    return _status_of_sentence(places)


def _status_of_sentence(places: list[dict[str, Any]]) -> int | None:
    """What a sentence says that is nothing but an HTTP status's name, or that there were too many requests."""
    for place in places:
        if isinstance(place.get("detail"), list) and any("loc" in d for d in place["detail"] if isinstance(d, dict)):
            return 422  # https://fastapi.tiangolo.com/tutorial/handling-errors/
        errors = place.get("errors")
        for said in (*map(place.get, _SENTENCES), *(errors[:1] if isinstance(errors, list) else ())):
            if not isinstance(said, str) or len(said) > message.MOST_CHARACTERS:
                continue
            status = _PHRASES.get(said.strip().rstrip(".!").lower())
            if status is not None:
                return status
            if _TOO_MANY.search(said):
                return 429
    return None


def _snake_case(word: str) -> str:
    """InvalidApiKey, invalid-api-key and Invalid.ApiKey are one."""
    return _HUMPS.sub("_", word).lower().replace("-", "_").replace(".", "_")


def says_refused(value: Any, *, sure: bool = False) -> bool:
    """Whether an answer in which nothing of the task's was found says that it is a refusal, by whatever sign.

    The same members stand in good answers (`code: 0`, `success: true`, `detail`), so that this is no question to ask
    of any other. `sure`: words without a code or a state do not count.
    """
    top = _object_of(value)
    if top is None:
        return False
    places = error_objects(top)
    if any(place.get(name) not in _EMPTY for place in (top, *places) for name in _FAULTS):
        return True
    if any(map(_is_failure, places)):
        return True
    said = () if sure else (message.extract(top.get(name)) for name in _SPEAK)
    return any(words and words.lower() not in _GOOD for words in said)


_ENVELOPES: Final = ("data", "body", "result", "response")
"""Members in which a gateway may have the refusal of the server behind it."""
_FAULTS: Final = ("error", "Error", "errors", "error_message", "errorMessage", "exception", "fault")
_SPEAK: Final = ("detail", "error_msg", "message", "msg", "Message")
_EMPTY: Final[tuple[Any, ...]] = (None, False, 0, "", [], {})


def _is_failure(place: dict[str, Any]) -> bool:
    codes = [place.get(key) for key in _CODES]
    return (
        place.get("success") is False
        or place.get("ok") is False
        or bool(re.fullmatch(r"[45][0-9]{2}", str(place.get("status"))))
        or str(place.get("status")).lower() in _FAILED
        or "error" in (place.get("object"), place.get("type"))
        or any(isinstance(code, int | str) and code not in _EMPTY and _is_bad(str(code)) for code in codes)
    )


_CODES: Final = (
    "code",
    "status_code",
    "statusCode",
    "error_code",
    "errorCode",
    "Code",
    "errcode",
    "err_code",
    "errno",
    "retCode",
)


def _is_bad(code: str) -> bool:
    return code.strip().lower() not in _GOOD and not re.fullmatch(r"0+|2[0-9]{2}", code.strip())


def is_refusal_alone(value: Any) -> bool:
    """Whether an object has nothing in it but what belongs to a refusal: no task finds its result there."""
    top = _object_of(value)
    return top is not None and all(
        name in _OF_REFUSALS
        or content in _EMPTY
        or (name == "status" and _is_status(content))
        or (name in _ENVELOPES and bool(_object_of(content)) and is_refusal_alone(content))
        for name, content in top.items()
    )


def _is_status(content: Any) -> bool:
    """Not the state that a job is in, of which a poll tells."""
    return content == "error" or str(content) in _GRPC or bool(re.fullmatch(r"[45][0-9]{2}", str(content)))


def error_class_by_type(value: Any) -> type[ProviderError] | None:
    """The class for `error_type` (https://github.com/huggingface/text-generation-inference, router)."""
    name = value.get("error_type") if isinstance(value, dict) else None
    if not isinstance(name, str) or not isinstance(value.get("error"), str):
        return None
    return _BY_ERROR_TYPE.get(name, UnknownError)


def error_class(status: int, value: Any, words: list[str]) -> type[ProviderError]:
    """The class of a refusal with this status and decoded body."""
    if 300 <= status < 400:
        return RedirectError
    by_type = error_class_by_type(value)
    if by_type is not None and not (by_type is UnknownError and (status in _BY_STATUS or status >= 500)):
        return by_type  # a word that is new says less than such a status
    if status in (400, 403, 422) and (
        _is_sensitive(value) or any(_MODERATED.search(_snake_case(word)) for word in words)
    ):
        return ContentRefusedError
    if status == 503 and _loading(value):
        return ModelLoadingError
    return _BY_STATUS.get(status, ServerError if status >= 500 else InvalidRequestError)


def _is_sensitive(value: Any) -> bool:
    top = _object_of(value) or {}
    found = ((_object_of(top.get(name)) or {}, key, codes) for name, key, codes in _SENSITIVE)
    return any(str(inner.get(key)) in codes for inner, key, codes in found)


def _loading(value: Any) -> bool:
    said = message.extract(value) or ""
    return isinstance(value, dict) and ("estimated_time" in value or "loading" in said.lower())


def is_retryable(error: ProviderError, status: int, words: list[str]) -> bool:
    """Whether the same call may work later. A quota that is used up does not come back by waiting."""
    if isinstance(error, (ValidationError, UnknownError, RedirectError, ContentRefusedError)):
        return False
    if status in _FINAL_5XX or "insufficient_quota" in words:
        return False
    return error.retryable or status in _RETRYABLE_4XX
