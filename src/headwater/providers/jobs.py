"""Queued jobs: submitted once, watched until they end, and their results downloaded.

What differs between vendors is a function that reads one answer of theirs. It refuses URLs of other places, and a
state that it does not know is the job's end, so that no job is watched for ever.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from ..errors import ContentRefusedError, DecodeError, JobFailedError, ProviderError, UnexpectedContentError
from ..media.images import LARGEST, from_data_url, from_text, open_image
from ..media.media import Media
from ..protocol.events import Job, JobEvent, Progress, Queued, Started, Submitted
from ..protocol.flow import MIB, Call, Emit, Fetch, Flow, OnCancel, Reply, Request, Send, Sleep
from ..protocol.json_text import UNREADABLE
from ..responses import json_decoder, message
from ..responses.decode import unreadable
from ..responses.refusal import ERROR_BODY_BYTES, error_alone, request_id
from .bodies import get, post
from .urls import is_result_url

if TYPE_CHECKING:
    from PIL.Image import Image


T = TypeVar("T")
Family: TypeAlias = Literal["image", "video"]

LARGEST_VIDEO: Final = 4096 * MIB
_DEFAULTS: Final = {"image": "image/png", "video": "video/mp4"}
_MODERATED: Final = re.compile(r"nsfw|moderat|content.?(filter|policy|violation)|safety|sensitive", re.IGNORECASE)
_SEGMENT: Final = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*")


class ResultURL(msgspec.Struct, frozen=True):
    """The job has its result: a URL, a data URL or base64."""

    url: str


JobState: TypeAlias = Queued | Started | Progress | ResultURL


def submit(url: str, body: dict[str, Any]) -> Flow[Reply]:
    """Send a job, once: it would be paid for twice."""
    reply: Reply = yield Send(msgspec.structs.replace(post(url, body), resend=False))
    return reply


def job_of(call: Call, name: str, **state: str) -> Job:
    """The call's job by the name that the vendor gave it."""
    return Job(
        provider=call.provider,
        task=call.task,
        id=name,
        model=call.hub_id or call.model,
        routed=call.routed,
        state=state,
    )


def watch(
    job: Job,
    request: Request,
    read: Callable[[Job, Reply], JobState],
    *,
    pause: Callable[[int, Reply], float],
    first: float = 0.0,
    cancel: Request | None = None,
) -> Flow[str]:
    """Ask how the job does until it is done: the URL of its result.

    `first` is the wait before the first question, `pause(asked, reply)` the one after each, in seconds. `read` raises
    the error of a job that failed. What has not changed since the last answer is not handed over again.
    """
    if cancel is not None:
        yield OnCancel(cancel)
    yield Emit(Submitted(job))
    if first:
        yield Sleep(first)
    last: JobState | None = None
    asked = 0
    while True:
        reply = yield Send(request)
        asked += 1
        try:
            state = read(job, reply)
        except (JobFailedError, ContentRefusedError):
            yield OnCancel(None)
            raise
        if isinstance(state, ResultURL):
            yield OnCancel(None)
            return state.url
        if state != last:
            yield Emit(state)
        last = state
        yield Sleep(pause(asked, reply))


def every(seconds: float) -> Callable[[int, Reply], float]:
    """Pause for as long after each answer."""
    return lambda asked, reply: seconds


def poll(url: str) -> Request:
    """The question how a job does, with the provider's credential."""
    return get(url, auth="provider")


def read_state(reply: Reply, kind: type[T]) -> T:
    """The answer as this type. An `error` in it is the job's, for the caller to read; `decode` would raise it.

    Raises the refusal of the question, where that is all that the answer is.
    """
    if (no := _refused(reply)) is not None:
        raise no
    try:
        return json_decoder.decode_json(reply.body, kind)
    except UNREADABLE as failure:
        raise unreadable(reply, failure) from None


def _refused(reply: Reply) -> ProviderError | None:
    """The refusal of a question, which is no state of the job's: it has a status as HTTP has them, or no state."""
    no = error_alone(reply)
    return no if no is not None and (no.status is not None or b'status"' not in reply.body) else None


def failed(job: Job, reply: Reply, state: str, reason: Any = None, *, refused: bool = False) -> ProviderError:
    """The error of a job that ended without a result: in the vendor's words, by its own name for the `state`.

    It is a refusal of the content where `refused` says so or the words do; and where the answer is nothing but the
    refusal of the request, that one.
    """
    if (no := _refused(reply)) is not None:
        return no
    said = message.extract(reason)
    is_refused = refused or bool(said and _MODERATED.search(said))
    kind = ContentRefusedError if is_refused else JobFailedError
    named = message.one_line(state)[:64]
    error = kind(f"{job.provider}'s job {job.id} ended as {named!r}: {said or 'no reason was given'}")
    error.code = named
    error.text = reply.body[:ERROR_BODY_BYTES].decode(errors="replace")
    error.request_id = request_id(reply.headers)
    error.__dict__["said"] = said
    return error


def no_result(reply: Reply) -> DecodeError:
    """The error of a job that is done, says the vendor, and names no result."""
    return unreadable(reply, ValueError("the job is done and has no result"))


def started(fraction: float | None) -> JobState:
    """The job runs, so far (0 to 1) as the vendor says."""
    return Started() if fraction is None else Progress(fraction=min(max(fraction, 0.0), 1.0))


def segment(name: str) -> str:
    """A job's name as one segment of a path. Raises `DecodeError` for a name that would leave its place."""
    if not name or name in {".", ".."}:
        raise DecodeError(f"the job's name {name!r} is none")
    return quote(name, safe="")


def path_of(url: str, jobs: str) -> str | None:
    """The path of a URL that an answer or a saved job named, to be asked for on our own origin.

    None where it is not plain, or not below the segment of the vendor's paths where its `jobs` are: the key goes along.
    """
    try:
        path = urlsplit(url).path
    except ValueError:
        return None
    segments = path[1:].split("/")
    is_plain = path.startswith("/") and all(map(_SEGMENT.fullmatch, segments))
    return path if is_plain and jobs in segments[:-1] else None


def download(url: str, family: Family) -> Flow[Media]:
    """The result that an answer named: downloaded, or read where it is in the answer itself."""
    if is_result_url(url):
        limit = LARGEST_VIDEO if family == "video" else LARGEST
        request = Request(method="GET", url=url, limit=limit, family=family)
        media: Media = yield Fetch(request=request, mime_type=_DEFAULTS[family])
    else:
        media = _decode_inline(url)
    check_media(media, family, (f"{family}/", "application/octet-stream"))
    return media


def check_media(media: Media, family: str, kinds: tuple[str, ...]) -> None:
    """Raise `UnexpectedContentError` for a result of another kind: by its type, or JSON under whatever type."""
    if not media.mime_type.startswith(kinds):
        raise UnexpectedContentError(f"the result is {media.mime_type}, not {family}")
    if bytes(media[:64]).lstrip()[:1] == b"{":
        raise UnexpectedContentError(f"the result is JSON, not {family}")


def _decode_inline(text: str) -> Media:
    return Media(*from_data_url(text)) if text[:5].lower() == "data:" else Media(from_text(text))


def download_image(url: str) -> Flow[Image]:
    """Download the result as a lazy PIL image."""
    return open_image((yield from download(url, "image")))


_FAMILIES = ("audio/", "video/", "application/octet-stream")
"""Sound comes in containers that are named after pictures, and from stores that name nothing."""


def download_sound(url: str) -> Flow[Media]:
    """The sound behind a URL, or in a data URL. Raises `UnexpectedContentError` for anything else."""
    if url[:5].lower() == "data:":
        media = Media(*from_data_url(url))
    else:
        media = yield Fetch(
            request=Request(method="GET", url=url, limit=LARGEST, family="audio"), mime_type="audio/mpeg"
        )
    check_media(media, "audio", _FAMILIES)
    return media


class ProgressDeduplicator:
    """What of one job was handed over already. A job that goes back into the queue is told of as queued again."""

    def __init__(self) -> None:
        self._queued: Queued | None = None
        self._is_started = False
        self._lines = 0
        self._fraction: float | None = None

    def waiting(self, position: int | None = None) -> list[JobEvent]:
        """The job waits, at this position of the queue, counted from 0."""
        event = Queued(position)
        if event == self._queued:
            return []
        self._queued, self._is_started = event, False
        return [event]

    def running(self, lines: Sequence[str] = (), fraction: float | None = None) -> list[JobEvent]:
        """The job runs: all the lines that were logged so far, and how far it is, 0 to 1."""
        begun: list[JobEvent] = [] if self._is_started else [Started()]
        self._queued, self._is_started = None, True
        return begun + self.logged(lines, fraction)

    def logged(self, lines: Sequence[str], fraction: float | None = None) -> list[JobEvent]:
        """The lines alone, of a job that may be over."""
        if len(lines) < self._lines:  # the job was begun anew, and its log too
            self._lines = 0
        new = tuple(lines[self._lines :])
        self._lines = len(lines)
        is_news = bool(new) or (fraction is not None and fraction != self._fraction)
        self._fraction = fraction
        return [Progress(fraction=fraction, logs=new)] if is_news else []
