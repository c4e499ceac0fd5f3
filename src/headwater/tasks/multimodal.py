"""The tasks that answer a question about an image: their declarations, and what they answer with.

The words of a document are read by the server, if `word_boxes` does not bring them.
"""

from typing import Annotated, Unpack

from msgspec import Meta

from ..media.source import Source
from .declaration import CallOptions, task
from .lenient_types import NOT_SAID, Nullable
from .output import Output
from .parameters import source

Box = Annotated[list[float], Meta(min_length=4, max_length=4)]


class DocumentQuestionAnsweringOutputElement(Output):
    """An answer. `start` and `end`: its first and last word, counted from 0.

    Models that write their answers (Donut) give the text alone; the rest is None.
    """

    answer: Nullable[str]
    score: float | None = None
    start: int | None = None
    end: int | None = None


class VisualQuestionAnsweringOutputElement(Output):
    """An answer, and its score: 0 to 1."""

    score: Nullable[float] = NOT_SAID
    answer: str | None = None

    def __post_init__(self) -> None:
        if self.answer is None and self.score is None:
            raise ValueError("Expected an answer, got neither its text nor its score")


_IMAGE = source("image")


@task("document-question-answering", events=DocumentQuestionAnsweringOutputElement, check=_IMAGE)
def document_question_answering(
    image: Source,
    question: str,
    *,
    model: str | None = None,
    doc_stride: int | None = None,
    handle_impossible_answer: bool | None = None,
    lang: str | None = None,
    max_answer_len: int | None = None,
    max_question_len: int | None = None,
    max_seq_len: int | None = None,
    top_k: int | None = None,
    word_boxes: list[Box | str] | None = None,
    **options: Unpack[CallOptions],
) -> list[DocumentQuestionAnsweringOutputElement]:
    """Find the answer to a question in the image of a document.

    https://huggingface.co/tasks/document-question-answering

    Args:
        image: Bytes, a binary file, a path, an http(s) URL, a data URL, a PIL image, or an array of uint8.
        question: What to ask.
        model: Whom to ask; the client's model where it is not given, else the Hub's recommendation.
        doc_stride: By how many tokens the pieces of a long document overlap.
        handle_impossible_answer: Whether "there is no answer" is one.
        lang: The language to read the image in; the server's default is English.
        max_answer_len: The longest answer, in tokens.
        max_question_len: The longest question, in tokens; the rest is cut off.
        max_seq_len: The longest piece, in tokens, question and document together.
        top_k: How many answers to give; there may be fewer.
        word_boxes: Words, and their boxes [x0, y0, x1, y1] from 0 to 1000, so that the server need not read.
        extra_body: More of the server's parameters, over those above.

    Returns:
        Answers, the likeliest first.
    """
    raise NotImplementedError


@task("visual-question-answering", events=VisualQuestionAnsweringOutputElement, check=_IMAGE)
def visual_question_answering(
    image: Source,
    question: str,
    *,
    model: str | None = None,
    top_k: int | None = None,
    **options: Unpack[CallOptions],
) -> list[VisualQuestionAnsweringOutputElement]:
    """Answer a question about an image.

    https://huggingface.co/tasks/visual-question-answering

    Args:
        image: Bytes, a binary file, a path, an http(s) URL, a data URL, a PIL image, or an array of uint8.
        question: What to ask.
        model: Whom to ask; the client's model where it is not given, else the Hub's recommendation.
        top_k: How many answers to give; there may be fewer. The server's default is mostly 5.
        extra_body: More of the server's parameters, over those above.

    Returns:
        Answers with their scores, the likeliest first.
    """
    raise NotImplementedError
