"""The tree of errors: it says first whose fault it is, and carries the facts.

    HeadwaterError
    ├── CallError                    ours: nothing was sent
    │   ├── InvalidParameterError    a wrong, unknown or missing argument
    │   │   └── UnsupportedParameterError   one that this provider has no word for; another may
    │   ├── UnknownProviderError, UnsupportedTaskError, UnsupportedModelError, MissingModelError
    │   ├── MissingCredentialError, InvalidCredentialError, InsecureCredentialError
    │   ├── InputError               a file, path or URL that cannot be read
    │   ├── CacheError               a file that is to hold answers, and is another program's, newer, or damaged
    │   ├── UnknownPriceError        a budget of dollars, and a call whose price nobody knows
    │   └── ClosedError              the client or the run was closed
    │       └── ForkedClientError    in a forked child, a stream of its parent's
    ├── TransportError               the network's; it and the timeout are APIConnectionErrors
    │   ├── ConnectError ── TLSError, ProxyError (a proxy on the way refused)
    │   ├── ConnectionLostError      reset or closed before the answer was whole
    │   └── ProtocolError            bytes that are not HTTP
    ├── ProviderError                theirs: it answered, and refused (status, code, body)
    │   ├── InvalidRequestError (400, 413, 422, ...)   AuthenticationError (401)   PaymentRequiredError (402)
    │   ├── PermissionDeniedError (403)   NotFoundError (404)   ConflictError (409)   RateLimitError (429)
    │   ├── ServerError (5xx, 408, 425) ── OverloadedError (529), ModelLoadingError (503 of a cold model)
    │   ├── RedirectError (3xx)   JobFailedError   ContentRefusedError
    │   ├── InferenceEndpointError ── InferenceEndpointTimeoutError (an InferenceTimeoutError, too)
    │   └── TextGenerationError ── ValidationError, GenerationError, IncompleteGenerationError, UnknownError
    ├── DecodeError                  theirs, and we cannot read it
    │   ├── UnexpectedContentError   HTML, an empty body, the wrong content type
    │   ├── MalformedEventError      one event of a stream
    │   ├── InvalidAnswerError       an answer that is none of the type that was asked for
    │   │   └── EmptyAnswerError, TruncatedAnswerError, RefusedAnswerError
    │   └── ResponseTooLargeError    over a limit of ours
    ├── InferenceTimeoutError        a deadline of the caller's (also a builtin TimeoutError)
    ├── IncompleteStreamError        a stream that stopped before it said that it was complete
    ├── BudgetExceededError          what may be spent is spent: the call, or what would have followed, was not sent
    ├── ConversationLimitError       a conversation that came to its limit of turns or tokens
    │   └── ConversationBudgetError  of tokens (a BudgetExceededError, too)
    └── ToolError                    a tool's, which tells the model so

A CallError about an argument's value is a builtin ValueError as well. The names of OpenAI's and Hugging Face's clients
stand at the end. This file knows no HTTP library and turns no status into a class: `refusals` does that.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Attempt(msgspec.Struct, frozen=True):
    """One try at a call: who was asked, for how long, and how it ended (None: it worked). `cancelled`: it was given up,
    because another one beside it was the first to answer."""

    provider: str
    number: int
    started: float
    seconds: float
    error: HeadwaterError | None = None
    status: int | None = None
    waited: float = 0.0
    cancelled: bool = False


class Headers(dict[str, str]):
    """An answer's headers, by names in any case."""

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name.lower() if isinstance(name, str) else name)

    def get(self, name: str, default: Any = None) -> Any:
        """The header, or the default."""
        return super().get(name.lower(), default)


class ErrorResponse(msgspec.Struct, frozen=True):
    """The answer that an error was, in the words of httpx and requests; `text` is its first 64 KiB, without secrets."""

    status_code: int
    headers: Headers
    text: str

    @property
    def content(self) -> bytes:
        """The text as UTF-8."""
        return self.text.encode(errors="replace")

    @property
    def ok(self) -> bool:
        """Whether the status is no error's: a refusal may come with 200."""
        return self.status_code < 400

    @property
    def is_error(self) -> bool:
        """Whether the status is an error's."""
        return not self.ok

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status_code < 300

    @property
    def reason(self) -> str:
        """What the status is called; "" for one that has no name."""
        from http import HTTPStatus

        try:
            return HTTPStatus(self.status_code).phrase
        except ValueError:
            return ""

    reason_phrase = reason

    def json(self) -> Any:
        """The text as plain dicts, lists, texts and numbers. Raises `ValueError` where it is no JSON."""
        return _loads(self.text)


class ErrorRequest(msgspec.Struct, frozen=True):
    """The request that failed, in the words of httpx and requests; `url` is without its query."""

    method: str
    url: str


def _request_of(response: Any) -> ErrorRequest | None:
    try:
        request = response.request
        return ErrorRequest(request.method, str(request.url))
    except (AttributeError, RuntimeError):  # httpx has none where a test gave none
        return None


def _loads(text: str) -> Any:
    import json

    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("the JSON is too deep") from None


class HeadwaterError(Exception):
    """What every failure of this library is. The facts below are set by whoever knows them.

    `provider`, `model`, `task`: what was asked. `attempts`: every try, with its own error. `elapsed`: seconds since
    the call began. `retryable`: whether the same call may work later, after `retry_after` seconds if that is known.
    `request_id`: the server's name for the request. `partial`: what a stream had delivered, folded as its result
    would be; `events_received`: how many events that was.
    """

    provider: str | None = None
    model: str | None = None
    task: str | None = None
    request_id: str | None = None
    attempts: tuple[Attempt, ...] = ()
    elapsed: float | None = None
    retryable: bool = False
    retry_after: float | None = None
    partial: Any = None
    events_received: int = 0
    response: ErrorResponse | None = None
    """The server's answer, where there was one that refused."""

    request: Any = None
    """What was asked last, an `ErrorRequest`, where something was; or what the error was made with."""

    def __init__(self, *args: object, message: str | None = None, request: Any = None) -> None:
        """`message`, the text, and `request` are OpenAI's, whose errors programs make in their tests."""
        if request is not None and not args and message is None:
            message = "there was no answer"
        super().__init__(*(args if message is None else (message, *args)))
        if request is not None:
            self.request = request

    @property
    def message(self) -> str:
        """The error's text."""
        return str(self.args[0]) if self.args else ""

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args), self.__dict__  # set last: among its attempts is the error itself


def _rebuild(kind: type[HeadwaterError], args: tuple[Any, ...]) -> HeadwaterError:
    error = kind.__new__(kind, *args)
    error.args = args
    return error


class CallError(HeadwaterError):
    """The call itself is wrong; nothing was sent."""


class InvalidParameterError(CallError, ValueError):
    """An argument is missing, unknown, of the wrong type or out of range."""


class UnsupportedParameterError(InvalidParameterError):
    """The provider has nothing by which this argument could be said; another one may, and is asked where there is."""


class UnknownProviderError(CallError, ValueError):
    """No provider has this name."""


class UnsupportedTaskError(CallError, ValueError):
    """The provider does not do this task."""


class UnsupportedModelError(CallError, ValueError):
    """The provider does not serve this model; the message says who does, where that is known."""


class MissingModelError(CallError, ValueError):
    """No model was named, and the task has no recommended one."""


class MissingCredentialError(CallError, ValueError):
    """The provider wants a key, and none was found."""


class InvalidCredentialError(CallError, ValueError):
    """A key or header value has characters that cannot be sent. The value is never shown."""


class InsecureCredentialError(CallError, ValueError):
    """A key would go over plain http to another machine, or to a host that it was not given for."""


class InputError(CallError):
    """An input cannot be read: a missing path, a text-mode file, a URL that does not answer with a file."""


class UnknownPriceError(CallError, ValueError):
    """A budget of dollars refuses a call whose price is not known: give `prices=`, or `Budget(unknown="free")`."""


class CacheError(CallError):
    """The file of a `Cache` is none: another program's, a newer release's, or damaged. It is left as it is."""


class ClosedError(CallError):
    """The client, or the run, was closed before this."""


class ForkedClientError(ClosedError):
    """A stream of the parent process was used in a forked child; calls of the child's own work."""


class APIConnectionError(HeadwaterError):
    """No answer came: the network failed, or a deadline passed."""


class TransportError(APIConnectionError):
    """The network failed. `sent` says whether the request had gone out, wholly or in part."""

    retryable = True
    sent: bool = True


class ConnectError(TransportError):
    """No connection: refused, unreachable, an unknown host."""

    sent = False


class TLSError(ConnectError):
    """The server's certificate or its TLS is not acceptable."""

    retryable = False


class ProxyError(ConnectError):
    """The proxy on the way refused, not the server: a 407, or whatever else it answered to CONNECT.

    `proxy`: its host and port. `status`: what it answered, where it speaks HTTP.
    """

    retryable = False
    proxy: str | None = None
    status: int | None = None


class ConnectionLostError(TransportError):
    """The connection was reset or closed before the answer was whole."""


class ProtocolError(TransportError):
    """What the server sent is not HTTP."""


class ProviderError(HeadwaterError):
    """The server answered, and the answer is a refusal.

    `status`: the HTTP status, or the one that an error inside a 200 answer would have had. `code`: the server's own
    word for it. `text`: the answer's first 64 KiB, without secrets. `headers`: of the answer. `limits`: the rate limits
    that these tell of (`headwater.RateLimits`, as in `facts.limits`); None for what no call has failed with.
    """

    status: int | None = None
    code: str | None = None
    text: str = ""
    headers: dict[str, str] = {}  # noqa: RUF012 - replaced, never changed
    limits: Any = None

    def __init__(self, *args: object, response: Any = None, body: Any = None, **named: Any) -> None:
        """`response` and `body` are for tests, which make errors as OpenAI's and Hugging Face's clients do: an answer
        of httpx or requests, and what it says."""
        super().__init__(*args, **named)
        if response is not None:
            self.status = response.status_code
            self.headers = {str(name).lower(): str(value) for name, value in response.headers.items()}
            self.text = response.text
            self.request_id = self.headers.get("x-request-id")
            self.request = self.request or _request_of(response)
        if body is not None:
            import json

            self.text = json.dumps(body)

    def append_to_message(self, additional_message: str) -> None:
        """Add to the error's text, as one may to Hugging Face's."""
        self.args = (self.message + additional_message, *self.args[1:])

    @property
    def body(self) -> Any:
        """What the answer says, as OpenAI's client has it: its `error` object, or else all of its JSON, or its text."""
        try:
            said = _loads(self.text)
        except ValueError:
            return self.text
        error = said.get("error") if isinstance(said, dict) else None
        return error if isinstance(error, dict) else said

    @property
    def status_code(self) -> int | None:
        """The status, as requests and httpx call it."""
        return self.status

    @property
    def response(self) -> ErrorResponse:  # type: ignore[override]
        """The answer, as an error of Hugging Face's or OpenAI's client has it."""
        return ErrorResponse(200 if self.status is None else self.status, Headers(self.headers), self.text)

    @property
    def type(self) -> str | None:
        """The server's word for the kind of error, where it has one."""
        return self._named("type")

    @property
    def param(self) -> str | None:
        """The parameter that the server names, where it names one."""
        return self._named("param")

    def _named(self, name: str) -> str | None:
        value = self.body.get(name) if isinstance(self.body, dict) else None
        return value if isinstance(value, str) else None

    @property
    def server_message(self) -> str | None:
        """What the server said, in its own words."""
        return self.__dict__.get("said")


class InvalidRequestError(ProviderError):
    """The server cannot take this request (400, 413, 415, 422)."""


class AuthenticationError(ProviderError):
    """The credential is missing or wrong (401)."""


class PaymentRequiredError(ProviderError):
    """The account has no credit left (402)."""


class PermissionDeniedError(ProviderError):
    """The credential may not do this (403)."""


class NotFoundError(ProviderError):
    """No such model or path (404, 410)."""


class ConflictError(ProviderError):
    """The server's state does not allow it (409)."""


class RateLimitError(ProviderError):
    """Too many requests (429); `retry_after` says when to come back, where the server said so."""

    retryable = True


class ServerError(ProviderError):
    """The server failed (5xx), or was too early or too late for the request (425, 408)."""

    retryable = True


class TextGenerationError(ProviderError):
    """An error in the words of text-generation servers (`error_type`)."""


class OverloadedError(ServerError, TextGenerationError):
    """The server has too much to do (529, `error_type` overloaded)."""


class ModelLoadingError(ServerError):
    """The model is cold; `retry_after` is the server's estimate of when it is ready."""


class ValidationError(TextGenerationError, InvalidRequestError):
    """`error_type` validation: a parameter that the text-generation server refuses."""


class GenerationError(TextGenerationError, ServerError):
    """`error_type` generation: the model failed."""


class IncompleteGenerationError(TextGenerationError, ServerError):
    """`error_type` incomplete_generation: the model stopped before its end."""


class UnknownError(TextGenerationError, ServerError):
    """An `error_type` that is none of the above."""

    retryable = False


class RedirectError(ProviderError):
    """The server wants the request sent elsewhere; requests that carry a prompt never follow."""


class JobFailedError(ProviderError):
    """A queued job ended without a result."""


class ContentRefusedError(ProviderError):
    """The provider's moderation refused the input or the output."""


class InferenceEndpointError(ProviderError):
    """An Inference Endpoint does not run, and will not by being waited for: it failed, is paused or scaled to zero.

    `endpoint`: its namespace and name; `state`: the state that it is in, in the API's word.
    """

    endpoint: str | None = None
    state: str | None = None


class DecodeError(HeadwaterError):
    """The answer is not what this task answers with. `body`: its first 512 bytes; `path`: where in it. `outline`: the
    message without what it quotes of the answer, for logs and traces that are to have no content; "" where it quotes
    nothing."""

    body: bytes = b""
    path: str | None = None
    outline: str = ""


class UnexpectedContentError(DecodeError):
    """HTML, an empty body, or another content type than the task's."""


class MalformedEventError(DecodeError):
    """An event of a stream that cannot be read; `index` counts from 0."""

    index: int = 0


class ResponseTooLargeError(DecodeError):
    """The answer is over a limit; `limit` in bytes."""

    limit: int = 0

    def __init__(self, *args: object, limit: int = 0, **named: Any) -> None:
        super().__init__(*args, **named)
        self.limit = limit


class AnswerTry(msgspec.Struct, frozen=True):
    """One answer that was no value of the type that was asked for: its `text`, what is wrong with it (`reason`), where
    (`path`, such as `$.lines[0].amount`), and what it cost, where the server said so."""

    text: str
    reason: str
    path: str | None = None
    usage: Any = None


class InvalidAnswerError(DecodeError):
    """The model's answer is no value of the type that was asked for.

    `text`: the whole of it. `path`: where it is wrong. `tries`: every answer that was wrong, this one last. `usage`:
    what all of them cost together, None where the server did not say. `partial`: the answer, as the plain call would
    have returned it.
    """

    text: str = ""
    tries: tuple[AnswerTry, ...] = ()
    usage: Any = None


class EmptyAnswerError(InvalidAnswerError):
    """The model has answered, and said nothing."""


class TruncatedAnswerError(InvalidAnswerError, IncompleteGenerationError):
    """The answer was cut at the most tokens that it may have; `partial.parsed` is the value as far as it came."""

    body: bytes = b""  # pyright: ignore[reportIncompatibleMethodOverride]
    text: str = ""
    retryable = False


class RefusedAnswerError(InvalidAnswerError, ContentRefusedError):
    """The model refused to answer, or a filter stopped it; `text` is what it said."""

    body: bytes = b""  # pyright: ignore[reportIncompatibleMethodOverride]
    text: str = ""


class InferenceTimeoutError(APIConnectionError, TimeoutError):
    """A deadline passed: `phase` is total, connect, first_event or idle; `elapsed` seconds since the call began."""

    phase: str = "total"
    retryable = True


class InferenceEndpointTimeoutError(InferenceEndpointError, InferenceTimeoutError):  # pyright: ignore[reportIncompatibleVariableOverride]
    """An Inference Endpoint did not run, and answer its health route, in time; it may still come to that."""


class IncompleteStreamError(HeadwaterError):
    """A stream stopped before its end marker: `partial` holds what came."""

    retryable = True


class BudgetExceededError(HeadwaterError):
    """What a budget allows is spent, and nothing was sent; a map or a batch begins nothing more.

    `limit`: which one was reached, "usd", "tokens" or "calls", and `allowed`: how much that is. `spent`: US dollars,
    and `spent_tokens`: tokens, that were counted when it was refused.
    """

    limit: str = ""
    allowed: float = 0.0
    spent: float = 0.0
    spent_tokens: int = 0


class ConversationLimitError(HeadwaterError):
    """A conversation came to a limit of its caller's before the model had answered: `limit` is "max_turns" or "budget".

    `partial` is the `ConversationResult` so far, whose `state` can be taken up again.
    """

    limit: str = ""


class ConversationBudgetError(ConversationLimitError, BudgetExceededError):
    """A conversation's `budget` of tokens is used up: no further turn was begun."""


class ToolError(HeadwaterError):
    """A tool cannot do what it was called for. Raised by a tool, its text is what the model is told."""


def cancelled_elsewhere(cause: BaseException | None) -> HeadwaterError:
    """The error for work that was cancelled, but not by who waits for it: it awaited what somebody else cancelled."""
    error = HeadwaterError("cancelled from elsewhere: something that the call awaited was cancelled by others")
    error.__cause__ = cause
    return error


def no_end(error: BaseException) -> RuntimeError:
    """The error for what somebody else's code has raised, and would look like an end to whoever reads."""
    found = RuntimeError(f"raised {type(error).__name__}, which is no end of what is read")
    found.__cause__ = error
    return found


HfHubHTTPError = APIStatusError = ProviderError
OpenAIError = APIError = HeadwaterError
BadRequestError = UnprocessableEntityError = InvalidRequestError
InternalServerError = ServerError
APITimeoutError = InferenceTimeoutError
LengthFinishReasonError = TruncatedAnswerError
ContentFilterFinishReasonError = RefusedAnswerError
APIResponseValidationError = DecodeError
