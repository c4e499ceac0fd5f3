"""A call's arguments that name a type for its answer; what reads such answers is loaded by the first of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from ..protocol.flow import Call, Flow, TaskFlow
from ..protocol.json_value import is_object
from ..tasks.typed_options import OPTIONS, TypeParameter

_NAMES: Final[tuple[TypeParameter, ...]] = ("response_format", "grammar", "text_format", "output_format")
OF_TYPED_ANSWERS: Final = OPTIONS | set(_NAMES)
"""The parameters that name a type, and that go with one."""


def typed_flow_of(given: dict[str, Any]) -> Callable[[TaskFlow, Call], Flow[Any]] | None:
    """What makes of a provider's flow one whose result is a value of the type that the arguments name, in which the
    type's codec then stands for it; None where they name none."""
    for name in _NAMES:
        if name in given and not is_object(given[name]):
            return _flow_of(name, given)
    return None


def _flow_of(name: TypeParameter, given: dict[str, Any]) -> Callable[[TaskFlow, Call], Flow[Any]] | None:
    from ..providers.typed_answer import AnswerType, typed_flow
    from ..schema.codec import codec_of

    options = {each: given.pop(each) for each in OPTIONS & given.keys()}
    codec = given[name] = codec_of(given[name])
    if not hasattr(codec, "decode"):  # a schema alone: whoever gave it reads what comes
        return None
    if not codec.is_sent:
        del given[name]
    wanted = AnswerType(codec=codec, parameter=name, details=bool(given.get("details")), **options)
    return partial(typed_flow, wanted)
