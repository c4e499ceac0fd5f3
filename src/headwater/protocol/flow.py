"""The words of a flow: what a provider's pure generator yields, and what it is resumed with.

A flow reads top to bottom like blocking code, and does nothing: it yields steps, and the engine performs them. No
I/O, clock, randomness or event loop here or in any flow. Errors of a step are thrown into the flow, which may catch
them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, Protocol, TypeAlias, TypeVar

import msgspec

from .framing import EVENT_STREAM, Frame

if TYPE_CHECKING:
    from .events import EndpointState, Job, JobEvent

MIB = 1024 * 1024
LARGEST: Final = 256 * MIB
"""The most bytes of an image or a sound."""

E = TypeVar("E")
R = TypeVar("R")
E_contra = TypeVar("E_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)

Auth: TypeAlias = 'Literal["provider", "hub", "none"]'
"""Whose credential a request carries; the engine adds it, and only on that party's own origins."""


class Loaded(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """An input as it will be sent: in memory (`data`), on disk (`path`, for a large file that a request may stream, or
    `file`, for one that the caller has open), or still a `url` where the flow asked to keep those."""

    mime_type: str
    data: bytes = b""
    path: str | None = None
    file: Any = None
    url: str | None = None
    name: str | None = None
    size: int = 0

    @property
    def is_stored(self) -> bool:
        """Whether it is to be read from where it is, as it is sent."""
        return self.path is not None or self.file is not None


class Part(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """A field of a multipart/form-data body; with `filename` it is a file."""

    name: str
    data: bytes | Loaded
    filename: str | None = None
    mime_type: str | None = None


JSON_HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {"content-type": "application/json", "accept": "application/json"}
)
EVENT_HEADERS: Final[Mapping[str, str]] = MappingProxyType({"content-type": "application/json", "accept": EVENT_STREAM})
"""The headers of nearly all requests: JSON for JSON, and for an event stream."""


class Request(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """A request as a flow writes it; the engine adds credentials and the client's own headers.

    `body`: bytes, an input that may be streamed from disk, or the parts of multipart/form-data (the engine adds the
    content type with its boundary).

    `resend`: whether it may be sent again once its body has gone out (False for job submissions, which cost money
    twice). `unique`: it makes what costs money until somebody ends it: it is sent again only where it was surely not
    taken, which a 500 does not say. `limit`: the most decoded bytes that its answer may have. `opaque`: its answer is
    the caller's to interpret: nobody looks for a refusal in it. `family`: the media that its answer is to be, "image",
    "audio" or "video"; what begins as other media is not read on.
    """

    method: str
    url: str
    headers: Mapping[str, str] = MappingProxyType({})
    body: bytes | Loaded | tuple[Part, ...] = b""
    auth: Auth = "provider"
    resend: bool = True
    unique: bool = False
    limit: int = 64 * MIB
    opaque: bool = False
    family: str = ""


class Reply(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """An answer, its body read and decoded from its transfer and content codings. Header names are lower-case."""

    status: int
    headers: dict[str, str]
    body: bytes
    url: str = ""
    _looked_through: tuple[bytes, bool] | None = None

    def names_error(self) -> bool:
        """Whether a member of the body may be named "error"; looked for once, though three ask: 8 us each in 4 kB."""
        found = self._looked_through
        if found is None or found[0] is not self.body:  # that of the reply which this was made of, with another body
            found = self.body, self.body.find(b'"error"') >= 0
            msgspec.structs.force_setattr(self, "_looked_through", found)
        return found[1]

    @property
    def content_type(self) -> str:
        """The media type alone, in lower case; "" where there is none."""
        return self.headers.get("content-type", "").partition(",")[0].partition(";")[0].strip().lower()


class Send(msgspec.Struct, frozen=True, gc=False):
    """Send a request and be resumed with its `Reply`. A refusal (not 2xx) is thrown as a `ProviderError`.

    `within`: one try, of at most so many seconds, for what is asked again anyhow; an `InferenceTimeoutError` of another
    phase than "total" says that they are over.
    """

    request: Request
    within: float | None = None


class TrustOrigin(msgspec.Struct, frozen=True):
    """Let the provider's credential go to the origin of this URL as well, for the rest of the call: of a server that is
    the caller's own, and of which the provider's own API said where it is.

    `sleeps`: the server may have scaled to zero, so that a 503 of its says that it wakes. Throws
    `InsecureCredentialError` for plain http to another machine.
    """

    url: str
    sleeps: bool = False


class Fold(Protocol[E_contra, R_co]):
    """Gathers a stream's events into what the plain call returns.

    One with a `failure` that is not None says what the run is to fail with, once its events were handed over. One with
    a `job` says which goes on at the server when the stream is cut, and its `on_cancel` what ends that.
    """

    def add(self, event: E_contra) -> None:
        """Take the next event."""
        ...

    def complete(self, *, marked: bool = False) -> bool:
        """Whether what has been added says that it is whole (every choice has its finish reason, ...).

        `marked`: the server has sent its end marker, so that nothing more comes.
        """
        ...

    def result(self) -> R_co:
        """What the plain call would have returned, from the events so far."""
        ...


class Stream(msgspec.Struct, Generic[E, R], frozen=True, kw_only=True, gc=False):
    """Send a request and hand its body over as events; always a flow's last step, its fold's result the run's.

    `decode` turns a frame into an event; it returns None for a frame that says nothing, raises for an error inside
    the stream, and returns `END` for an end marker. `finish` says which ends are whole: "marked" wants a fold that is
    complete, with an end marker or without; "closed" takes the clean end of the body as well (raw audio has no other).
    `whole`: an answer of JSON or plain text, of a server that does not stream this, is one frame; its `event` is the
    media type. A "body" is neither JSON nor a page, "bytes" are whatever comes. `then`: given the fold of a stream that
    has ended whole, the flow that goes on from it, whose result is the run's; None where nothing does. It raises what
    the call is to fail with. `last`: given the fold, whether the event that ends such a stream by its own word has been
    taken, so that nothing more is waited for; None for streams that have none, or an end marker in its place.
    `rejoin`: the same of a stream that was cut, for a server that still has the rest of it.
    """

    request: Request
    framing: Literal["sse", "json-lines", "body", "bytes"]
    decode: Callable[[Frame], E | End | None]
    fold: Callable[[], Fold[E, R]]
    finish: Literal["marked", "closed"] = "marked"
    whole: bool = False
    then: Callable[[Any], Flow[Any] | Remember | None] | None = None
    last: Callable[[Any], bool] | None = None
    rejoin: Callable[[Any], Flow[Any] | None] | None = None


class End:
    """The type of `END`, which `decode` returns for an end marker."""


END = End()


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """Read an input and be resumed with a `Loaded`: bytes, files, paths, URLs, data URLs, images, arrays.

    `mime_type`: what it is where neither content nor name tells. `keep_url`: an http(s) or data URL is not fetched
    but handed on, for providers that fetch. `streamed`: a large file stays on disk, for a request's body.
    """

    source: Any
    mime_type: str = "application/octet-stream"
    keep_url: bool = False
    streamed: bool = False


class Fetch(msgspec.Struct, frozen=True, kw_only=True):
    """Download a result and be resumed with a `Media`; its progress is handed to whoever reads the run.

    The request's credential goes along on the provider's own origins only. `mime_type`: where the server says none.
    """

    request: Request
    mime_type: str = "application/octet-stream"


class Sleep(msgspec.Struct, frozen=True):
    """Wait, under the deadline."""

    seconds: float


class Emit(msgspec.Struct, frozen=True):
    """Hand an event to whoever reads the run."""

    event: JobEvent | EndpointState


class OnCancel(msgspec.Struct, frozen=True):
    """What to send if the run is left before its flow returns; None: nothing any more."""

    request: Request | None


class Cached(msgspec.Struct, frozen=True):
    """Be resumed with the flow's result, from the client's cache where that is younger than `seconds`.

    The cache belongs to one client and so to one token. A failure is not remembered.
    """

    key: Hashable
    flow: Callable[[], Flow[Any]]
    seconds: float = 600.0


class StoredFrames(msgspec.Struct, frozen=True):
    """A stream that was kept: its frames, each to come by itself. `document`: it was one JSON document."""

    frames: tuple[Frame, ...]
    document: bool = False


class Replay(msgspec.Struct, frozen=True):
    """Hand a stream over that was kept, as `Stream` does with one that comes; always a flow's last step, too."""

    stream: Stream[Any, Any]
    stored: StoredFrames

    @property
    def then(self) -> Callable[[Any], Flow[Any] | Remember | None] | None:
        """What follows it, as it does the stream."""
        return self.stream.then

    @property
    def rejoin(self) -> None:
        """It is not cut."""
        return None


class Recalled(msgspec.Struct, frozen=True):
    """What is kept for a request: its `key` (None: such a request cannot be kept) and its `tape`, if there is one."""

    key: bytes | None
    tape: Any = None


class AnswerStore(Protocol):
    """Keeps what calls brought."""

    async def recall(self, request: Request, identity: bytes) -> Recalled:
        """What is kept for this request by whoever has this identity."""
        ...

    async def remember(self, key: bytes, tape: Any, headers: Mapping[str, str], redact: Callable[[str], str]) -> None:
        """Keep this, with some of the last answer's headers, unless `redact` finds a secret in it."""
        ...


class Recall(msgspec.Struct, frozen=True):
    """Be resumed with what is kept for this request, `Recalled`."""

    store: AnswerStore
    request: Request
    identity: bytes


class Remember(msgspec.Struct, frozen=True):
    """Have this kept under the key."""

    store: AnswerStore
    key: bytes
    tape: Any


class PassOver(msgspec.Struct, frozen=True):
    """Have it among the call's attempts that this provider was not asked, because of this error."""

    provider: str
    error: Exception


if TYPE_CHECKING:
    Step: TypeAlias = (
        Send
        | Load
        | Fetch
        | Sleep
        | Emit
        | OnCancel
        | Cached
        | TrustOrigin
        | PassOver
        | Recall
        | Remember
        | Replay
        | Stream[Any, Any]
    )
else:
    Step = Any  # which of them is for type checkers: a union with what is generic takes `typing` as long as a class
Flow: TypeAlias = Generator[Step, Any, R]


class Wanted(msgspec.Struct, frozen=True):
    """Images as OpenAI's client asks for them: how many, and as "url" or "b64_json", where the server has a choice."""

    count: int = 1
    response_format: str | None = None


class Call(msgspec.Struct, kw_only=True, gc=False):
    """What a flow is asked to do.

    `parameters`: the task's arguments that were given, by name, validated; never None. `model`: the model as the
    provider knows it (None: none named); `hub_id`: as the user named it. `base`: the URL before the provider's route,
    with no slash at its end; `hub`: that of the Hub. `routed`: through Hugging Face's router. `url`: the server's own
    URL where the user gave one, in place of a model. `extra`: `extra_body`, merged over the body's root or its
    parameters. `seconds`: the call's total time limit, for providers that take one. `adapter`: the file of LoRA
    weights within the Hub's model, where the mapping says that the provider's model wants them. `wanted`: what is
    asked for in OpenAI's words, where the caller can take several images. `done_ends`: whether an end marker alone ends
    a whole stream there.
    """

    task: str
    parameters: dict[str, Any]
    provider: str
    base: str
    hub: str
    model: str | None = None
    hub_id: str | None = None
    routed: bool = False
    url: str | None = None
    extra: dict[str, Any] = {}
    stream: bool = False
    seconds: float | None = None
    adapter: str | None = None
    wanted: Wanted | None = None
    done_ends: bool = False


TaskFlow: TypeAlias = Callable[[Call], Flow[Any]]
"""How a task is done: what a call of it yields, step by step, and returns."""
TaskFlowAtURL: TypeAlias = Callable[[Call, str], Flow[Any]]
"""The same at a URL that was settled before."""
ResumeFlow: TypeAlias = "Callable[[Call, Job], Flow[Any]]"
"""How a job that was submitted before is watched to its end."""
