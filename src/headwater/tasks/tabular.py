"""The tasks about tables: their declarations, and what they answer with.

A table is a dict of columns of one length, {"name": [cells, the first row's first]}. Nothing here converts a cell:
servers of this kind take text.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias, Unpack

from msgspec import Meta

from .declaration import CallOptions, Declare, task
from .lenient_types import NOT_SAID, Nullable
from .output import Output

Table = Annotated[dict[str, list[Any]], Meta(min_length=1)]
Padding: TypeAlias = Literal["do_not_pad", "longest", "max_length"]


class TableQuestionAnsweringOutputElement(Output):
    """An answer. `cells`: what it was made of; `coordinates`: where they are, [row, column] from 0.

    `aggregator`: what was done with the cells ("SUM", "AVERAGE", "COUNT", "NONE"), where the model can.
    """

    answer: Nullable[str]
    coordinates: Nullable[list[list[int]]] = NOT_SAID
    cells: Nullable[list[str]] = NOT_SAID
    aggregator: str | None = None


def _check_table(given: Mapping[str, Any]) -> str | None:
    lengths = {name: len(column) for name, column in given["table"].items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name!r}: {length}" for name, length in list(lengths.items())[:10])
        return f"table must have columns of one length, not of several ({shown})"
    return None


@task("table-question-answering", events=TableQuestionAnsweringOutputElement, check=_check_table)
def table_question_answering(
    table: Table,
    query: str,
    *,
    model: str | None = None,
    padding: Padding | None = None,
    sequential: bool | None = None,
    truncation: bool | None = None,
    **options: Unpack[CallOptions],
) -> TableQuestionAnsweringOutputElement:
    """Find the answer to a question in a table.

    https://huggingface.co/docs/inference-providers/tasks/table-question-answering

    Args:
        table: {"column": ["cell", ...], ...}: columns of one length, their cells as text.
        query: What to ask.
        model: Whom to ask; the client's model where it is not given, else the Hub's recommendation.
        padding: What to fill up with blanks: "do_not_pad", "longest" or "max_length".
        sequential: Whether to read rows one after the other, which is slower, for questions that build on others.
        truncation: Whether to cut a table that is too long.
        extra_body: More of the server's parameters, over those above.

    Returns:
        The answer, with the cells that it was made of.
    """
    raise NotImplementedError


@Declare[str | int | float]("tabular-classification", _check_table)
def tabular_classification(
    table: Table,
    *,
    model: str | None = None,
    **options: Unpack[CallOptions],
) -> list[str | int | float]:
    """Say what each row of a table is.

    https://huggingface.co/tasks/tabular-classification

    Args:
        table: {"column": ["cell", ...], ...}: columns of one length, named as the model was taught.
        model: Whom to ask; the client's model where it is not given, else the Hub's recommendation.
        extra_body: More of the server's parameters.

    Returns:
        A class for each row: a text or a number, as the model was taught.
    """
    raise NotImplementedError


@task("tabular-regression", events=float, check=_check_table)
def tabular_regression(
    table: Table,
    *,
    model: str | None = None,
    **options: Unpack[CallOptions],
) -> list[float]:
    """Say a number for each row of a table.

    https://huggingface.co/tasks/tabular-regression

    Args:
        table: {"column": ["cell", ...], ...}: columns of one length, named as the model was taught.
        model: Whom to ask; the client's model where it is not given, else the Hub's recommendation.
        extra_body: More of the server's parameters.

    Returns:
        A number for each row.
    """
    raise NotImplementedError
