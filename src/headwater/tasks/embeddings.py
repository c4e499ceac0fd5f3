"""The embeddings task: its declaration, and how each server's vectors become one array.

The dialects: text-embeddings-inference and hf-inference answer with nested lists of numbers, and nearly all
others with OpenAI's `data`, whose vectors are lists or base64 of little-endian float32. Ragged vectors are
refused. numpy is used where it is installed, and imported when the first vectors come.
"""

from __future__ import annotations

import re
import sys
from array import array
from collections.abc import Sequence
from functools import cache
from struct import Struct
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, TypeAlias, Unpack, cast

import msgspec
from msgspec import Meta

from ..errors import DecodeError
from ..media.mime import from_text
from ..protocol.json_text import UNREADABLE
from ..responses.json_decoder import decode_json
from .declaration import CallOptions, Declare
from .lenient_types import Needed, Nullable
from .output import Output

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Vectors: TypeAlias = NDArray[numpy.float32]


if TYPE_CHECKING:
    Vector: TypeAlias = Annotated[list[float] | str, "or a list of one"]
else:
    Vector = Needed[list[float | list[float]] | str]


class EmbeddingOutput(Output):
    """One vector: numbers, or base64 of little-endian float32 where that was asked for."""

    embedding: Vector
    index: Nullable[int] = 0
    object: Nullable[str] = "embedding"

    def __post_init__(self) -> None:
        if len(self.embedding) == 1 and isinstance(only := self.embedding[0], list):
            self.embedding = only
        self.index = self.index or 0
        self.object = self.object or "embedding"


class EmbeddingUsage(Output):
    """What the call cost, in tokens; None where the server did not say."""

    prompt_tokens: int | None = None
    total_tokens: int | None = None


class CreateEmbeddingResponse(Output):
    """An answer in OpenAI's shape, https://platform.openai.com/docs/api-reference/embeddings/create."""

    data: list[EmbeddingOutput]
    model: Nullable[str] = ""
    object: Nullable[str] = "list"
    usage: EmbeddingUsage | None = None

    def __post_init__(self) -> None:
        self.model = self.model or ""
        self.object = self.object or "list"


class _Row(msgspec.Struct, gc=False):
    embedding: Needed[list[float] | bytes]  # msgspec reads a text as base64, strictly
    index: int | None = None


class _Data(msgspec.Struct):
    data: list[_Row]


class _LooseRow(msgspec.Struct, gc=False):
    """A row with base64 in any of its forms, or a list of one vector as llama.cpp's server sends it."""

    embedding: Needed[list[float | list[float]] | str]
    index: int | None = None

    def vector(self) -> list[float] | bytes:
        if isinstance(self.embedding, str):
            return from_text(self.embedding)
        only = self.embedding[0] if len(self.embedding) == 1 else None
        if not isinstance(only, list) and any(isinstance(number, list) for number in self.embedding):
            raise DecodeError("a list of vectors in place of one")
        return only if isinstance(only, list) else cast("list[float]", self.embedding)


class _ByKind(msgspec.Struct):
    """Vectors by their numbers' type, as Cohere has them: https://docs.cohere.com/reference/embed"""

    floats: list[list[float]] = msgspec.field(name="float")


class _LooseData(msgspec.Struct):
    """`embeddings` is what Ollama and Cohere call a list of vectors (https://docs.ollama.com/api/embed), and DashScope
    a list of rows; `embedding` a vector alone, as llama.cpp's server has it
    (https://github.com/langroid/langroid/pull/922)."""

    data: list[_LooseRow | list[float]] | None = None
    embeddings: list[_LooseRow | list[float]] | _ByKind | None = None
    embedding: list[float | list[float]] | str | None = None


_DATA = msgspec.json.Decoder(_Data)
_NESTED: dict[int, Any] = {
    1: Needed[list[float]],
    2: Needed[list[list[float]]],
    3: Needed[list[list[list[float]]]],
    4: Needed[list[list[list[list[float]]]]],
}
_OPENING = re.compile(rb"(?:\xef\xbb\xbf)?[\s\[]*")


def numbers_in(text: str) -> list[float]:
    """The vector that is base64 of little-endian float32. Raises `DecodeError`."""
    data = from_text(text)
    if len(data) % 4:
        _refuse(f"{len(data)} bytes are no whole number of float32", text[:512].encode(errors="replace"))
    return _floats(data)


def decode_rows(body: bytes) -> list[EmbeddingOutput]:
    """The vectors of an answer that has not OpenAI's shape, as rows. Raises `DecodeError`."""
    opening = _OPENING.match(body)
    depth = opening[0].count(b"[") if opening else 0
    try:
        if depth == 1:
            rows = _listed(body)
        else:
            rows = _vectors_of(decode_json(body, list[list[float]]), body) if depth else _rows(body)
    except UNREADABLE as error:
        _refuse(str(error), body)
    vectors = [_floats(row.embedding) if isinstance(row.embedding, bytes) else row.embedding for row in rows]
    return [EmbeddingOutput(embedding=vector, index=place) for place, vector in enumerate(vectors)]


def decode_vectors(body: bytes) -> Any:
    """The vectors of an answer, as a float32 array, or as nested lists where numpy is not installed.

    Nested lists keep their shape: (size,), (texts, size), (texts, tokens, size), or (texts, 1, tokens, size), which
    transformers' pipeline is recorded to send for several texts. Texts of different numbers of tokens make no array
    together, and become a list of one array each. OpenAI's shape gives (texts, size), ordered by `index` where the
    server numbers them without gaps, or else as they were sent.

    Raises `DecodeError`: not one of these shapes, vectors of different sizes, bad base64.
    """
    opening = _OPENING.match(body)
    depth = opening[0].count(b"[") if opening else 0
    if depth == 1 and body[len(opening[0]) if opening else 0 :].startswith(b"{"):
        return _from_rows(_listed(body), body)
    if depth and depth not in _NESTED:
        _refuse(f"{depth} lists in each other", body)
    try:
        found: Any = _rows(body) if depth == 0 else decode_json(body, _NESTED[depth])
    except UnicodeDecodeError:
        _refuse("not UTF-8", body)
    except UNREADABLE as error:
        _refuse(str(error), body)
    if depth == 0:
        return _from_rows(found, body)
    is_by_text = depth > 2 and not _is_regular(found)
    return [_from_lists(text, body) for text in found] if is_by_text else _from_lists(found, body)


def _rows(body: bytes) -> list[_Row]:
    try:
        return _DATA.decode(body).data
    except UNREADABLE:
        loose = decode_json(body, _LooseData)
    found = loose.data if loose.data is not None else loose.embeddings
    if found is None and loose.embedding is not None:
        found = [_LooseRow(embedding=loose.embedding)]
    if found is None:
        _refuse("neither `data` nor `embeddings` is there", body)
    return _vectors_of(found.floats if isinstance(found, _ByKind) else found, body)


def _vectors_of(rows: Sequence[_LooseRow | list[float]], body: bytes) -> list[_Row]:
    loose = [_LooseRow(embedding=[*row]) if isinstance(row, list) else row for row in rows]
    try:
        return [_Row(embedding=row.vector(), index=row.index) for row in loose]
    except DecodeError as error:
        return _refuse(error.message, body)


def _listed(body: bytes) -> list[_Row]:
    """The vectors of a list of objects, as llama.cpp's server sends them."""
    try:
        return _vectors_of(decode_json(body, list[_LooseRow]), body)
    except UNREADABLE as error:
        _refuse(str(error), body)


def _refuse(reason: str, body: bytes) -> NoReturn:
    reason, _, path = reason.partition(" - at `")
    error = DecodeError(f"the answer is not a list of vectors: {reason}")
    error.body = body[:512]
    error.path = path.rstrip("`") or None
    raise error


def _from_rows(rows: list[_Row], body: bytes) -> Any:
    if sorted([row.index for row in rows if row.index is not None]) == list(range(len(rows))):
        rows.sort(key=lambda row: row.index or 0)
    lists = [row.embedding for row in rows if isinstance(row.embedding, list)]
    if len(lists) == len(rows):
        return _from_lists(lists, body)
    if lists:
        _refuse("some vectors are base64 and some are not", body)
    return _from_buffers([row.embedding for row in rows if isinstance(row.embedding, bytes)], body)


def _from_lists(lists: list[Any], body: bytes) -> Any:
    if not _is_regular(lists):
        _refuse("vectors of different sizes", body)
    numpy = installed_numpy()
    if numpy is None:
        return lists
    if lists and isinstance(lists[0], list) and lists[0] and isinstance(lists[0][0], float):
        pack = Struct(f"{len(lists[0])}f").pack
        try:  # three times as fast as numpy's own way from lists
            packed = bytearray().join([pack(*row) for row in lists])
        except OverflowError:  # numbers beyond float32
            return numpy.asarray(lists, numpy.float32)
        return numpy.frombuffer(packed, numpy.float32).reshape(len(lists), -1)
    return numpy.asarray(lists, numpy.float32)


def _is_regular(lists: list[Any]) -> bool:
    if not lists or not isinstance(lists[0], list):
        return True
    if len(set(map(len, lists))) > 1:
        return False
    return not isinstance(next(iter(lists[0]), None), list) or _is_regular(
        [vector for vectors in lists for vector in vectors]
    )


def _from_buffers(buffers: list[bytes], body: bytes) -> Any:
    sizes = set(map(len, buffers))
    if len(sizes) > 1:
        _refuse("vectors of different sizes", body)
    size = sizes.pop()
    if size % 4:
        _refuse(f"{size} bytes are no whole number of float32", body)
    numpy = installed_numpy()
    if numpy is None:
        return [_floats(buffer) for buffer in buffers]
    joined = bytearray().join(buffers)  # not bytes, so that the array can be written to
    return numpy.frombuffer(joined, "<f4").reshape(len(buffers), size // 4).astype("f4", copy=False)


def _floats(buffer: bytes) -> list[float]:
    floats = array("f", buffer)
    if sys.byteorder == "big":
        floats.byteswap()
    return floats.tolist()


@cache
def installed_numpy() -> Any:
    try:
        import numpy
    except ImportError:
        return None
    return numpy


@Declare["Vectors"]("feature-extraction", None, lambda vectors: [vectors])
def feature_extraction(
    text: str | Annotated[list[str], Meta(min_length=1)],
    *,
    normalize: bool | None = None,
    prompt_name: str | None = None,
    truncate: bool | None = None,
    truncation_direction: Literal["left", "right"] | None = None,
    dimensions: int | None = None,
    encoding_format: Literal["float", "base64"] | None = None,
    model: str | None = None,
    **options: Unpack[CallOptions],
) -> Vectors:
    """Turn texts into vectors.

    What is not set is not sent, so that the server's own defaults hold. Servers of OpenAI's dialect know
    `dimensions` and `encoding_format`, text-embeddings-inference knows the others.

    Args:
        text: A text, or a list of them.
        normalize: Whether to scale every vector to length 1; text-embeddings-inference does by default.
        prompt_name: Which of the model's prompts to put before each text, such as "query".
        truncate: Whether to cut texts that are too long, and not to refuse them.
        truncation_direction: Which end to cut: "left" or "right".
        dimensions: How many numbers a vector is to have, where the model can make it shorter; some servers
            ignore it.
        encoding_format: How the server sends vectors: "float" or "base64", which is several times faster to
            read. The result is the same.
        model: Whom to ask; the client's model where it is not given.
        extra_body: More fields for the request's root, over those above.

    Returns:
        A numpy array of float32 (nested lists of floats where numpy is not installed): (texts, size) from
        servers of OpenAI's dialect; from others in the shape that they send, also (size,),
        (texts, tokens, size) and (texts, 1, tokens, size). A model without pooling that was given texts of different
        numbers of tokens makes a list of such arrays, one for each text.

    Raises:
        DecodeError: The server's answer is not a list of vectors of one size.
    """
    raise NotImplementedError


@Declare[EmbeddingOutput]("embeddings", None, lambda made: made.data)
def create_embedding(
    input: str | Annotated[list[Any], Meta(min_length=1)],  # noqa: A002 - OpenAI's name
    *,
    model: str | None = None,
    dimensions: int | None = None,
    encoding_format: Literal["float", "base64"] | None = None,
    user: str | None = None,
    **options: Unpack[CallOptions],
) -> CreateEmbeddingResponse:
    """Turn texts into vectors, in OpenAI's words.

    `feature_extraction` does the same, and gives an array.
    The meanings are OpenAI's: https://platform.openai.com/docs/api-reference/embeddings/create

    Args:
        input: A text, a list of texts, or token ids as lists of integers.
        model: Whom to ask; the client's model where it is not given.
        dimensions: How many numbers a vector is to have, where the model can make it shorter.
        encoding_format: "float" (the default) or "base64"; the vectors come as the server sends them.
        user: Your own name for whoever asks, against abuse.
        extra_body: More fields for the request's root, over those above.

    Returns:
        The vectors as `data[i].embedding`, with `usage`.

    Raises:
        DecodeError: The server's answer is not a list of vectors.
    """
    raise NotImplementedError
