"""Reads inputs: bytes, binary files, paths, URLs, data URLs, PIL images and arrays, within the policy's limit.

Whatever can block does so in a worker thread; small bytes take none. What a file holds is said by its first bytes
before its name. A text-mode file, a missing path, a folder and an empty file are refused in plain words.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any, Final

from anyio import to_thread

from ..errors import DecodeError, InputError, InvalidParameterError, ResponseTooLargeError
from ..flow import MIB, Load, Loaded
from ..media import check_source, encode_image, kind_of
from ..mime import from_data_url, mime_type_of
from ..wire import parse_url
from .inputs import InputPolicy
from .open_file import OpenFile, copied, in_place

LARGE: Final = MIB
"""Larger files may stay on disk, and larger bytes are copied in a thread."""
HEAD: Final = 64
"""Bytes by which a MIME type is known."""
SHOWN: Final = 200


async def load(step: Load, policy: InputPolicy) -> Loaded:
    """The input, read. http(s) URLs that are to be downloaded are for `fetching.download`.

    Raises `InvalidParameterError` for what is no input, `InputError` for one that cannot be read.
    """
    source = step.source
    if wrong := check_source(source):
        raise InvalidParameterError(f"an input {wrong}")
    kind = kind_of(source)
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


def is_download(step: Load) -> bool:
    """Whether the input is behind an http(s) URL, and wanted."""
    return not step.keep_url and kind_of(step.source) == "url"


def loaded(data: bytes, step: Load, name: str | None, limit: int) -> Loaded:
    """Bytes as an input, their type found. Raises `InputError` for none, and for more than the limit."""
    what = shown(name) if name else "the input"
    if not data:
        raise InputError(f"{what} is empty")
    if len(data) > limit:
        raise _too_large(what, limit)
    return Loaded(mime_type=mime_type_of(data, name or "", step.mime_type), data=data, name=name, size=len(data))


def shown(name: str) -> str:
    """A path or name as a message repeats it."""
    return repr(name if len(name) <= SHOWN else f"{name[:SHOWN]}...")


async def _from_data(source: bytes | bytearray | memoryview, step: Load, limit: int) -> Loaded:
    size = source.nbytes if isinstance(source, memoryview) else len(source)
    if size > limit:
        raise _too_large("the input", limit)
    if size > LARGE and not isinstance(source, bytes):
        return loaded(await to_thread.run_sync(bytes, source), step, None, limit)
    return loaded(bytes(source), step, None, limit)


async def _from_data_url(source: str, step: Load, limit: int) -> Loaded:
    if step.keep_url:
        return Loaded(mime_type=step.mime_type, url=source)
    try:
        if len(source) > LARGE:
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
    what = shown(named) if named else "the input"
    try:
        found: OpenFile | bytes | None = in_place(file) if step.streamed else None
        if found is None or (isinstance(found, OpenFile) and found.size <= LARGE):
            found = copied(file, limit, LARGE if step.streamed else limit + LARGE)
        if isinstance(found, bytes):
            return loaded(found, step, named, limit)
        if found.size > limit:
            raise _too_large(what, limit)
        kind = mime_type_of(found.read(0, HEAD), named or "", step.mime_type)
    except (OSError, ValueError) as error:
        raise InputError(f"the file cannot be read: {error}") from None
    return Loaded(mime_type=kind, file=found, name=named, size=found.size)


def _from_path(path: str, step: Load, limit: int) -> Loaded:
    try:
        facts = os.stat(path)  # noqa: PTH116 - a path given as text stays as it is
        if not stat.S_ISREG(facts.st_mode):
            what = "a folder" if stat.S_ISDIR(facts.st_mode) else "no regular file"
            raise InputError(f"{shown(path)} is {what}")
        if facts.st_size > limit:
            raise _too_large(shown(path), limit)
        is_kept = step.streamed and facts.st_size > LARGE
        with Path(path).open("rb") as file:
            data = file.read(HEAD if is_kept else limit + 1)
    except FileNotFoundError:
        raise InputError(f"there is no file {shown(path)}; a URL begins with http:// or https://") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no path"
        raise InputError(f"{shown(path)} cannot be read: {reason}") from None
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
