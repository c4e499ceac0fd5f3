"""Text generation: its parameters, its types, and the fold of its stream."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import DecodeError, InvalidParameterError, MalformedEventError, ProviderError
from headwater.protocol.flow import Reply
from headwater.protocol.framing import Frame
from headwater.providers.tgi import decode_event
from headwater.responses.decode import decode
from headwater.tasks.text import (
    TextFold,
    TextGenerationInputGrammarType,
    TextGenerationOutput,
    TextGenerationStreamOutput,
    text_generation,
)


def event(text: str, special: bool = False, **fields: Any) -> TextGenerationStreamOutput:
    token = {"id": 1, "text": text, "logprob": -0.5, "special": special}
    return msgspec.convert({"token": token, **fields}, TextGenerationStreamOutput)


def test_a_stream_folds_to_the_plain_answer() -> None:
    fold = TextFold()
    for each in (
        event("Deep", index=1, generated_text=None, details=None),
        event(" learning", index=2),
        event(
            "</s>",
            special=True,
            index=3,
            generated_text="Deep learning",
            details={
                "finish_reason": "eos_token",
                "generated_tokens": 3,
                "input_length": 1,
                "seed": 18435558523380366744,
            },
        ),
    ):
        assert not fold.complete()
        fold.add(each)
    assert fold.complete()
    tokens = [
        {"id": 1, "text": text, "logprob": -0.5, "special": text == "</s>"} for text in ("Deep", " learning", "</s>")
    ]
    details = {
        "finish_reason": "eos_token",
        "generated_tokens": 3,
        "seed": 18435558523380366744,
        "prefill": [],
        "tokens": tokens,
    }
    plain = msgspec.convert({"generated_text": "Deep learning", "details": details}, TextGenerationOutput)
    assert fold.result() == fold.result() == plain


@given(st.lists(st.tuples(st.text(max_size=4), st.booleans())))
def test_tokens_make_the_text_where_no_whole_one_came(tokens: list[tuple[str, bool]]) -> None:
    fold = TextFold(details=False)
    for text, special in tokens:
        fold.add(event(text, special))
    assert not fold.complete()
    assert fold.result() == "".join(text for text, special in tokens if not special)


def test_complete_by_either_sign() -> None:
    for fields in ({"generated_text": ""}, {"details": {"finish_reason": "length"}}):
        fold = TextFold()
        fold.add(event(" ", **fields))
        assert fold.complete()
    fold = TextFold()
    fold.add(event(" ", details={"seed": 1}))
    assert not fold.complete()


def test_top_tokens_are_gathered() -> None:
    fold = TextFold()
    fold.add(event("a", top_tokens=[{"id": 1, "text": "a"}, {"id": 2, "text": "b"}]))
    result = fold.result()
    assert isinstance(result, TextGenerationOutput)
    assert result.details is not None
    assert result.details.top_tokens is not None
    assert [token.text for token in result.details.top_tokens[0]] == ["a", "b"]


@pytest.mark.parametrize(
    "details",
    [
        None,
        {},
        {"prefill": None, "tokens": None, "seed": None},
        {"prefill": [{"id": 0, "text": "", "logprob": None}]},
    ],
)
def test_details_may_lack_parts(details: Any) -> None:
    read = msgspec.convert({"generated_text": "", "details": details, "warnings": []}, TextGenerationOutput)
    if details is None:
        assert read.details is None
    else:
        assert read.details is not None
        assert read.details.tokens == []


@pytest.mark.parametrize("body", [b'{"error":"x","error_type":"generation"}', b'{"token":null}', b"[1]"])
def test_an_error_is_no_event(body: bytes) -> None:
    with pytest.raises((ProviderError, MalformedEventError)):
        decode_event(Frame(body))
    with pytest.raises((ProviderError, DecodeError)):
        decode(Reply(status=200, headers={}, body=body), TextGenerationOutput)


@pytest.mark.parametrize(
    ("args", "kwargs", "said"),
    [
        ((), {}, "'prompt' is required"),
        ((3,), {}, "prompt: "),
        (("Hi",), {"max_tokens": 1}, "no parameter 'max_tokens'; did you mean"),
        (("Hi",), {"top_p": "most"}, "top_p: "),
        (("Hi",), {"stop": "END"}, "stop: "),
        (
            ("Hi",),
            {"grammar": "[a-z]+"},
            "grammar must be a dict like {'type': 'json', 'value': {...}}, or a type, not str",
        ),
    ],
)
def test_what_is_said(args: tuple[Any, ...], kwargs: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidParameterError) as raised:
        text_generation.bind(args, kwargs)
    assert said in raised.value.message


def test_what_was_given_comes_back() -> None:
    given_ = {
        "prompt": "Hi",
        "details": True,
        "grammar": TextGenerationInputGrammarType("regex", "a+"),
        "top_k": 3,
    }
    assert text_generation.bind((), given_) == given_
    assert len(text_generation.parameters.__struct_fields__) == 26
