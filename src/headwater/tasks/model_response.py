"""What the Responses API answers with: a response, and the items that its output is made of.

An item is told by its `type`; one of a type that is not known here is kept as a `ResponseOtherItem`. Decoding is
lenient, and what no field holds is kept beside the fields (`OpenOutput`), so that an item which is put into the next
`input` goes back with all that the server gave: a reasoning item's `encrypted_content`, members that are new.

https://platform.openai.com/docs/api-reference/responses/object
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec

from ..responses.json_decoder import convert
from .lenient_types import Kept, Nullable, Unneeded
from .output import OpenOutput, Output

IN_WORK: Final = frozenset({"queued", "in_progress"})
"""The statuses of a response that is not at its end."""


class ResponseContentPart(OpenOutput):
    """A part of a message, of a reasoning or of its summary.

    `type` is "output_text", "refusal", "reasoning_text" or "summary_text"; all but a refusal have a `text`.
    """

    type: Nullable[str] = "output_text"
    text: str | None = None
    refusal: str | None = None
    annotations: list[Any] | None = None
    logprobs: list[Any] | None = None

    def __post_init__(self) -> None:
        self.type = self.type or "output_text"


class ResponseOutputMessage(OpenOutput):
    """What the model says. `phase`: "commentary" or "final_answer", where the server tells them apart."""

    type: Literal["message"] = "message"
    id: str | None = None
    role: Nullable[str] = "assistant"
    status: str | None = None
    phase: str | None = None
    content: list[ResponseContentPart] = msgspec.field(default_factory=list)

    def __post_init__(self) -> None:
        self.role = self.role or "assistant"

    @property
    def text(self) -> str:
        """The message's text, of all its parts; without a refusal."""
        return "".join(part.text for part in self.content if part.text is not None and part.type != "refusal")


class ResponseReasoningItem(OpenOutput):
    """What the model thought first. `encrypted_content` is what the server wants back with the next input."""

    type: Literal["reasoning"] = "reasoning"
    id: str | None = None
    status: str | None = None
    summary: Unneeded[list[ResponseContentPart]] = msgspec.field(default_factory=list)
    content: list[ResponseContentPart] | None = None
    encrypted_content: str | None = None


class ResponseFunctionToolCall(OpenOutput):
    """The model wants this function called. `arguments` is JSON text of the model's, which may not parse; `call_id`
    goes into the `function_call_output` that answers it."""

    type: Literal["function_call"] = "function_call"
    id: str | None = None
    call_id: Nullable[str] = ""
    name: Nullable[str] = ""
    arguments: Kept[str] = ""
    status: str | None = None

    def __post_init__(self) -> None:
        self.call_id, self.name = self.call_id or "", self.name or ""


class ResponseCustomToolCall(OpenOutput):
    """The model wants this tool called with a text, `input`; a `custom_tool_call_output` answers it."""

    type: Literal["custom_tool_call"] = "custom_tool_call"
    id: str | None = None
    call_id: Nullable[str] = ""
    name: Nullable[str] = ""
    input: Kept[str] = ""
    status: str | None = None

    def __post_init__(self) -> None:
        self.call_id, self.name = self.call_id or "", self.name or ""


class ResponseFileSearchCall(OpenOutput):
    """The server has searched files; `results` where they were asked for by `include`."""

    type: Literal["file_search_call"] = "file_search_call"
    id: str | None = None
    status: str | None = None
    queries: list[Any] | None = None
    results: list[Any] | None = None


class ResponseWebSearchCall(OpenOutput):
    """The server has searched the web, or opened a page of it; `action` says what."""

    type: Literal["web_search_call"] = "web_search_call"
    id: str | None = None
    status: str | None = None
    action: Any = None


class ResponseCodeInterpreterCall(OpenOutput):
    """The server has run `code`; `outputs` where they were asked for by `include`."""

    type: Literal["code_interpreter_call"] = "code_interpreter_call"
    id: str | None = None
    status: str | None = None
    code: str | None = None
    container_id: str | None = None
    outputs: list[Any] | None = None


class ResponseImageGenerationCall(OpenOutput):
    """The server has made an image; `result` is base64."""

    type: Literal["image_generation_call"] = "image_generation_call"
    id: str | None = None
    status: str | None = None
    result: str | None = None
    revised_prompt: str | None = None


class ResponseMcpCall(OpenOutput):
    """The server has called a tool of an MCP server; `output` is what that said, `error` why it did not."""

    type: Literal["mcp_call"] = "mcp_call"
    id: str | None = None
    status: str | None = None
    server_label: str | None = None
    name: Nullable[str] = ""
    arguments: Kept[str] = ""
    output: Any = None
    error: Any = None
    approval_request_id: str | None = None

    def __post_init__(self) -> None:
        self.name = self.name or ""


class ResponseMcpListTools(OpenOutput):
    """The tools that an MCP server has."""

    type: Literal["mcp_list_tools"] = "mcp_list_tools"
    id: str | None = None
    server_label: str | None = None
    tools: list[Any] | None = None
    error: Any = None


class ResponseMcpApprovalRequest(OpenOutput):
    """The server asks whether it may call this tool; an `mcp_approval_response` answers it."""

    type: Literal["mcp_approval_request"] = "mcp_approval_request"
    id: str | None = None
    server_label: str | None = None
    name: Nullable[str] = ""
    arguments: Kept[str] = ""

    def __post_init__(self) -> None:
        self.name = self.name or ""


class ResponseOtherItem(OpenOutput):
    """An item of any other type (`computer_call`, `shell_call`, `compaction`, one that is new): all of its members are
    there under their names, `item["action"]`."""

    type: Nullable[str] = ""
    id: str | None = None
    status: str | None = None

    def __post_init__(self) -> None:
        self.type = self.type or ""


ResponseOutputItem: TypeAlias = (
    ResponseOutputMessage
    | ResponseReasoningItem
    | ResponseFunctionToolCall
    | ResponseCustomToolCall
    | ResponseFileSearchCall
    | ResponseWebSearchCall
    | ResponseCodeInterpreterCall
    | ResponseImageGenerationCall
    | ResponseMcpCall
    | ResponseMcpListTools
    | ResponseMcpApprovalRequest
    | ResponseOtherItem
)
_KINDS: Final[dict[Any, type[ResponseOutputItem]]] = {
    "message": ResponseOutputMessage,
    "reasoning": ResponseReasoningItem,
    "function_call": ResponseFunctionToolCall,
    "custom_tool_call": ResponseCustomToolCall,
    "file_search_call": ResponseFileSearchCall,
    "web_search_call": ResponseWebSearchCall,
    "code_interpreter_call": ResponseCodeInterpreterCall,
    "image_generation_call": ResponseImageGenerationCall,
    "mcp_call": ResponseMcpCall,
    "mcp_list_tools": ResponseMcpListTools,
    "mcp_approval_request": ResponseMcpApprovalRequest,
}


def item_of(sent: dict[str, Any]) -> ResponseOutputItem:
    """The item that an object is, with all of its members. A part of a list may stand alone, and be but its text; what
    has a content and no type is a message."""
    kind = sent.get("type")
    kind = kind if isinstance(kind, str) and kind else "message" if sent.get("content") and sent.get("role") else ""
    said = {**sent, "type": kind, **{name: _parts(sent[name], part) for name, part in _PARTS.items() if name in sent}}
    try:
        item = convert(said, _KINDS.get(kind, ResponseOtherItem))
    except msgspec.ValidationError:
        item = ResponseOtherItem(type=kind)
    _keep(item, sent)
    for name in _PARTS:
        parts, given = getattr(item, name, None), said.get(name)
        if isinstance(parts, list) and isinstance(given, list) and len(parts) == len(given):
            for part, one in zip(parts, given, strict=True):
                one = one[0] if isinstance(one, list) and len(one) == 1 else one  # as it was read
                if isinstance(one, dict):
                    _keep(part, one)
    return item


def _parts(sent: Any, kind: str) -> Any:
    """The parts of a list of them, in which a text is one of this kind."""
    parts = [sent] if isinstance(sent, str) or (isinstance(sent, dict) and sent) else sent
    return (
        [{"type": kind, "text": part} if isinstance(part, str) else part for part in parts]
        if isinstance(parts, list)
        else sent
    )


def _keep(output: OpenOutput, sent: dict[str, Any]) -> None:
    """Remember what no field holds, and which fields were sent as null: those go back so."""
    output.hold({name: value for name, value in sent.items() if name not in output.__struct_fields__})
    output.keep_odd(sent)
    vars(output)["_nulls"] = frozenset(name for name, value in sent.items() if value is None)


def sent_members(output: OpenOutput) -> dict[str, Any]:
    """An item or a part as the server sent it, with what was changed since: without the fields that it did not send."""
    nulls = output.__dict__.get("_nulls", frozenset())
    plain = {name: value for name, value in output.to_dict().items() if value is not None or name in nulls}
    for name in _PARTS:
        parts = getattr(output, name, None)
        if isinstance(parts, list):
            plain[name] = [sent_members(part) for part in parts]
    return plain


_PARTS: Final = {"content": "output_text", "summary": "summary_text"}
"""The lists of an item's parts, and the type of a part that is but a text."""


def items_of(sent: Any) -> list[ResponseOutputItem]:
    """The items of an `output`; what is no object is none, and stays in the response's `raw`."""
    given = sent if isinstance(sent, list) else []
    found: list[Any] = [each for each in given if isinstance(each, dict | OpenOutput)]
    return [item_of(each) if isinstance(each, dict) else each for each in found]


class ResponseUsage(Output):
    """What the call cost, in tokens; None where the server did not say."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    input_tokens_details: dict[str, Any] | None = None
    output_tokens_details: dict[str, Any] | None = None


class ModelResponse(OpenOutput):
    """A response of the Responses API: OpenAI's `Response`.

    `status`: "completed", "incomplete" (`incomplete_details` has the `reason`, such as "max_output_tokens"), "queued"
    or "in_progress" for one in the background, "failed" (`error` says why) or "cancelled". `created_at`: seconds since
    1970. What else the server says is there under its name, `response["temperature"]`.
    """

    if TYPE_CHECKING:
        output: list[ResponseOutputItem] = []
    else:
        output: Any = None
    id: Nullable[str] = ""
    object: Nullable[str] = "response"
    status: Kept[str | None] = None
    model: Nullable[str] = ""
    created_at: int | float | None = None
    error: Any = None
    incomplete_details: Any = None
    previous_response_id: str | None = None
    background: bool | None = None
    usage: ResponseUsage | None = None

    def __post_init__(self) -> None:
        self.id, self.object, self.model = self.id or "", self.object or "response", self.model or ""
        said: Any = self.output
        if isinstance(said, str) and said:
            said = {"type": "message", "role": "assistant", "content": said}
        listed: Any = [said] if isinstance(said, dict) else said
        if listed is not None and not isinstance(listed, list):
            raise ValueError("Expected `array`, got another - at `$.output`")
        self.output = items_of(listed)

    @property
    def output_text(self) -> str:
        """The text of all messages, joined, or what the server calls so; "" where there is none."""
        said = "".join(item.text for item in self.output if isinstance(item, ResponseOutputMessage))
        told = self.undeclared().get("output_text") if not said and not self.output else None
        return told if isinstance(told, str) else said

    @property
    def refusal(self) -> str | None:
        """What the model said where it refused to answer; None where it did not."""
        messages = [item for item in self.output if isinstance(item, ResponseOutputMessage)]
        said = [part.refusal for item in messages for part in item.content if part.refusal]
        return "".join(said) or None

    @property
    def reason(self) -> str | None:
        """Why the response is incomplete, such as "max_output_tokens" or "content_filter"; None where it is not."""
        details = self.incomplete_details
        found = details.get("reason") if isinstance(details, dict) else None
        return found if isinstance(found, str) else None

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes of it."""
        return self.status not in IN_WORK


class ResponseItemList(OpenOutput):
    """A page of the items that a response was made of. `has_more`: whether more follow behind `last_id`."""

    if TYPE_CHECKING:
        data: list[ResponseOutputItem] = []
    else:
        data: Any = None
    first_id: str | None = None
    last_id: str | None = None
    has_more: bool | None = None

    def __post_init__(self) -> None:
        self.data = items_of(self.data)
