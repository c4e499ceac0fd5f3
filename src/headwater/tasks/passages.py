"""The tasks that hold two texts against each other, a question or a sentence and others: their declarations.

Texts go as they are: what is too long for the model is for the server to cut.
"""

from __future__ import annotations

from typing import Annotated, Unpack

from msgspec import Meta

from .declaration import CallOptions, task
from .lenient_types import NOT_SAID, Nullable
from .output import Output


class QuestionAnsweringOutputElement(Output):
    """An answer: a piece of the context, from the character `start` to before `end`; `score` is 0 to 1."""

    answer: Nullable[str]
    score: Nullable[float] = NOT_SAID
    start: Nullable[int] = NOT_SAID
    end: Nullable[int] = NOT_SAID


@task("question-answering", events=QuestionAnsweringOutputElement)
def question_answering(
    question: str,
    context: str,
    *,
    model: str | None = None,
    align_to_words: bool | None = None,
    doc_stride: int | None = None,
    handle_impossible_answer: bool | None = None,
    max_answer_len: int | None = None,
    max_question_len: int | None = None,
    max_seq_len: int | None = None,
    top_k: int | None = None,
    **options: Unpack[CallOptions],
) -> QuestionAnsweringOutputElement | list[QuestionAnsweringOutputElement]:
    """Find the answer to a question in a text.

    https://huggingface.co/docs/inference-providers/tasks/question-answering

    Args:
        question: What to ask.
        context: The text that has the answer.
        model: Whom to ask; the client's model where it is not given, else the Hub's recommendation.
        align_to_words: Whether an answer is whole words; it can be turned off for languages without blanks.
        doc_stride: By how many tokens the pieces of a long context overlap.
        handle_impossible_answer: Whether "there is no answer" is one.
        max_answer_len: The longest answer, in tokens.
        max_question_len: The longest question, in tokens; the rest is cut off.
        max_seq_len: The longest piece, in tokens, question and context together.
        top_k: How many answers to give; there may be fewer.
        extra_body: More of the server's parameters, over those above.

    Returns:
        As the server sends it: one answer, or with `top_k` above 1 a list of them, the likeliest first.
    """
    raise NotImplementedError


@task("sentence-similarity", events=float)
def sentence_similarity(
    sentence: str,
    other_sentences: Annotated[list[str], Meta(min_length=1)],
    *,
    model: str | None = None,
    **options: Unpack[CallOptions],
) -> list[float]:
    """Say how much other sentences mean the same as one.

    https://huggingface.co/tasks/sentence-similarity

    Args:
        sentence: The one sentence.
        other_sentences: Those to compare it with, one at least.
        model: Whom to ask; the client's model where it is not given, else the Hub's recommendation.
        extra_body: More of the server's parameters.

    Returns:
        A number for each of the other sentences, in their order: 1 is the same meaning, 0 another.
    """
    raise NotImplementedError
