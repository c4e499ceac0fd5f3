"""Small inputs that cost much: JSON, terminal sequences. Memory is measured; what was quadratic would take hours."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from headwater.cli.files import OutputFile
from headwater.cli.terminal import ControlFilter, clean
from headwater.errors import DecodeError, HeadwaterError, InputError, ProviderError
from headwater.protocol.flow import Reply
from headwater.protocol.framing import Frame
from headwater.providers.openai_chat import decode_chunk
from headwater.responses.decode import decode
from headwater.responses.refusal import error_in_body
from headwater.tasks.chat_types import ChatCompletionOutput

SIZE = 3_000_000


def many(size: int) -> dict[str, bytes]:
    """JSON values of about this many bytes."""
    return {
        "lists": b"[" + b"[]," * (size // 3) + b"[]]",
        "names": b"{" + b",".join(b'"k%d":0' % i for i in range(size // 12)) + b"}",
        "numbers": b"[" + b"0," * (size // 2) + b"0]",
        "digits": b"1" * size,
        "depth": b"[" * size,
    }


MANY = many(SIZE)


def peak(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("value", MANY.values(), ids=MANY)
@pytest.mark.parametrize(
    "form", ["%b", '{"error":%b}', '{"x":%b,"error":null}', '{"choices":%b}', '{"x":%b,"error":"a"}']
)
def test_an_answer_of_many_values_is_not_built(form: str, value: bytes) -> None:
    body = form.encode() % value
    reply = Reply(status=200, headers={"content-type": "application/json"}, body=body, url="https://one.example/")

    def read() -> None:
        with pytest.raises(HeadwaterError) as found:
            decode(reply, ChatCompletionOutput)
        assert isinstance(found.value, DecodeError | ProviderError)

    assert peak(read) < 3 * len(body)


@pytest.mark.parametrize("value", ["lists", "names", "numbers"])
@pytest.mark.parametrize(
    "odd", ["null", '"model":7', '"y":NaN', '"y":-inf', r'"y":"\ud83d"', '"usage":[]', '"usage":%b']
)
@pytest.mark.parametrize("piece", ["message", "delta"])
def test_many_values_beside_an_odd_member_are_not_built(piece: str, odd: str, value: str) -> None:
    """What the type has no member for is passed over, however much of it there is, whole and in a stream's event."""
    if "ud83d" in odd and piece == "delta":
        return  # its fold is given all that was sent, so that the other half finds this one
    odd = odd if ":" in odd else '"model":null'
    form = '{"x":%b,"choices":[{"index":"0","PIECE":{"content":"a"},"logprobs":{"content":[{"logprob":NaN}]}}],'
    body = (form.replace("PIECE", piece) + odd + "}").replace("%b", many(SIZE // 10)[value].decode()).encode()
    reply = Reply(status=200, headers={"content-type": "application/json"}, body=body, url="https://one.example/")
    found: list[Any] = []

    def read() -> None:
        if piece == "message":
            found.append(decode(reply, ChatCompletionOutput))
        else:
            found.append(decode_chunk(Frame(event="", data=body)))

    most = 5 if r"\u" in odd else 4  # of which one more is the text with U+FFFD, and one that with the numbers
    assert peak(read) < most * len(body)
    choice = found[0].choices[0]
    assert (choice.index, getattr(choice, piece).content) == (0, "a")
    assert math.isnan(choice.logprobs.content[0].logprob)
    assert not found[0].usage or found[0].usage.total_tokens is None


def test_the_error_in_a_large_answer_is_read_alone() -> None:
    large = b'{"x":[' + b"0," * 100_000 + b'0],"error":{"message":"the reason","code":"rate_limit_exceeded"}}'
    error = error_in_body(large)
    assert error is not None
    assert "the reason" in error.message
    assert error.code == "rate_limit_exceeded"
    error = error_in_body(b'{"error":{"message":"' + b"w" * 100_000 + b'"}}')
    assert error is not None
    assert len(error.text) == 65_536


@pytest.mark.parametrize(
    ("data", "is_error"),
    [
        (b'{"error":null}', False),
        (b'{"error":""}', False),
        (b'{"error":{}}', False),
        (b'{"error":[]}', False),
        (b'{"error":false}', False),
        (b'{"error":0}', False),
        (b'{"error":"x"}', True),
        (b'{"error":{"message":"x"}}', True),
        (b'{"error":true}', True),
        (b'{"object":"error","message":"x"}', True),
        (b'{"type":"error"}', True),
        (b'{"object":"list","data":[]}', False),
        (b'{"type":7}', False),
        (b'["error"]', False),
        (b'"error"', False),
        (b'{"error":', False),
    ],
)
def test_what_an_error_inside_an_answer_is(data: bytes, is_error: bool) -> None:
    assert (error_in_body(data) is not None) is is_error


@pytest.mark.parametrize("piece", ["\x9d", "\x90a", "\x1b]", "\x9b", "\x9b1", "\x1b ", "\x1b[1;", "\x1b\x9d"])
def test_a_flood_of_sequences_that_never_end(piece: str) -> None:
    flood = piece * 200_000
    cleaning = ControlFilter()
    for shown in (clean(flood), cleaning.add(flood) + cleaning.end()):
        assert not {"\x1b", "\x9d", "\x90", "\x9b"} & set(shown)


@pytest.mark.parametrize(
    "mark", "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\x7f\x85\x08\r"
)
def test_what_turns_letters_around_is_taken_out(mark: str) -> None:
    assert clean(f"a{mark}b") == "ab"


def test_a_link_is_not_written_through(tmp_path: Any) -> None:
    target = tmp_path / "target"
    target.write_text("kept")
    link = tmp_path / "link"
    link.symlink_to(target)
    for force in (False, True):
        with pytest.raises(InputError, match=r"link|there already"):
            OutputFile(str(link), force=force)
    assert target.read_text() == "kept"
    with OutputFile(str(target), force=True) as file:
        file.write(b"new")
    assert target.read_text() == "new"
    with OutputFile("/dev/null", force=True) as file:
        file.write(b"x")
