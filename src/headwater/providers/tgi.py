"""Text generation in the dialect of text-generation-inference (TGI).

It gives `TextGenerationStreamOutput` events, and as its result a text, or a `TextGenerationOutput` with `details`, as
OpenAI's completions do here. Parameters that a server does not have are left out with a warning, never in silence.

https://huggingface.github.io/text-generation-inference/
"""

from __future__ import annotations

import re
import warnings
from functools import partial
from typing import Any, Final

import msgspec

from ..errors import InvalidRequestError
from ..protocol.flow import Call, End, Flow, Send, Stream
from ..protocol.framing import Frame
from ..protocol.json_text import UNREADABLE, has_halves, is_list, loads
from ..responses.decode import decode
from ..schema.rules import TGI, NamedSchema
from ..tasks.text import TextFold, TextGenerationOutput, TextGenerationStreamOutput
from . import unrequested_stream
from .bodies import parameters, post
from .openai_chat import ERROR, odd_event, raise_error, spelled_once, unfinished_of

_UNUSED: Final = re.compile(r"The following `model_kwargs` are not used by the model: \[([^\]]{0,2000})\]")
_event: Final = msgspec.json.Decoder(TextGenerationStreamOutput).decode


def generate(call: Call, url: str) -> Flow[str | TextGenerationOutput]:
    """TGI's dialect. A transformers server behind it that refuses parameters is asked again without them."""
    given = {**parameters(call), **call.extra}
    prompt = given.pop("prompt")
    if isinstance(wanted := given.get("grammar"), NamedSchema):
        given["grammar"] = {"type": "json", "value": wanted.fitted(TGI).schema}
    if given.get("decoder_input_details") and not given.get("details"):
        warnings.warn("decoder_input_details needs details=True; it was left out", stacklevel=2)
        del given["decoder_input_details"]
    try:
        return (yield from _tgi(call, url, prompt, given))
    except InvalidRequestError as refused:
        unused = _named_in(refused) & given.keys()
        if not unused:
            raise
    warnings.warn(f"this server does not know {', '.join(sorted(unused))}; left out", stacklevel=2)
    kept = {name: value for name, value in given.items() if name not in unused}
    return (yield from _tgi(call, url, prompt, kept))


def _named_in(refused: InvalidRequestError) -> set[str]:
    match = _UNUSED.search(refused.server_message or "")
    return set(re.findall(r"'(\w+)'", match[1])) if match else set()


def _tgi(call: Call, url: str, prompt: str, given: dict[str, Any]) -> Flow[str | TextGenerationOutput]:
    details = bool(call.parameters.get("details"))
    body = {"inputs": prompt, "parameters": given, "stream": call.stream}
    request = post(url, body, stream=call.stream)
    fold = partial(TextFold, details, unfinished_of(call, frozenset()))
    if call.stream:
        streamed: str | TextGenerationOutput = yield Stream(
            request=request, framing="sse", decode=decode_event, fold=fold
        )
        return streamed
    whole = partial(_first, details=details)
    return unrequested_stream.read_unrequested((yield Send(request)), whole, decode_event, fold, piece=b'"token"')


def _first(reply: Any, details: bool) -> str | TextGenerationOutput:
    """TGI answers with an object, transformers servers with a list of one, which may be in a list of its own."""
    while is_list(reply.body) and (outputs := decode(reply, list[msgspec.Raw])):
        reply = msgspec.structs.replace(reply, body=bytes(outputs[0]))
    output = decode(reply, TextGenerationOutput)
    return output if details else output.generated_text


def decode_event(frame: Frame) -> TextGenerationStreamOutput | End | None:
    """An event of TGI's stream. Raises the error that it is, or `MalformedEventError`."""
    data = frame.data
    if data.find(ERROR) >= 0 or frame.event == "error":
        raise_error(frame)
    try:
        event = _event(data)
    except UNREADABLE:
        odd = odd_event(frame, TextGenerationStreamOutput, _with_token)
        if odd is None or isinstance(odd, End):
            return odd
        event, data = odd, spelled_once(data)
        if has_halves(data):
            event.keep_halves(_with_token(loads(data, halves=True, replace=True))["token"].get("text") or "")
    event._body = data  # type: ignore[attr-defined]
    return event


def _with_token(event: dict[str, Any]) -> dict[str, Any]:
    """The event; a last one that has the whole text or its details alone has a token that adds nothing to it.

    Raises `msgspec.ValidationError` for a token whose text is none: it is a piece of the answer.
    """
    token = event.get("token")
    if isinstance(token, dict) and not isinstance(token.get("text", ""), str | None):
        raise msgspec.ValidationError("Expected `str` - at `$.token.text`")
    is_last = event.get("token") is None and (event.get("generated_text") is not None or event.get("details"))
    return {**event, "token": {"text": "", "special": True}} if is_last else event
