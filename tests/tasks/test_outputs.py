"""Results in the hands of Python programs: JSON, dicts, copies, pickle, and models of pydantic's."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import pickle
import pprint
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy
import pytest
from PIL import Image

import headwater
from headwater import ChatCompletionOutput, Output, SpeechOutput, json_default
from headwater.client.openai_types import ImagesResponse
from headwater.media.media import Media
from headwater.protocol.flow import Reply
from headwater.responses.decode import decode
from headwater.tasks.chat_types import kept
from headwater.tasks.moderation import ModerationOutput

PUBLIC = [getattr(headwater, name) for name in headwater.__all__]
KINDS = [kind for kind in PUBLIC if isinstance(kind, type) and issubclass(kind, Output)]
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt "
ANSWER = b"""{"id": "x", "citations": ["u"], "choices": [{"index": 0, "finish_reason": "stop",
    "message": {"role": "assistant", "content": null, "mood": {"a": [1e400, null]}},
    "logprobs": {"content": [{"token": "a", "logprob": NaN}]}}]}"""


def answer(body: bytes = ANSWER) -> ChatCompletionOutput:
    reply = Reply(status=200, headers={"content-type": "application/json"}, body=body, url="https://one.example/")
    return kept(decode(reply, ChatCompletionOutput))


def made(kind: type[Output]) -> Any:
    """A result of this type, with values for what must be there, and for every medium."""
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    values: dict[str, Any] = {
        name: [] if "list" in str(field.type) else "x" for name, field in fields.items() if field.required
    }
    values |= {name: Image.new("L", (2, 1)) for name in ("mask", "depth") if name in fields}
    values |= {"blob": Media(b"RIFF0000WAVE")} if "blob" in fields else {}
    values |= {"score": math.nan} if "score" in fields else {}
    if kind is headwater.FillMaskOutputElement:
        values["token_str"] = "w"
    if kind is headwater.TokenClassificationOutputElement:
        values["word"] = "w"
    if kind is headwater.TextGenerationStreamOutput:
        values["token"] = headwater.TextGenerationOutputToken(text="t")
    return kind(**values)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_output_is_plain_data_when_asked(kind: type[Output]) -> None:
    out = made(kind)
    plain = out.to_dict()
    assert repr(json.loads(json.dumps(plain))) == repr(plain)
    assert json.dumps(out, default=json_default) == json.dumps(plain)
    assert json.loads(out.to_json()) == json.loads(out.to_json(indent=2)) == out.model_dump(mode="json")
    assert json.loads(out.model_dump_json()) == out.model_dump(mode="json")
    json.dumps(out.model_dump(mode="json"), allow_nan=False)
    assert [name.replace("_", "-") for name in dict(out)] == [name.replace("_", "-") for name in plain]
    assert None not in out.model_dump(exclude_none=True).values()
    alone = headwater.EndpointInfo if issubclass(kind, headwater.EndpointInfo) else kind  # without its client
    for other in (copy.copy(out), copy.deepcopy(out), pickle.loads(pickle.dumps(out))):
        assert type(other) in {kind, alone}
        assert repr(other.to_dict()) == repr(plain)


def test_what_is_left_out_and_what_is_not() -> None:
    out = answer()
    message = out.choices[0].message
    assert message.model_dump(exclude_none=True) == {
        "role": "assistant",
        "mood": {"a": [math.inf, None]},
    }
    assert message.model_dump(exclude_unset=True) == {
        "role": "assistant",
        "content": None,
        "mood": {"a": [math.inf, None]},
    }
    assert message.model_dump(exclude_defaults=True) == {"mood": {"a": [math.inf, None]}}
    assert message.model_dump(mode="json", include={"mood"}, by_alias=True) == {"mood": {"a": [None, None]}}
    assert "citations" not in out.model_dump(exclude={"citations": True})
    assert math.isnan(out.to_dict()["choices"][0]["logprobs"]["content"][0]["logprob"])
    assert json.loads(out.model_dump_json(exclude_none=True))["choices"][0]["logprobs"] == {
        "content": [{"token": "a", "logprob": None}]
    }
    assert out == answer()
    assert pickle.loads(pickle.dumps(out)).raw["citations"] == ["u"]


def test_bytes_that_are_no_unicode_beside_what_was_read() -> None:
    out = answer(ANSWER.replace(b'"citations"', b'"cita\xfftions"').replace(b'"mood"', b'"m\x80d": "\xe9", "mood"'))
    assert out.raw["cita\ufffdtions"] == ["u"]
    assert dict(out.choices[0].message.items())["m\ufffdd"] == "\ufffd"
    assert out.to_dict()["choices"][0]["message"]["m\ufffdd"] == "\ufffd"
    assert json.loads(out.model_dump_json())["cita\ufffdtions"] == ["u"]


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (Media(b"abc"), '"YWJj"'),
        (SpeechOutput(b"abc", "audio/wav"), '"YWJj"'),
        (numpy.zeros((1, 2), numpy.float32), "[[0.0, 0.0]]"),
        ([numpy.float32(1)], "[1.0]"),
        ([headwater.TranslationOutput(translation_text="a")], '[{"translation_text": "a"}]'),
        (headwater.Queued(position=1), None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_result_of_any_kind_has_a_road_to_json(result: Any, text: str | None) -> None:
    found = json.dumps(result, default=json_default)
    assert text is None or found == text
    with pytest.raises(TypeError, match="object"):
        json.dumps(object(), default=json_default)


def test_images_of_openais_spelling_are_plain_data_as_well() -> None:
    images = ImagesResponse([Image.new("L", (1, 1))])
    plain = images.to_dict()
    assert json.loads(images.to_json()) == json.loads(images.model_dump_json()) == plain == images.model_dump()
    assert json.loads(json.dumps(images, default=json_default)) == plain
    assert set(images.model_dump(exclude_none=True)["data"][0]) == {"b64_json"}
    image = images.data[0]
    assert json.loads(image.to_json()) == image.model_dump() == image.to_dict() == plain["data"][0]
    assert set(json.loads(image.model_dump_json(exclude_none=True))) == {"b64_json"}


def test_what_is_no_output_is_a_type_for_pydantic_as_well() -> None:
    pydantic = pytest.importorskip("pydantic")
    sounds = pydantic.create_model("Sounds", sound=(Media, ...), speech=(SpeechOutput | None, None))
    whole = sounds(sound=Media(WAV), speech=SpeechOutput(WAV))
    again = sounds.model_validate_json(whole.model_dump_json())
    assert (type(again.speech), again.sound, again.sound.mime_type) == (SpeechOutput, WAV, "audio/wav")
    assert whole.model_dump()["sound"] == WAV and sounds(sound=WAV).sound.mime_type == "audio/wav"
    images = ImagesResponse([Image.new("L", (1, 1))])
    adapter = pydantic.TypeAdapter(ImagesResponse)
    assert adapter.validate_python(images) is images and json.loads(adapter.dump_json(images)) == images.to_dict()
    assert "Media" not in json.dumps(sounds.model_json_schema()) and adapter.json_schema()["type"] == "object"
    for wrong in ({"sound": "no base64"}, {"sound": 7}):
        with pytest.raises(pydantic.ValidationError):
            sounds(**wrong)


def test_categories_say_what_they_are_in_other_clients_words() -> None:
    moderated = msgspec.json.decode(
        b'{"categories": {"hate/threatening": true, "self-harm": false}}', type=ModerationOutput
    )
    said = {"hate/threatening": True, "self-harm": False}
    assert moderated.categories.model_dump() == moderated.categories.to_dict() == said
    assert type(moderated.categories.model_dump()) is dict and moderated.categories.self_harm is False


def test_an_output_is_a_type_for_pydantic() -> None:
    pydantic = pytest.importorskip("pydantic")
    model = pydantic.create_model("Model", answer=(ChatCompletionOutput, ...), rest=(list[ChatCompletionOutput], []))
    whole = model(answer=answer())
    assert whole.answer == answer()
    again = model.model_validate_json(whole.model_dump_json())
    assert again.answer.to_dict()["citations"] == ["u"]
    assert again.model_dump(mode="json") == whole.model_dump(mode="json")
    assert "audio" not in whole.model_dump(exclude_none=True)["answer"]["choices"][0]["message"]
    for wrong in ({"choices": 7}, 7, {}):
        with pytest.raises(pydantic.ValidationError):
            model(answer=wrong)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_output_has_a_schema(kind: type[Output]) -> None:
    pydantic = pytest.importorskip("pydantic")
    adapter = pydantic.TypeAdapter(list[kind])  # type: ignore[valid-type]
    for mode in ("validation", "serialization"):
        schema = json.dumps(adapter.json_schema(mode=mode))
        assert kind.__name__ in schema, mode
        assert [name for name in kind.__struct_encode_fields__ if f'"{name}"' not in schema] == [], mode


# -- as what other clients' results are: dataclasses, mappings, pydantic's models


@pytest.mark.parametrize("kind", KINDS)
def test_every_output_is_a_dataclass_and_a_mapping_to_those_who_ask(kind: type[Output]) -> None:
    result = made(kind)
    assert dataclasses.is_dataclass(kind) and dataclasses.is_dataclass(result) and isinstance(result, Mapping)
    assert [field.name for field in dataclasses.fields(kind)] == list(kind.__struct_fields__)
    assert [field.name for field in dataclasses.fields(result)] == list(result.keys()) == list(dict(result))
    assert dataclasses.asdict(result).keys() == dict(result).keys()
    assert repr(dataclasses.replace(result)) == repr(result)
    assert pprint.pformat(result)


def test_what_was_sent_beyond_the_fields_is_lost_nowhere() -> None:
    result = answer()
    assert result["citations"] == result.model_extra["citations"] == ["u"]
    assert dataclasses.asdict(result)["citations"] == ["u"]
    assert dataclasses.asdict(result.choices[0].message)["mood"] == {"a": [math.inf, None]}
    assert result.model_fields_set == {"id", "choices"} and not hasattr(result, "nothing")
    match result:
        case {"id": "x", "citations": [found]}:
            assert found == "u"
        case _:
            pytest.fail("it has these keys")


def test_an_output_is_made_changed_and_copied_in_other_clients_words() -> None:
    whole = answer().to_dict()
    kind: Any = ChatCompletionOutput
    element = headwater.TextClassificationOutputElement
    for found in (kind.model_validate(whole), kind.parse_obj_as_instance(whole), kind.parse_obj(whole)):
        assert found.to_dict() == whole and found["citations"] == ["u"]
    assert kind.model_validate_json(answer().model_dump_json()).id == kind.parse_obj(answer().to_json()).id == "x"
    assert [each.label for each in element.parse_obj_as_list([{"label": "a", "score": 1}])] == ["a"]
    assert [each.label for each in element.parse_obj_as_list('[{"label": "\u00e4"}, {"label": "b"}]')] == ["ä", "b"]
    wrong: Any
    for wrong in ([], {"choices": 1}, 3):
        with pytest.raises(ValueError):
            kind.model_validate(wrong)
    with pytest.raises(ValueError):
        kind.model_validate_json("{")
    result = answer()
    other = result.model_copy(update={"id": "y"}, deep=True)
    assert (other.id, result.id, other["citations"]) == ("y", "x", ["u"])
    assert other.choices[0] is not result.choices[0] and result.model_copy().choices[0] is result.choices[0]
    other["model"] = "m"
    assert other.model == "m"
    with pytest.raises(KeyError):
        other["nothing"] = 1
