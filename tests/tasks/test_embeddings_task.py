"""Vectors come out the same from every dialect, with numpy and without, and bad ones are refused."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import DecodeError, InvalidParameterError
from headwater.protocol.flow import Reply
from headwater.responses.decode import decode
from headwater.tasks import embeddings
from headwater.tasks.embeddings import CreateEmbeddingResponse, decode_vectors, feature_extraction


@pytest.fixture(params=["numpy", "lists"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "lists":
        monkeypatch.setattr(embeddings, "installed_numpy", lambda: None)
    return str(request.param)


def coded(*floats: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(floats)}f", *floats)).decode()


def data(*vectors: Any, indices: list[int] | None = None) -> bytes:
    rows = [{"object": "embedding", "embedding": vector} for vector in vectors]
    for row, index in zip(rows, indices or (), strict=False):
        row["index"] = index
    return json.dumps({"object": "list", "data": rows, "model": "m"}).encode()


@pytest.mark.parametrize(
    ("body", "vectors"),
    [
        (b"[1, 2.5]", [1.0, 2.5]),
        (b" [\n[1, 2.5], [3, 4]]", [[1.0, 2.5], [3.0, 4.0]]),
        (b"[[[1],[2]],[[3],[4]]]", [[[1.0], [2.0]], [[3.0], [4.0]]]),
        (b"[[[[1],[2]]],[[[3],[4]]]]", [[[[1.0], [2.0]]], [[[3.0], [4.0]]]]),
        (data([1, 2.5], [3, 4]), [[1.0, 2.5], [3.0, 4.0]]),
        (data(coded(1, 2.5), coded(3, 4)), [[1.0, 2.5], [3.0, 4.0]]),
        (data([3], [1], [2], indices=[2, 0, 1]), [[1.0], [2.0], [3.0]]),
        (data(coded(3), coded(1), indices=[1, 0]), [[1.0], [3.0]]),
        (data([3], [1], indices=[0, 0]), [[3.0], [1.0]]),
        (data([1]), [[1.0]]),
        (data([[1, 2.5]], [[3, 4]]), [[1.0, 2.5], [3.0, 4.0]]),
        (b'{"embeddings": [[1, 2.5], [3, 4]], "model": "m"}', [[1.0, 2.5], [3.0, 4.0]]),
        (b"[]", []),
    ],
)
def test_every_dialect(body: bytes, vectors: list[Any], library: str) -> None:
    found = decode_vectors(body)
    if library == "lists":
        assert found == vectors
    else:
        assert (found.dtype, found.tolist()) == (numpy.float32, vectors)
        assert found.flags.writeable


@pytest.mark.parametrize(
    ("body", "vectors"),
    [
        (b"[[[1], [2]], [[3]]]", [[[1.0], [2.0]], [[3.0]]]),
        (b"[[[[1, 2], [3, 4]]], [[[5, 6]]]]", [[[[1.0, 2.0], [3.0, 4.0]]], [[[5.0, 6.0]]]]),
    ],
)
def test_texts_of_different_numbers_of_tokens(body: bytes, vectors: list[Any], library: str) -> None:
    found = decode_vectors(body)
    assert isinstance(found, list)
    assert [text if library == "lists" else text.tolist() for text in found] == vectors


@given(
    st.lists(
        st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=3, max_size=3),
        min_size=1,
    )
)
def test_both_encodings_give_the_same(vectors: list[list[float]]) -> None:
    by_text = decode_vectors(data(*vectors))
    by_bytes = decode_vectors(data(*[coded(*vector) for vector in vectors]))
    assert numpy.array_equal(by_text, by_bytes)
    assert by_bytes.tolist() == vectors


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", ""),
        (b"[[1, 2", ""),
        (b"<html>", ""),
        (b"\xff", ""),
        (b'{"error": "no"}', "data"),
        (b'["one"]', ""),
        (b"[[1, null]]", ""),
        (b"[[1, 2], [3]]", "vectors of different sizes"),
        (b"[[[1], [2, 3]]]", "vectors of different sizes"),
        (b"[[[1], [2]], [[3, 4]], [[5], [6, 7]]]", "vectors of different sizes"),
        (b"[[[[[1]]]]]", "5 lists in each other"),
        (b"[" * 100_000, "100000 lists in each other"),
        (data([1], [1, 2]), "vectors of different sizes"),
        (data(coded(1), coded(1, 2)), "vectors of different sizes"),
        (data(coded(1), [1]), "some vectors are base64 and some are not"),
        (data([[1], [2]]), "a list of vectors in place of one"),
        (data([1, [2]]), "a list of vectors in place of one"),
        (b"{}", "neither"),
        (data("AAAA"), "3 bytes are no whole number of float32"),
        (data("AAA"), "2 bytes are no whole number of float32"),
        (data("AACA!w=="), "not base64"),
        (data("AACA Pw="), "not base64"),
    ],
)
def test_what_is_refused(body: bytes, said: str, library: str) -> None:
    with pytest.raises(DecodeError) as raised:
        decode_vectors(body)
    assert said in raised.value.message
    assert raised.value.body == body[:512]


def test_a_refusal_says_where() -> None:
    with pytest.raises(DecodeError) as raised:
        decode_vectors(b"[[1, 2], [3, null]]")
    assert raised.value.path == "$[1][1]"


@pytest.mark.parametrize("embedding", [[1.0, 2.0], coded(1, 2)])
def test_the_response_in_openais_shape(embedding: Any) -> None:
    body = data(embedding, indices=[0])
    response = decode(Reply(status=200, headers={}, body=body), CreateEmbeddingResponse)
    assert (response.data[0].embedding, response.data[0].index, response.model) == (embedding, 0, "m")
    assert response.usage is None


@pytest.mark.parametrize(
    ("args", "kwargs", "said"),
    [
        ((), {}, "'text' is required"),
        ((3,), {}, "text: expected `str | array`, got `int`"),
        (([],), {}, "text: expected `array` of length >= 1"),
        ((["a", 1],), {}, "expected `str`, got `int`"),
        (("a",), {"encoding_format": "hex"}, "encoding_format: invalid enum value 'hex'"),
        (("a",), {"truncation_direction": "Left"}, "truncation_direction: invalid enum value 'Left'"),
        (("a",), {"dimension": 3}, "did you mean 'dimensions'?"),
    ],
)
def test_what_is_said(args: tuple[Any, ...], kwargs: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidParameterError) as raised:
        feature_extraction.bind(args, kwargs)
    assert said in raised.value.message


def test_the_declaration_needs_no_numpy() -> None:
    assert "dimensions" in feature_extraction.parameters.__struct_fields__
    assert feature_extraction.bind(("a",), {"dimensions": 3}) == {"text": "a", "dimensions": 3}
