"""The text generation task: its declaration, what it answers with, and the fold of its stream.

The words are those of text-generation-inference,
https://huggingface.github.io/text-generation-inference/. Nothing here knows the completions dialect: a flow
brings that to these types. A stream's event must have a `token`, so that an error is never taken for one.
"""

from collections.abc import Container, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, Unpack

import msgspec
from msgspec import Meta

from .declaration import CallOptions, task
from .lenient_types import Kept, Nullable, Unneeded
from .output import Output
from .surrogates import REPLACEMENT, TextPieces
from .typed_options import OPTIONS, TypedAnswerOptions, check_answer_type


class TextGenerationOutputPrefillToken(Output):
    """A token of the prompt; the first has no `logprob`."""

    id: int | None = None
    text: Unneeded[str] = ""
    logprob: float | None = None


class TextGenerationOutputToken(TextGenerationOutputPrefillToken):
    """A token of the answer; a `special` one is not part of its text."""

    special: bool | None = None


class TextGenerationOutputBestOfSequence(Output):
    """One of the `best_of` answers that were not the best."""

    generated_text: str
    finish_reason: Kept[str | None] = None
    generated_tokens: int | None = None
    prefill: Nullable[list[TextGenerationOutputPrefillToken]] = msgspec.field(default_factory=list)
    tokens: Nullable[list[TextGenerationOutputToken]] = msgspec.field(default_factory=list)
    seed: int | None = None
    top_tokens: list[list[TextGenerationOutputToken]] | None = None

    def __post_init__(self) -> None:
        self.prefill = self.prefill or []
        self.tokens = self.tokens or []


class TextGenerationOutputDetails(Output):
    """How a text came about.

    `finish_reason`: "length", "eos_token", "stop_sequence", or a word of the server's own. `prefill`: the
    prompt's tokens, with `decoder_input_details`. `top_tokens`: the likeliest at every place, with
    `top_n_tokens`.
    """

    finish_reason: Kept[str | None] = None
    generated_tokens: int | None = None
    prefill: Nullable[list[TextGenerationOutputPrefillToken]] = msgspec.field(default_factory=list)
    tokens: Nullable[list[TextGenerationOutputToken]] = msgspec.field(default_factory=list)
    best_of_sequences: list[TextGenerationOutputBestOfSequence] | None = None
    seed: int | None = None
    top_tokens: list[list[TextGenerationOutputToken]] | None = None

    def __post_init__(self) -> None:
        self.prefill = self.prefill or []
        self.tokens = self.tokens or []


class TextGenerationOutput(Output):
    """The text that was generated, and its details where they were asked for."""

    generated_text: str
    details: TextGenerationOutputDetails | None = None


TextGenerationStreamOutputToken = TextGenerationOutputToken


class TextGenerationStreamOutputStreamDetails(Output):
    """How the text came about, in a stream's last event. `input_length` is in tokens."""

    finish_reason: Kept[str | None] = None
    generated_tokens: int | None = None
    input_length: int | None = None
    seed: int | None = None


class TextGenerationStreamOutput(Output):
    """One token of a streamed text; the last one has `generated_text` and, from most servers, `details`."""

    token: TextGenerationStreamOutputToken
    index: int | None = None
    generated_text: str | None = None
    details: TextGenerationStreamOutputStreamDetails | None = None
    top_tokens: list[TextGenerationStreamOutputToken] | None = None

    def keep_halves(self, text: Any) -> None:
        """Remember the token's text with halves of characters, which are U+FFFD in itself; only for the fold."""
        if isinstance(text, str):
            vars(self)["_halves"] = text


class TextGenerationInputGrammarType(msgspec.Struct):
    """What the text must follow: `value` is a JSON schema, or a regular expression as text."""

    type: Literal["json", "regex", "json_schema"]
    value: Any


class TextFold:
    """Gathers a streamed text; with `details` into a `TextGenerationOutput`, without them into text alone.

    `unfinished`: the `system_fingerprint`s of servers that may end a whole text without a finish reason. A character of
    which two tokens have a half each is put together, in the tokens as well.
    """

    __slots__ = ("_cut", "_details", "_end", "_generated", "_last", "_text", "_tokens", "_top_tokens", "_unfinished")

    def __init__(self, details: bool = True, unfinished: Container[object] = frozenset()) -> None:
        self._details = details
        self._unfinished = unfinished
        self._last: TextGenerationStreamOutput | None = None
        self._tokens: list[TextGenerationOutputToken] = []
        self._top_tokens: list[list[TextGenerationOutputToken]] = []
        self._text: str | None = None
        self._end: TextGenerationStreamOutputStreamDetails | None = None
        self._generated: int | None = None
        self._cut = TextPieces()

    def add(self, event: TextGenerationStreamOutput) -> None:
        """Take the next token."""
        token = event.token
        if self._cut.half or REPLACEMENT in token.text:
            token.text = self._cut.take(vars(event).get("_halves", token.text))
        self._tokens.append(token)
        self._last = event
        if event.top_tokens:
            self._top_tokens.append(event.top_tokens)
        if event.generated_text is not None:
            self._text = event.generated_text
        if event.details is not None:
            self._end = event.details

    def count(self, generated: int | None) -> None:
        """Take the number of tokens where it comes apart from any token."""
        self._generated = generated if generated is not None else self._generated

    def complete(self, *, marked: bool = False) -> bool:
        """Whether an event had the whole text, or said why it ended.

        `marked`: the server has sent its end marker, which is all that servers in `unfinished` say.
        """
        if self._text is not None or bool(self._end and self._end.finish_reason):
            return True
        if not marked or not self._unfinished or self._last is None:
            return False
        return self._last.raw.get("system_fingerprint") in self._unfinished

    def result(self) -> str | TextGenerationOutput:
        """The text as far as it has come: the server's own whole text, or else that of the tokens."""
        text = self._text
        if text is None:
            text = "".join([token.text for token in self._tokens if not token.special])
            text += REPLACEMENT if self._cut.half else ""
        if not self._details:
            return text
        return TextGenerationOutput(generated_text=text, details=self._all_details())

    def _all_details(self) -> TextGenerationOutputDetails:
        end = self._end or TextGenerationStreamOutputStreamDetails()
        return TextGenerationOutputDetails(
            finish_reason=end.finish_reason,
            generated_tokens=end.generated_tokens if end.generated_tokens is not None else self._generated,
            seed=end.seed,
            tokens=list(self._tokens),
            top_tokens=list(self._top_tokens) or None,
        )


if TYPE_CHECKING:
    Grammar: TypeAlias = Mapping[str, object] | TextGenerationInputGrammarType
else:  # A type that takes a dict and a Struct alike is beyond msgspec: `_check` looks at it.
    Grammar = Annotated[Any, Meta(extra_json_schema={"type": "object"})]


def _check(given: Mapping[str, Any]) -> str | None:
    if "grammar" not in given and OPTIONS.isdisjoint(given):
        return None
    return check_answer_type(given, "grammar", "a dict like {'type': 'json', 'value': {...}}")


class UntypedTextParameters(CallOptions, total=False):
    """The parameters of `text_generation` but the prompt, `details`, `stream`, `grammar` and what goes with a type."""

    model: str | None
    adapter_id: str | None
    best_of: int | None
    decoder_input_details: bool | None
    do_sample: bool | None
    frequency_penalty: float | None
    max_new_tokens: int | None
    repetition_penalty: float | None
    return_full_text: bool | None
    seed: int | None
    stop: list[str] | None
    temperature: float | None
    top_k: int | None
    top_n_tokens: int | None
    top_p: float | None
    truncate: int | None
    typical_p: float | None
    watermark: bool | None


class TypedTextParameters(UntypedTextParameters, TypedAnswerOptions, total=False):
    """The same, and what may stand beside a `grammar` that is a type."""


class TextParameters(UntypedTextParameters, TypedAnswerOptions, total=False):
    """The parameters of `text_generation` but the prompt, `details` and `stream`; what each means stands there."""

    grammar: Grammar | None


@task("text-generation", events=TextGenerationStreamOutput, check=_check)
def text_generation(
    prompt: str,
    *,
    details: bool = False,
    stream: bool = False,
    **parameters: Unpack[TextParameters],
) -> str | TextGenerationOutput:
    """Go on with a text.

    What is not set is not sent, so that the server's own defaults hold. The meanings are those of
    text-generation-inference; providers with the completions dialect know some of them under other names.

    Args:
        prompt: The text to go on with.
        details: Return a `TextGenerationOutput` with tokens and finish reason, not the text alone.
        stream: Hand the text over token by token: as text, or as `TextGenerationStreamOutput` with `details`.
        model: Whom to ask; the client's model where it is not given.
        adapter_id: The LoRA adapter to use.
        best_of: How many texts to make, of which the likeliest is returned.
        decoder_input_details: Give the prompt's tokens too; needs `details`, and no stream.
        do_sample: Whether to draw tokens at random, by their probability.
        frequency_penalty: From -2 to 2; above 0, tokens are the less likely the more often they have come.
        max_new_tokens: The most tokens to make.
        repetition_penalty: Above 1, tokens that have come are less likely; 1 changes nothing.
        return_full_text: Whether to put the prompt before the text.
        seed: The same seed asks for the same text.
        stop: Texts to stop at.
        temperature: 0 takes the likeliest token; the higher, the more random.
        top_k: Only the `top_k` likeliest tokens.
        top_n_tokens: How many of the likeliest tokens to list at every place, in `details`.
        top_p: Only the likeliest tokens that together have this probability, 0 to 1.
        truncate: Only the last `truncate` tokens of the prompt.
        typical_p: Only tokens that are about as likely as is typical, 0 to 1.
        watermark: Whether to mark the text, https://arxiv.org/abs/2301.10226.
        on_invalid: What follows a text that is no value of the type in `grammar`: "raise" the error, "repair" the JSON
            (needs the extra `repair`), or "ask again", with what is wrong with it.
        max_tries: With "ask again": the most texts in all; 3 where it is not given.
        token_budget: With "ask again": the most tokens that all texts may come to, as the server counts them; without a
            limit where it is not given.
        grammar: The type that the text is to be JSON of, as `response_format` of a chat; the text has its value as
            `parsed`. Or {"type": "json", "value": JSON schema}, {"type": "regex", "value": "..."}.
        extra_body: More of the server's parameters, over those above.

    Returns:
        The text; with `details`, a `TextGenerationOutput`.

    Raises:
        TextGenerationError: The server refused, in the words of text-generation-inference.
        ProviderError: The server refused otherwise; the subclass says why.
        IncompleteStreamError: A stream stopped before its end; `partial` is the text so far.
        DecodeError: The server's answer is not a text generation's.
    """
    raise NotImplementedError
