"""What a record came to, as the beginning of its output line: OpenAI's result object, the answer or the error in it.

    {"id", "custom_id", "response": {"status_code", "request_id", "body"}, "error": null}
    {"id", "custom_id", "response": null or what the server said, "error": {"code", "message", "class"}}

An answer that is a value of a type has this in its body, as `parsed` beside the message's content; of one that is none,
the error has the `path` to what is wrong, the `text`, and the `tries` before it.

The body of a chat, an embedding or a posted request is the server's own JSON. Other results are theirs as JSON; images,
sounds and videos in them are written to files and named. The names are made here, never taken from a server, and never
one that is there. https://platform.openai.com/docs/api-reference/batch/request-output
"""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from ..client.post import Response
from ..errors import DecodeError, HeadwaterError, InvalidAnswerError, ProviderError
from ..media.images import UNKNOWN, encode_image, mime_type_of
from ..media.mime import suffix_of
from ..media.source import kind_of
from ..protocol.json_text import UNREADABLE, loads
from ..responses.message import parse
from ..tasks.output import Output
from ..tasks.parsed_types import with_values
from .file_lock import write_all, write_error
from .record import START
from .request_line import ParsedRequest
from .system_files import flags, sync, sync_folder

_CAPITAL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_CREATE: Final = flags("O_WRONLY", "O_CREAT", "O_EXCL", "O_NOFOLLOW")


class MediaFolder:
    """Where the media of a batch go; made when the first one comes."""

    def __init__(self, path: Path, output: Path) -> None:
        self._path = path
        self._output = output

    def add(self, data: bytes, kind: str, index: int) -> str:
        """Write a file of this record and MIME type, and have it on the disk; returns its path, from the output's
        folder.

        Raises `JournalError` where it cannot be written.
        """
        name = f"{index + 1:08d}-{secrets.token_hex(4)}{suffix_of(kind)}"
        file = self._path / name
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._write(file, data)
        except OSError as error:
            raise write_error(file, error) from error
        return os.path.relpath(file, self._output.parent)

    def _write(self, file: Path, data: bytes) -> None:
        descriptor = os.open(file, _CREATE, 0o600)
        try:
            write_all(descriptor, data)
            sync(descriptor)
        except OSError:
            file.unlink()
            raise
        finally:
            os.close(descriptor)
        sync_folder(file)


def is_small(request: ParsedRequest, result: Any) -> bool:
    """Whether it is made into JSON at once, without a file and without much work."""
    sent = _sent(request, result)
    return sent is not None and len(sent) < 1 << 16


def _sent(request: ParsedRequest, result: Any) -> bytes | None:
    """The server's own JSON, where that is what is wanted, and the result has it."""
    if isinstance(result, Response):
        return result.content
    body: bytes | None = vars(result).get("_body") if request.form == "openai" and isinstance(result, Output) else None
    return body


def result_body(request: ParsedRequest, result: Any, index: int, folder: MediaFolder) -> bytes:
    """The answer's JSON, in one line. It may write files."""
    sent = _sent(request, result)
    if request.is_typed:
        return msgspec.json.encode(with_values(result, None if sent is None else _read(sent)))
    if sent is not None:
        return _one_line(sent, replace=not isinstance(result, Response))
    media = _Media(folder, index)
    if request.form in ("images", "base64 images"):
        image = {"b64_json": encode_image(result)[0]} if request.form == "base64 images" else media.encode(result)
        return msgspec.json.encode({"created": int(time.time()), "data": [image]})
    return msgspec.json.encode(media.plain(result), enc_hook=media.encode)


def _one_line(sent: bytes, replace: bool) -> bytes:
    """The server's JSON; only what is indented or no strict JSON is written anew, NaN and the infinities as null.

    `replace`: bytes that are no Unicode are U+FFFD, of an answer that was read without them.
    """
    with suppress(*UNREADABLE):
        if b"\n" not in sent and b"\r" not in sent:
            msgspec.json.decode(sent, type=msgspec.Raw)
            sent.decode()
            return sent
    return msgspec.json.encode(_read(sent, replace=replace))


def _read(sent: bytes, *, replace: bool = True) -> Any:
    try:
        return loads(sent, replace=replace)
    except UNREADABLE:
        error = DecodeError("the answer is no JSON")
        error.body = sent[:512]
        raise error from None


class _Media:
    """Makes files of the images and sounds in a result."""

    def __init__(self, folder: MediaFolder, index: int) -> None:
        self._folder = folder
        self._index = index

    def plain(self, value: Any) -> Any:
        """A result that is media alone, as an object."""
        return self.encode(value) if isinstance(value, bytes) or kind_of(value) == "image" else value

    def encode(self, value: Any) -> Any:
        """What msgspec does not know, and bytes at the outside."""
        if kind_of(value) == "image":
            return self._kept(*encode_image(value))
        if isinstance(value, bytes):
            return self._kept(value, mime_type_of(value, default=getattr(value, "mime_type", None) or UNKNOWN))
        if callable(getattr(value, "tolist", None)):  # numpy's arrays and numbers
            return value.tolist()
        raise NotImplementedError(type(value).__name__)

    def _kept(self, data: bytes, kind: str) -> dict[str, Any]:
        return {"path": self._folder.add(data, kind, self._index), "mime_type": kind, "bytes": len(data)}


def success(custom_id: str, request_id: str | None, body: bytes, redact: Callable[[str], str]) -> bytes:
    """The line's beginning for an answer; its request's id is the server's."""
    response = b'{"status_code":200,"request_id":%b,"body":%b}' % (_json(request_id), body)
    return _members(custom_id, response, b"null", redact)


def failure(custom_id: str, error: Exception, redact: Callable[[str], str]) -> bytes:
    """The line's beginning for a record that failed."""
    response = b"null"
    if isinstance(error, ProviderError):
        said = _said(error)
        response = b'{"status_code":%d,"request_id":%b,"body":%b}' % (error.status or 0, _json(error.request_id), said)
    told: dict[str, Any] = {"code": _code(error), "message": _message(error), "class": type(error).__name__}
    if isinstance(error, InvalidAnswerError):
        told |= {"path": error.path, "text": error.text, "tries": error.tries}
    return _members(custom_id, response, _json(told), redact)


def _said(error: ProviderError) -> bytes:
    said = parse(error.text.encode(errors="replace"))
    return _json(said if isinstance(said, dict) else {"error": {"message": error.message, "code": error.code}})


def _code(error: Exception) -> str:
    """The server's own word, or the class's name as one: InferenceTimeoutError is inference_timeout."""
    if isinstance(error, ProviderError) and error.code:
        return error.code
    return _CAPITAL.sub("_", type(error).__name__.removesuffix("Error")).lower()


def _message(error: Exception) -> str:
    if isinstance(error, HeadwaterError):
        return error.message
    return f"a fault of the batch itself, with this record: {type(error).__name__}"


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value)


def _members(custom_id: str, response: bytes, error: bytes, redact: Callable[[str], str]) -> bytes:
    told = b'"response":%b,"error":%b' % (response, error)
    told = redact(told.decode()).encode()
    return b'%b%b","custom_id":%b,%b' % (START, secrets.token_hex(12).encode(), _json(custom_id), told)
