"""Reads inputs: bytes, binary files, paths, URLs, data URLs, PIL images and arrays, within the policy's limit.

Whatever can block does so in a worker thread; small bytes take none. What a file holds is said by its first bytes
before its name. A text-mode file, a missing path, a folder and an empty file are refused in plain words.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Awaitable
from typing import Any, Final

import anyio
import msgspec
from anyio import to_thread

from ..errors import (
    DecodeError,
    HeadwaterError,
    InferenceTimeoutError,
    InputError,
    InvalidParameterError,
    ProviderError,
    RedirectError,
    ResponseTooLargeError,
    TransportError,
)
from ..media.images import encode_image
from ..media.mime import from_data_url, mime_type_of
from ..media.source import SourceKind, check_kind
from ..protocol.flow import Load, Loaded, Request
from ..protocol.url import parse_url
from .body import ResponseBody, close_shielded
from .engine import IN_THREAD_BYTES
from .input_policy import InputPolicy
from .open_file import OpenFile, copied, in_place
from .redirects import SHOWN_CHARS, VAGUE, Redirects, content_type, display_url, is_page
from .requester import Requester

SNIFFED_BYTES: Final = 64
"""Bytes by which a MIME type is known."""


async def read_input(step: Load, kind: SourceKind | None, policy: InputPolicy) -> Loaded:
    """The input, which is of this kind, read. http(s) URLs that are to be downloaded are for `download`.

    Raises `InvalidParameterError` for what is no input, `InputError` for one that cannot be read.
    """
    source = step.source
    if wrong := check_kind(source, kind):
        raise InvalidParameterError(f"an input {wrong}")
    if kind == "data":
        return await _from_data(source, step, policy.limit)
    if kind == "file":
        return await to_thread.run_sync(_from_file, source, step, policy.limit, abandon_on_cancel=True)
    if kind == "path":
        if isinstance(source, str) and not policy.paths:
            raise InputError(_NO_PATHS)
        return await to_thread.run_sync(_from_path, os.fspath(source), step, policy.limit, abandon_on_cancel=True)
    if kind == "url":
        parse_url(source)
        return Loaded(mime_type=step.mime_type, url=source)
    if kind == "data-url":
        return await _from_data_url(source, step, policy.limit)
    return await to_thread.run_sync(_from_image, source, policy.limit, abandon_on_cancel=True)


def loaded(data: bytes, step: Load, name: str | None, limit: int) -> Loaded:
    """Bytes as an input, their type found. Raises `InputError` for none, and for more than the limit."""
    what = shorten_name(name) if name else "the input"
    if not data:
        raise InputError(f"{what} is empty")
    if len(data) > limit:
        raise _too_large(what, limit)
    return Loaded(mime_type=mime_type_of(data, name or "", step.mime_type), data=data, name=name, size=len(data))


def shorten_name(name: str) -> str:
    """A path or name as a message repeats it."""
    return repr(name if len(name) <= SHOWN_CHARS else f"{name[:SHOWN_CHARS]}...")


async def _from_data(source: bytes | bytearray | memoryview, step: Load, limit: int) -> Loaded:
    size = source.nbytes if isinstance(source, memoryview) else len(source)
    if size > limit:
        raise _too_large("the input", limit)
    if size > IN_THREAD_BYTES and not isinstance(source, bytes):
        return loaded(await to_thread.run_sync(bytes, source), step, None, limit)
    return loaded(bytes(source), step, None, limit)


async def _from_data_url(source: str, step: Load, limit: int) -> Loaded:
    if step.keep_url:
        return Loaded(mime_type=step.mime_type, url=source)
    try:
        if len(source) > IN_THREAD_BYTES:
            data, kind = await to_thread.run_sync(from_data_url, source, limit, abandon_on_cancel=True)
        else:
            data, kind = from_data_url(source, limit)
    except ResponseTooLargeError:
        raise _too_large("the data URL", limit) from None
    except DecodeError as error:
        raise InputError(f"the data URL cannot be read: {error.message}") from None
    return Loaded(mime_type=kind, data=data, size=len(data))


def _from_image(source: Any, limit: int) -> Loaded:
    data, kind = encode_image(source, deep=False)
    if len(data) > limit:
        raise _too_large("the image", limit)
    return Loaded(mime_type=kind, data=data, size=len(data))


def _from_file(file: Any, step: Load, limit: int) -> Loaded:
    """A file object from where it stands; a large one stays where it is, for a request's body, as one at a path."""
    name = getattr(file, "name", None)
    named = os.path.basename(name) if isinstance(name, str) else None  # noqa: PTH119
    what = shorten_name(named) if named else "the input"
    try:
        found: OpenFile | bytes | None = in_place(file) if step.streamed else None
        if found is None or (isinstance(found, OpenFile) and found.size <= IN_THREAD_BYTES):
            found = copied(file, limit, IN_THREAD_BYTES if step.streamed else limit + IN_THREAD_BYTES)
        if isinstance(found, bytes):
            return loaded(found, step, named, limit)
        if found.size > limit:
            raise _too_large(what, limit)
        kind = mime_type_of(found.read(0, SNIFFED_BYTES), named or "", step.mime_type)
    except (OSError, ValueError) as error:
        raise InputError(f"the file cannot be read: {error}") from None
    return Loaded(mime_type=kind, file=found, name=named, size=found.size)


def _from_path(path: str, step: Load, limit: int) -> Loaded:
    try:
        facts = os.stat(path)  # noqa: PTH116 - a path given as text stays as it is
        if not stat.S_ISREG(facts.st_mode):
            what = "a folder" if stat.S_ISDIR(facts.st_mode) else "no regular file"
            raise InputError(f"{shorten_name(path)} is {what}")
        if facts.st_size > limit:
            raise _too_large(shorten_name(path), limit)
        is_kept = step.streamed and facts.st_size > IN_THREAD_BYTES
        from pathlib import Path

        with Path(path).open("rb") as file:
            data = file.read(SNIFFED_BYTES if is_kept else limit + 1)
    except FileNotFoundError:
        raise InputError(f"there is no file {shorten_name(path)}; a URL begins with http:// or https://") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no path"
        raise InputError(f"{shorten_name(path)} cannot be read: {reason}") from None
    name = os.path.basename(path)  # noqa: PTH119
    if not is_kept:
        return loaded(data, step, name, limit)
    kind = mime_type_of(data, name, step.mime_type)
    return Loaded(mime_type=kind, path=os.path.abspath(path), name=name, size=facts.st_size)  # noqa: PTH100


def _too_large(what: str, limit: int) -> InputError:
    return InputError(f"{what} is larger than {limit} bytes, the limit of the client's input_policy")


_NO_PATHS: Final = (
    "a str is not read as a path under this client's input_policy; pass bytes, an open file, or a pathlib.Path"
)
_INPUTS: Final = "(inputs)"


async def load(requester: Requester, step: Load, kind: SourceKind | None) -> Loaded:
    """An input of this kind, read or downloaded, before the call's deadline."""
    if kind != "url" or step.keep_url:
        return await requester.within(read_input(step, kind, requester.engine.policy))
    if not requester.engine.policy.urls:
        raise InputError("URLs are not downloaded under this client's input_policy; pass bytes or an open file")
    tries = 0
    while True:
        tries += 1
        try:
            return await _told_of(requester, step)
        except TransportError as error:
            await _as_input(step, requester.wait_again(error, tries, _plain(step.source), budget=_INPUTS))
        except ProviderError as error:
            if isinstance(error, RedirectError):
                raise _no_input(step, error) from error
            await _as_input(step, requester.wait_again(error, tries, _plain(step.source), budget=_INPUTS))


async def _as_input(step: Load, wait: Awaitable[None]) -> None:
    try:
        await wait
    except InferenceTimeoutError:
        raise
    except HeadwaterError as error:
        raise _no_input(step, error) from error


async def _told_of(requester: Requester, step: Load) -> Loaded:
    """The input, and whoever observes the call is told of its request."""
    requester.begin_attempt(_plain(step.source), "input")
    try:
        loaded = await _input(requester, step)
    except HeadwaterError as error:
        requester.fail_attempt(error)
        raise
    requester.end_attempt()
    return loaded


async def _input(requester: Requester, step: Load) -> Loaded:
    incoming = await Redirects(requester, _plain(step.source), is_result=False).answer()
    limit = requester.engine.policy.limit
    whole = io.BytesIO()
    try:
        body = ResponseBody(incoming, limit)
        while piece := await requester.piece(body):
            if not whole.tell() and is_page(content_type(incoming), piece):
                raise InputError(f"{display_url(step.source)} is an HTML page, not a file; is it the file's own URL?")
            whole.write(piece)
    except ResponseTooLargeError:
        await close_shielded(incoming)
        url = display_url(step.source)
        raise InputError(f"{url} has more than {limit} bytes, the client's limit for inputs") from None
    except BaseException:
        await close_shielded(incoming)
        raise
    declared = mime_type_of(b"", default=content_type(incoming))  # it goes into what is sent on: no odd characters
    name = step.source.partition("?")[0].partition("#")[0].rpartition("/")[2]
    found = loaded(whole.getvalue(), step, name or display_url(step.source), limit)
    if found.mime_type == step.mime_type and declared not in VAGUE:
        return Loaded(mime_type=declared, data=found.data, name=name, size=found.size)
    return found


def _plain(url: str) -> Request:
    return Request(method="GET", url=url.partition("#")[0], auth="none")


def _no_input(step: Load, error: HeadwaterError) -> InputError:
    status = error.status if isinstance(error, ProviderError) else None
    why = f"it answered {status}" if status else error.message
    return InputError(f"{display_url(step.source)} cannot be downloaded: {why}")


class Files:
    """The open files of one call, with what is in them."""

    __slots__ = ("_locks", "_read")

    def __init__(self) -> None:
        self._locks: dict[int, anyio.Lock] = {}
        self._read: dict[int, tuple[Any, Loaded]] = {}

    async def load(self, requester: Requester, step: Load) -> Loaded:
        """What is in the file; whoever asks meanwhile waits. One that stays where it is is read where it is wanted."""
        key = id(step.source)  # it stays the same file's: the call's arguments keep that alive
        async with self._locks.setdefault(key, anyio.Lock()):
            if key not in self._read:
                self._read[key] = step.source, await load(requester, step, "file")
            found = self._read[key][1]
            if found.file is not None and not step.streamed:
                data = await requester.within(to_thread.run_sync(found.file.whole, abandon_on_cancel=True))
                found = msgspec.structs.replace(found, data=data, file=None)
                self._read[key] = step.source, found
            return found
