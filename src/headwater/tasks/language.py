"""The tasks that look at a text and say what it is, or write another: declarations, and what they answer with.

What is not set is not sent, so that the server's own defaults hold.
"""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, Unpack

from .declaration import CallOptions, Declare, task
from .lenient_types import NOT_SAID, Nullable
from .output import Output, Scored
from .parameters import Transform, TruncationStrategy

TextClassificationOutputTransform: TypeAlias = Transform
TokenClassificationAggregationStrategy: TypeAlias = Literal["none", "simple", "first", "average", "max"]
SummarizationTruncationStrategy: TypeAlias = TruncationStrategy
TranslationTruncationStrategy: TypeAlias = TruncationStrategy


class TextClassificationOutputElement(Scored):
    """A class of the text, and its score."""


class TokenClassificationOutputElement(Output):
    """An entity: `word` is its text, from the character `start` to before `end`, where the model knows places.

    Its kind is in `entity_group` where tokens were aggregated, else in `entity`.
    """

    score: Nullable[float] = NOT_SAID
    word: Nullable[str] = NOT_SAID
    entity_group: str | None = None
    entity: str | None = None
    start: int | None = None
    end: int | None = None

    def __post_init__(self) -> None:
        if self.word is None and self.entity_group is None and self.entity is None:
            raise ValueError("Expected an entity, got neither its word nor its kind")


class FillMaskOutputElement(Output):
    """A token for the mask: its number, its text, and the whole text with it; `score` is 0 to 1."""

    score: Nullable[float] = NOT_SAID
    sequence: Nullable[str] = NOT_SAID
    token: Nullable[int] = NOT_SAID
    token_str: str | None = None

    def __post_init__(self) -> None:
        if self.sequence is None and self.token_str is None and self.token is None:
            raise ValueError("Expected a token for the mask, got neither its text nor its number")


class SummarizationOutput(Output):
    """The summary."""

    summary_text: str


class TranslationOutput(Output):
    """The translation."""

    translation_text: str


def _languages(given: Mapping[str, Any]) -> str | None:
    if ("src_lang" in given) != ("tgt_lang" in given):
        return "src_lang and tgt_lang go together: give both, or neither"
    return None


@task("text-classification", events=TextClassificationOutputElement)
def text_classification(
    text: str,
    *,
    model: str | None = None,
    top_k: int | None = None,
    function_to_apply: TextClassificationOutputTransform | None = None,
    **options: Unpack[CallOptions],
) -> list[TextClassificationOutputElement]:
    """Say what kind of text this is, such as positive or negative.

    https://huggingface.co/docs/inference-providers/tasks/text-classification

    Args:
        text: What to classify.
        model: Whom to ask; the client's model where it is not given, else the Hub's recommendation.
        top_k: How many classes to give.
        function_to_apply: What makes scores of the model's outputs: "sigmoid", "softmax" or "none".
        extra_body: More of the server's parameters, over those above.

    Returns:
        Classes with their scores, the likeliest first.
    """
    raise NotImplementedError


@task("token-classification", events=TokenClassificationOutputElement)
def token_classification(
    text: str,
    *,
    model: str | None = None,
    aggregation_strategy: TokenClassificationAggregationStrategy | None = None,
    ignore_labels: list[str] | None = None,
    stride: int | None = None,
    **options: Unpack[CallOptions],
) -> list[TokenClassificationOutputElement]:
    """Find names, places, parts of speech and the like in a text.

    https://huggingface.co/docs/inference-providers/tasks/token-classification

    Args:
        text: Where to look.
        model: Whom to ask; the client's model where it is not given, else the Hub's recommendation.
        aggregation_strategy: How tokens become words: "none" (each for itself), "simple" (those of one kind that
            follow each other), or by the score of a word's tokens: "first", "average", "max".
        ignore_labels: Kinds to leave out.
        stride: By how many tokens the pieces of a long text overlap.
        extra_body: More of the server's parameters, over those above.

    Returns:
        The entities, in the order of the text; places are in characters.
    """
    raise NotImplementedError


@Declare[FillMaskOutputElement | list[FillMaskOutputElement]]("fill-mask")
def fill_mask(
    text: str,
    *,
    model: str | None = None,
    targets: list[str] | None = None,
    top_k: int | None = None,
    **options: Unpack[CallOptions],
) -> list[FillMaskOutputElement] | list[list[FillMaskOutputElement]]:
    """Say which words fit into a gap.

    https://huggingface.co/docs/inference-providers/tasks/fill-mask

    Args:
        text: A text with the model's mask token in it, mostly "[MASK]" or "<mask>".
        model: Whom to ask; the client's model where it is not given, else the Hub's recommendation.
        targets: The words to choose from, instead of all.
        top_k: How many words to give; the server's default is 5.
        extra_body: More of the server's parameters, over those above.

    Returns:
        Words with their scores, the likeliest first; for a text with several masks such a list for each mask.
    """
    raise NotImplementedError


@task("summarization", events=SummarizationOutput)
def summarization(
    text: str,
    *,
    model: str | None = None,
    clean_up_tokenization_spaces: bool | None = None,
    generate_parameters: dict[str, Any] | None = None,
    truncation: SummarizationTruncationStrategy | None = None,
    **options: Unpack[CallOptions],
) -> SummarizationOutput:
    """Make a text short.

    https://huggingface.co/docs/inference-providers/tasks/summarization

    Args:
        text: What to summarize.
        model: Whom to ask; the client's model where it is not given, else the Hub's recommendation.
        clean_up_tokenization_spaces: Whether to take out blanks that tokens have left.
        generate_parameters: How to draw tokens, such as {"max_new_tokens": 100}.
        truncation: What to do with a text that is too long: "do_not_truncate", "longest_first", "only_first" or
            "only_second".
        extra_body: More of the server's parameters, over those above.

    Returns:
        The summary, as `summary_text`.
    """
    raise NotImplementedError


@task("translation", events=TranslationOutput, check=_languages)
def translation(
    text: str,
    *,
    model: str | None = None,
    src_lang: str | None = None,
    tgt_lang: str | None = None,
    clean_up_tokenization_spaces: bool | None = None,
    truncation: TranslationTruncationStrategy | None = None,
    generate_parameters: dict[str, Any] | None = None,
    **options: Unpack[CallOptions],
) -> TranslationOutput:
    """Say a text in another language.

    https://huggingface.co/docs/inference-providers/tasks/translation

    Args:
        text: What to translate.
        model: Whom to ask; the client's model where it is not given, else the Hub's recommendation.
        src_lang: The text's language, as the model names it ("en_XX", "eng_Latn"); with `tgt_lang` or not at all.
        tgt_lang: The language to translate into; models for one pair of languages need neither.
        clean_up_tokenization_spaces: Whether to take out blanks that tokens have left.
        truncation: What to do with a text that is too long: "do_not_truncate", "longest_first", "only_first" or
            "only_second".
        generate_parameters: How to draw tokens, such as {"max_new_tokens": 100}.
        extra_body: More of the server's parameters, over those above.

    Returns:
        The translation, as `translation_text`.
    """
    raise NotImplementedError
