"""What may stand beside a type that an answer is to be of, and the check that it is one.

The rest of what types are for is loaded by calls that name one.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias, TypedDict

from msgspec import Meta

from ..errors import InvalidParameterError
from ..protocol.json_value import is_object

_Count = Annotated[int, Meta(ge=1)]


class TypedAnswerOptions(TypedDict, total=False):
    """What becomes of an answer that is no value of the type that was asked for."""

    on_invalid: Literal["raise", "repair", "ask again"] | None
    max_tries: _Count | None
    token_budget: _Count | None


TypeParameter: TypeAlias = 'Literal["response_format", "grammar", "text_format", "output_format"]'
"""What chats, texts, responses and messages call the type of their answer."""
OPTIONS: Final = frozenset(TypedAnswerOptions.__annotations__)


def check_answer_type(given: Mapping[str, Any], name: str, example: str) -> str | None:
    """What is wrong with the parameter of this name, a type or an object such as `example`, and with what goes with a
    type; None where nothing is."""
    wanted = given.get(name)
    if wanted is None or is_object(wanted):
        beside = sorted(OPTIONS & given.keys())
        return f"{beside[0]} is for answers of a type: give {name}=a type, such as a dataclass" if beside else None
    from ..schema.codec import codec_of, is_type

    if not is_type(wanted):
        return f"{name} must be {example}, or a type, not {type(wanted).__name__}"
    try:
        codec_of(wanted)
    except InvalidParameterError as error:
        return f"{name}: {error.message}"
    return None
