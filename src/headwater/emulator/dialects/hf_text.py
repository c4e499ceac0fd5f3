"""hf-inference's tasks on texts and tables: answers, by the task, in the shapes that its servers were recorded in.

Refuses texts without a mask, questions without context, tables whose columns differ in length, and, as recorded,
a table's question under another name than ``query``. "legacy" in a model's name gives zero-shot's old shape,
"flat" a text's classes without the list around them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ..wire import DialectAnswer, WholeAnswer
from . import words
from .hf_media import candidates, scores
from .hf_tasks import TaskRequest, refused, wrong

SENTIMENTS = ("POSITIVE", "NEGATIVE")
MASK = re.compile(r"\[MASK\]|<mask>")
FILLERS = ("the", "a", "this", "my", "hello")
TYPES = ("PER", "LOC", "ORG")


def texts(asked: TaskRequest) -> list[str]:
    return [asked.inputs] if isinstance(asked.inputs, str) else list(asked.inputs)


def classify(asked: TaskRequest) -> DialectAnswer:
    """One list of classes for each text."""
    found = [scores(text, SENTIMENTS, asked.given.get("top_k", 2)) for text in texts(asked)]
    return WholeAnswer(found[0] if "flat" in asked.call.model else found)


def zero_shot(asked: TaskRequest) -> DialectAnswer:
    labels = candidates(asked)
    found = [scores(text, labels, len(labels)) for text in texts(asked)]
    if "legacy" in asked.call.model:
        made: list[Any] = [
            {"sequence": text, "labels": [one["label"] for one in each], "scores": [one["score"] for one in each]}
            for text, each in zip(texts(asked), found, strict=True)
        ]
    else:
        made = [*found]
    return WholeAnswer(made[0] if isinstance(asked.inputs, str) else made)


def fill(asked: TaskRequest) -> DialectAnswer:
    """Fillers for the mask; with several masks a list of them for each."""
    made = [filled(text, asked.given) for text in texts(asked)]
    return WholeAnswer(made[0] if isinstance(asked.inputs, str) else made)


def filled(text: str, given: Any) -> list[Any]:
    masks = list(MASK.finditer(text))
    if not masks:
        raise refused("No mask_token ([MASK]) found on the input")
    targets = given.get("targets") or FILLERS
    if not all(isinstance(target, str) for target in targets):
        raise wrong("Error in `parameters.targets`: str type expected")
    found = [[token(text, mask, one) for one in scores(text, targets, given.get("top_k", 5))] for mask in masks]
    return found[0] if len(masks) == 1 else found


def token(text: str, mask: re.Match[str], one: dict[str, Any]) -> dict[str, Any]:
    sequence = text[: mask.start()] + one["label"] + text[mask.end() :]
    return {"score": one["score"], "token": words.number(one["label"]), "token_str": one["label"], "sequence": sequence}


def answer(asked: TaskRequest) -> DialectAnswer:
    """Words of the context; one object where one answer is asked for."""
    question, context = field(asked.inputs, "question"), field(asked.inputs, "context")
    spans = list(re.finditer(r"\w+", context))
    if not spans:
        raise refused("`context` cannot be empty")
    top = asked.given.get("top_k", 1)
    chosen = scores(question + context, [str(at) for at in range(len(spans))], top)
    found = [found_at(spans[int(one["label"])], one["score"]) for one in chosen]
    return WholeAnswer(found[0] if top == 1 else found)


def found_at(span: re.Match[str], score: float) -> dict[str, Any]:
    return {"score": score, "start": span.start(), "end": span.end(), "answer": span[0]}


def field(inputs: Any, name: str) -> str:
    found = inputs.get(name)
    if not isinstance(found, str):
        raise wrong(f"Error in `inputs.{name}`: field required")
    return found


def summarize(asked: TaskRequest) -> DialectAnswer:
    return WholeAnswer([{"summary_text": " ".join(text.split()[:16])} for text in texts(asked)])


def translate(asked: TaskRequest) -> DialectAnswer:
    """The words in reverse, which is a language too."""
    if ("src_lang" in asked.given) != ("tgt_lang" in asked.given):
        raise refused("`src_lang` and `tgt_lang` are needed both, or neither")
    return WholeAnswer([{"translation_text": " ".join(reversed(text.split()))} for text in texts(asked)])


def entities(asked: TaskRequest) -> DialectAnswer:
    found = [named(text, asked.given.get("aggregation_strategy", "simple")) for text in texts(asked)]
    ignored = asked.given.get("ignore_labels", [])
    kept = [[one for one in each if one.get("entity_group", one.get("entity")) not in ignored] for each in found]
    return WholeAnswer(kept[0] if isinstance(asked.inputs, str) else kept)


def named(text: str, strategy: str) -> list[dict[str, Any]]:
    """Words in capitals are names: single ones, or in runs where they are brought together."""
    single = strategy == "none"
    spans = re.finditer(r"\b[A-Z]\w*" if single else r"\b[A-Z]\w*(?: [A-Z]\w*)*", text)
    return [entity(span, number, single) for number, span in enumerate(spans, 1)]


def entity(span: re.Match[str], number: int, single: bool) -> dict[str, Any]:
    kind = TYPES[words.number(span[0]) % len(TYPES)]
    label = {"entity": f"B-{kind}", "index": number} if single else {"entity_group": kind}
    return label | {
        "score": 0.5 + words.number(span[0]) / 2**17,
        "word": span[0],
        "start": span.start(),
        "end": span.end(),
    }


def ask_table(asked: TaskRequest) -> DialectAnswer:
    """The first cell of a column that the question chooses; the question is ``query``, in the inputs or, of old, at
    the root."""
    inputs = asked.inputs if isinstance(asked.inputs, dict) else asked.body
    query, table = inputs.get("query"), columns(inputs.get("table"))
    if not isinstance(query, str) or not table:
        message = "Invalid input. Keyword argument `table` should be either of type `dict` or `list`"
        raise refused(f"{message}, but is {type(inputs.get('table'))})")
    names = list(table)
    at = words.number(query) % len(names)
    cell = table[names[at]][0]
    return WholeAnswer(
        {"answer": f"AVERAGE > {cell}", "coordinates": [[0, at]], "cells": [cell], "aggregator": "AVERAGE"}
    )


def columns(table: object) -> dict[str, list[str]] | None:
    """A table of texts whose columns are of one length, and not empty."""
    if not isinstance(table, dict) or not table or not all(isinstance(column, list) for column in table.values()):
        return None
    lengths = {len(column) for column in table.values()}
    right = (
        len(lengths) == 1 and lengths != {0} and all(isinstance(c, str) for column in table.values() for c in column)
    )
    return table if right else None


def rows(asked: TaskRequest) -> list[str]:
    """A table's rows as texts; the table is at the root, in the inputs, or in ``inputs.data``."""
    inputs = asked.inputs if isinstance(asked.inputs, dict) else {}
    table = asked.body.get("table") or inputs.get("data") or inputs.get("table")
    if not isinstance(table, dict) or not table or not all(isinstance(column, list) for column in table.values()):
        raise wrong("Error in `inputs.data`: field required")
    if len({len(column) for column in table.values()}) != 1:
        raise wrong("Error in `inputs.data`: columns of different lengths")
    return [" ".join(map(str, row)) for row in zip(*table.values(), strict=True)]


def sort_rows(asked: TaskRequest) -> DialectAnswer:
    return WholeAnswer([words.number(row) % 3 for row in rows(asked)])


def regress(asked: TaskRequest) -> DialectAnswer:
    return WholeAnswer([words.number(row) / 64 for row in rows(asked)])


ANSWERS: dict[str, Callable[[TaskRequest], DialectAnswer]] = {
    "fill-mask": fill,
    "question-answering": answer,
    "summarization": summarize,
    "table-question-answering": ask_table,
    "tabular-classification": sort_rows,
    "tabular-regression": regress,
    "text-classification": classify,
    "token-classification": entities,
    "translation": translate,
    "zero-shot-classification": zero_shot,
}
