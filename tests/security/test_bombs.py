"""Small inputs that cost much: JSON, terminal sequences. Memory is measured; what was quadratic would take hours."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from headwater.cli.files import OutputFile
from headwater.cli.terminal import Cleaning, clean
from headwater.errors import DecodeError, HeadwaterError, InputError, ProviderError
from headwater.protocol.flow import Reply
from headwater.responses.decode import decode
from headwater.responses.refusal import in_band
from headwater.tasks.chat_types import ChatCompletionOutput

SIZE = 3_000_000
MANY = {
    "lists": b"[" + b"[]," * (SIZE // 3) + b"[]]",
    "names": b"{" + b",".join(b'"k%d":0' % i for i in range(SIZE // 12)) + b"}",
    "numbers": b"[" + b"0," * (SIZE // 2) + b"0]",
    "digits": b"1" * SIZE,
    "depth": b"[" * SIZE,
}


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


def test_the_error_in_a_large_answer_is_read_alone() -> None:
    large = b'{"x":[' + b"0," * 100_000 + b'0],"error":{"message":"the reason","code":"rate_limit_exceeded"}}'
    error = in_band(large)
    assert error is not None
    assert "the reason" in error.message
    assert error.code == "rate_limit_exceeded"
    error = in_band(b'{"error":{"message":"' + b"w" * 100_000 + b'"}}')
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
    assert (in_band(data) is not None) is is_error


@pytest.mark.parametrize("piece", ["\x9d", "\x90a", "\x1b]", "\x9b", "\x9b1", "\x1b ", "\x1b[1;", "\x1b\x9d"])
def test_a_flood_of_sequences_that_never_end(piece: str) -> None:
    flood = piece * 200_000
    cleaning = Cleaning()
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
