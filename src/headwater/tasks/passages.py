"""The tasks that hold two texts against each other, a question or a sentence and others: their declarations.

Texts go as they are: what is too long for the model is for the server to cut.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, Unpack

from msgspec import Meta

from .declaration import CallOptions, Declare, task
from .lenient_types import NOT_SAID, Nullable
from .output import Output
from .parameters import Positive

if TYPE_CHECKING:
    Documents: TypeAlias = Sequence[str] | Sequence[Mapping[str, Any]]
else:
    Documents = Annotated[list[Any], Meta(min_length=1)]  # what they are is checked by `_documents`


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


class RerankOutputElement(Output):
    """A document in its rank. `index`: its place among the documents that were sent, from 0. `score`: how well it fits
    the query, the higher the better, as the server gives it: mostly 0 to 1, and any number where raw scores were asked
    for. `document`: the document, where it was asked for or the server sends it anyway."""

    index: int
    score: float
    document: Any = None

    @property
    def relevance_score(self) -> float:
        """The score, in Cohere's and Jina's word."""
        return self.score


class RerankUsage(Output):
    """What the call cost, in tokens, and in Cohere's units of search; None where the server did not say."""

    prompt_tokens: int | None = None
    total_tokens: int | None = None
    search_units: float | None = None


class RerankOutput(Output):
    """The documents, best first: `results`. `raw` is the server's whole answer, in its own order."""

    results: list[RerankOutputElement]
    model: str | None = None
    id: str | None = None
    usage: RerankUsage | None = None


def _documents(given: Mapping[str, Any]) -> str | None:
    for number, document in enumerate(given["documents"]):
        if not isinstance(document, str | Mapping):
            return f"documents[{number}] is a {type(document).__name__}; a document is a text, or a dict of its fields"
    return None


@Declare[RerankOutputElement]("rerank", _documents, lambda ranked: ranked.results)
def rerank(
    query: str,
    documents: Documents,
    *,
    model: str | None = None,
    top_n: Positive | None = None,
    return_documents: bool | None = None,
    raw_scores: bool | None = None,
    max_tokens_per_doc: Positive | None = None,
    **options: Unpack[CallOptions],
) -> RerankOutput:
    """Put documents in order by how well they fit a query.

    https://docs.cohere.com/reference/rerank, https://jina.ai/reranker and
    https://huggingface.github.io/text-embeddings-inference/

    Args:
        query: What is looked for.
        documents: The documents, one at least: texts, or dicts of fields for the servers that know those.
        model: Whom to ask; the client's model where it is not given.
        top_n: How many results to give, the best ones; all where it is not given. What a server sends beyond is left
            out.
        return_documents: Whether each result has its document; the caller's own where the server sends none back.
        raw_scores: Whether scores are the model's own numbers, and not brought to 0 to 1; text-embeddings-inference
            knows it.
        max_tokens_per_doc: How much of each document is looked at, in tokens; Cohere and vLLM know it.
        extra_body: More fields for the request's root, over those above.

    Returns:
        `results`, the best first: each has the document's `index` in the list that was given, and its `score`.

    Raises:
        DecodeError: A result has no score, or no index of one of the documents, or one that another has.
    """
    raise NotImplementedError
