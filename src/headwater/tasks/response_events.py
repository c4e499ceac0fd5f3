"""What a streamed response hands over: a class for each shape of an event, which names the types that have it.

`event.type` tells them apart, for type checkers too: `if event.type == "response.output_text.delta": event.delta`. A
type that is not known here is handed over as a `ResponseOtherEvent`, with all of its members. Servers leave out
`sequence_number`, `output_index` and `content_index` (llama.cpp), which are None then.

https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args, get_type_hints

import msgspec

from .lenient_types import Kept, Needed, Nullable
from .model_response import ModelResponse, ResponseContentPart, ResponseOtherItem, ResponseOutputItem, item_of
from .output import OpenOutput


class ResponseStatusEvent(OpenOutput):
    """The response has come to this status; the last event of a stream is one, with all of the response."""

    type: Literal[
        "response.created",
        "response.queued",
        "response.in_progress",
        "response.completed",
        "response.incomplete",
        "response.failed",
        "response.cancelled",
    ]
    response: Needed[ModelResponse]
    sequence_number: int | None = None


class ResponseOutputItemEvent(OpenOutput):
    """An item of the output has begun, or is whole."""

    type: Literal["response.output_item.added", "response.output_item.done"]
    if TYPE_CHECKING:
        item: ResponseOutputItem
    else:
        item: Any = None
    output_index: int | None = None
    sequence_number: int | None = None

    def __post_init__(self) -> None:
        sent: Any = self.item
        if not isinstance(sent, msgspec.Struct):
            self.item = item_of(sent) if isinstance(sent, dict) else ResponseOtherItem()


class ResponseContentPartEvent(OpenOutput):
    """A part of an item's content, or of a reasoning's summary, has begun, or is whole."""

    type: Literal[
        "response.content_part.added",
        "response.content_part.done",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_part.done",
    ]
    part: Nullable[ResponseContentPart] = msgspec.field(default_factory=ResponseContentPart)
    item_id: Nullable[str] = ""
    output_index: int | None = None
    content_index: int | None = None
    summary_index: int | None = None
    sequence_number: int | None = None

    def __post_init__(self) -> None:
        if self.part is None:
            self.part = ResponseContentPart()


class ResponseTextDeltaEvent(OpenOutput):
    """The next piece of a message's text."""

    type: Literal["response.output_text.delta"]
    delta: str
    item_id: Nullable[str] = ""
    output_index: int | None = None
    content_index: int | None = None
    sequence_number: int | None = None
    logprobs: list[Any] | None = None


class ResponseTextDoneEvent(OpenOutput):
    """A part's text is whole."""

    type: Literal["response.output_text.done"]
    text: str | None = None
    item_id: Nullable[str] = ""
    output_index: int | None = None
    content_index: int | None = None
    sequence_number: int | None = None
    logprobs: list[Any] | None = None


class ResponseAnnotationEvent(OpenOutput):
    """A text has got an annotation: a file or a page that it quotes."""

    type: Literal["response.output_text.annotation.added"]
    annotation: Any = None
    annotation_index: int | None = None
    item_id: Nullable[str] = ""
    output_index: int | None = None
    content_index: int | None = None
    sequence_number: int | None = None


class ResponseRefusalDeltaEvent(OpenOutput):
    """The next piece of a refusal."""

    type: Literal["response.refusal.delta"]
    delta: str
    item_id: Nullable[str] = ""
    output_index: int | None = None
    content_index: int | None = None
    sequence_number: int | None = None


class ResponseRefusalDoneEvent(OpenOutput):
    """A refusal is whole."""

    type: Literal["response.refusal.done"]
    refusal: str | None = None
    item_id: Nullable[str] = ""
    output_index: int | None = None
    content_index: int | None = None
    sequence_number: int | None = None


class ResponseReasoningDeltaEvent(OpenOutput):
    """The next piece of what the model thinks, or of its summary (`summary_index`)."""

    type: Literal["response.reasoning_text.delta", "response.reasoning_summary_text.delta"]
    delta: str
    item_id: Nullable[str] = ""
    output_index: int | None = None
    content_index: int | None = None
    summary_index: int | None = None
    sequence_number: int | None = None


class ResponseReasoningDoneEvent(OpenOutput):
    """A part of what the model thought, or of its summary, is whole."""

    type: Literal["response.reasoning_text.done", "response.reasoning_summary_text.done"]
    text: str | None = None
    item_id: Nullable[str] = ""
    output_index: int | None = None
    content_index: int | None = None
    summary_index: int | None = None
    sequence_number: int | None = None


class ResponseArgumentsDeltaEvent(OpenOutput):
    """The next piece of what a tool is called with: JSON of a function or of an MCP server's tool, the text of a custom
    tool, the code of the interpreter."""

    type: Literal[
        "response.function_call_arguments.delta",
        "response.mcp_call_arguments.delta",
        "response.custom_tool_call_input.delta",
        "response.code_interpreter_call_code.delta",
    ]
    delta: str
    item_id: Nullable[str] = ""
    output_index: int | None = None
    sequence_number: int | None = None


class ResponseArgumentsDoneEvent(OpenOutput):
    """The arguments of a function, or of an MCP server's tool, are whole."""

    type: Literal["response.function_call_arguments.done", "response.mcp_call_arguments.done"]
    arguments: Kept[str | None] = None
    name: str | None = None
    item_id: Nullable[str] = ""
    output_index: int | None = None
    sequence_number: int | None = None


class ResponseCustomToolInputDoneEvent(OpenOutput):
    """The text that a custom tool is called with is whole."""

    type: Literal["response.custom_tool_call_input.done"]
    input: Kept[str | None] = None
    item_id: Nullable[str] = ""
    output_index: int | None = None
    sequence_number: int | None = None


class ResponseCodeDoneEvent(OpenOutput):
    """The code of the interpreter is whole."""

    type: Literal["response.code_interpreter_call_code.done"]
    code: Kept[str | None] = None
    item_id: Nullable[str] = ""
    output_index: int | None = None
    sequence_number: int | None = None


class ResponseCallStatusEvent(OpenOutput):
    """A call that the server itself makes has come to this status."""

    type: Literal[
        "response.file_search_call.in_progress",
        "response.file_search_call.searching",
        "response.file_search_call.completed",
        "response.web_search_call.in_progress",
        "response.web_search_call.searching",
        "response.web_search_call.completed",
        "response.code_interpreter_call.in_progress",
        "response.code_interpreter_call.interpreting",
        "response.code_interpreter_call.completed",
        "response.image_generation_call.in_progress",
        "response.image_generation_call.generating",
        "response.image_generation_call.completed",
        "response.mcp_call.in_progress",
        "response.mcp_call.completed",
        "response.mcp_call.failed",
        "response.mcp_list_tools.in_progress",
        "response.mcp_list_tools.completed",
        "response.mcp_list_tools.failed",
        "response.compaction.compacting",
    ]
    item_id: Nullable[str] = ""
    output_index: int | None = None
    sequence_number: int | None = None


class ResponsePartialImageEvent(OpenOutput):
    """An image so far, as base64; `partial_image_index` counts them from 0."""

    type: Literal["response.image_generation_call.partial_image"]
    partial_image_b64: Needed[str]
    partial_image_index: int | None = None
    item_id: Nullable[str] = ""
    output_index: int | None = None
    sequence_number: int | None = None


class ResponseAudioEvent(OpenOutput):
    """A spoken answer: the next piece as base64, or of its transcript; `delta` is None at the end."""

    type: Literal[
        "response.audio.delta",
        "response.audio.done",
        "response.audio.transcript.delta",
        "response.audio.transcript.done",
    ]
    delta: str | None = None
    response_id: str | None = None
    sequence_number: int | None = None


class ResponseShellEvent(OpenOutput):
    """A command that the server runs, and what it prints: `delta` is a piece, `command` and `output` are whole."""

    type: Literal[
        "response.shell_call_command.added",
        "response.shell_call_command.delta",
        "response.shell_call_command.done",
        "response.shell_call_output_content.delta",
        "response.shell_call_output_content.done",
    ]
    command: str | None = None
    delta: Any = None
    output: Any = None
    command_index: int | None = None
    item_id: Nullable[str] = ""
    output_index: int | None = None
    sequence_number: int | None = None


class ResponseSteerEvent(OpenOutput):
    """What became of an input that was given while the response was made."""

    type: Literal["response.steer.accepted", "response.steer.pending", "response.steer.failed"]
    steer: Any = None
    reason: Any = None
    error: Any = None
    required_input: Any = None
    sequence_number: int | None = None


class ResponseOtherEvent(OpenOutput):
    """An event of a type that is not known here: all of its members are there under their names, `event["item"]`.

    Its `type` is the text that the server sent; to type checkers, `isinstance` tells this class.
    """

    if TYPE_CHECKING:
        type: Literal["another"]  # so that a comparison tells the other classes apart
    else:
        type: Nullable[str] = ""
    sequence_number: int | None = None

    if not TYPE_CHECKING:

        def __post_init__(self) -> None:
            self.type = self.type or ""


ResponseStreamEvent: TypeAlias = (
    ResponseStatusEvent
    | ResponseOutputItemEvent
    | ResponseContentPartEvent
    | ResponseTextDeltaEvent
    | ResponseTextDoneEvent
    | ResponseAnnotationEvent
    | ResponseRefusalDeltaEvent
    | ResponseRefusalDoneEvent
    | ResponseReasoningDeltaEvent
    | ResponseReasoningDoneEvent
    | ResponseArgumentsDeltaEvent
    | ResponseArgumentsDoneEvent
    | ResponseCustomToolInputDoneEvent
    | ResponseCodeDoneEvent
    | ResponseCallStatusEvent
    | ResponsePartialImageEvent
    | ResponseAudioEvent
    | ResponseShellEvent
    | ResponseSteerEvent
    | ResponseOtherEvent
)

KINDS: Final[dict[str, type[ResponseStreamEvent]]] = {
    name: kind
    for kind in get_args(ResponseStreamEvent)
    for name in get_args(get_type_hints(kind)["type"])
    if isinstance(name, str)
}
"""The class of each type of event that is known."""
