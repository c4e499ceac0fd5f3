"""What is wrong, in the command's words: a task's parameter is an option, and so is a client's argument.

Errors are written for programs ("pass model=..."). The words of servers are not touched: only what was refused before
anything was sent comes in here. Names are proposed for near ones alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache
from typing import Any, Final

from cyclopts.exceptions import (
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)

from .. import errors
from ..errors import CallError
from ..tasks.declaration import SIMILAR_NAME

KEYS_STAY: Final = (
    "a key is not given on the command line, where others see it: put it into the provider's variable"
    " (`headwater providers` lists them), or name the variable that holds it with --key-env"
)
_OTHER_VARIABLE: Final = "--key-env names another variable (there is no --api-key: a command line is seen by others)"
_KEY_OPTIONS: Final = frozenset({"--api-key", "--key", "--token", "--api_key", "--hf-token", "--password"})
_ARGUMENTS: Final = ("base_url", "bill_to", "model", "model_mapping", "provider", "retries", "timeout")
_OF_A_BATCH: Final = ("concurrency", "give_up_after", "media_folder", "requests_per_minute", "retry_failed")
_PHRASES: Final = (
    (re.compile(r" or as api_key=(?=,)"), ""),
    (re.compile(r",? or (?:a Hugging Face token in HF_TOKEN or )?as token="), ", or a Hugging Face token in HF_TOKEN"),
    (re.compile(r" or as api_key="), ""),
    (re.compile(r"input_policy=InputPolicy\(allow_private=True\)"), "--allow-private"),
    (re.compile(r"allow_insecure=True"), "--allow-insecure"),
    (re.compile(r"done_ends_stream=True"), "--done-ends-stream"),
    (re.compile(r"\bmodel_mapping=\{'([^']*)': '([^']*)'\}"), r"--model-mapping '\1=\2'"),
    (re.compile(r"\bgive_up_after=None\b"), "--keep-going"),
    (re.compile(r"\bprices=\{\"([^\"]*)\": Price\(.*?\)\}"), r"--prices '\1=IN,OUT'"),
    (re.compile(r"\bprices=\"provider\""), "--prices provider"),
    (re.compile(r", or Budget\(.*?\)"), ""),
    (re.compile(r"\b(?:token|api_key)="), "--key-env"),
    (re.compile(r"^a URL and a provider exclude"), "--base-url and --provider exclude"),
)
_PLAIN: Final = (
    (re.compile(r"its own key in HF_TOKEN, or a Hugging Face token in HF_TOKEN"), "a Hugging Face token in HF_TOKEN"),
    (re.compile(r", or None$"), ""),
    (re.compile(r"\bexpected `int`"), "expected a whole number"),
    (re.compile(r"\bexpected `float`"), "expected a number"),
    (re.compile(r"[;?] [Tt]here are (?:[a-z0-9-]+, ){9,}[a-z0-9-]+$"), " (`headwater providers` lists all)"),
)
_METHOD: Final = re.compile(r"([a-z]+(?:_[a-z]+)*): ")
_NAMED: Final = re.compile(r"(?<![\w/.\-'{])([a-z]+(?:_[a-z]+)*)(?:=(?:\.\.\.|\{\.\.\.\}|True)?(?![\w'/]))")
_SNAKE: Final = re.compile(r"(?<![\w/.\-])'?([a-z]+(?:_[a-z]+)+)'?(?![\w/.\-=])")
_FIRST: Final = re.compile(r"'?([a-z]+(?:_[a-z]+)*)'?(?=: | must | is required)")


def in_command_words(error: CallError) -> str:
    """What an error says, with options in place of parameters."""
    return in_options(str(error))


def in_options(text: str) -> str:
    """The text, with options in place of parameters."""
    methods, names = _known()
    method = _METHOD.match(text)
    if method and method[1] in methods:
        text = text[method.end() :]
    for found, said in _PHRASES:
        text = found.sub(said, text)

    def option(match: re.Match[str]) -> str:
        return _flag(match[1]) if match[1] in names else match[0]

    text = _FIRST.sub(option, text, count=1) if _FIRST.match(text) else text
    text = _SNAKE.sub(option, _NAMED.sub(option, text)).replace("--timeout: total must", "--timeout must")
    for found, said in _PLAIN:
        text = found.sub(said, text)
    return f"{text}; {_OTHER_VARIABLE}" if "key and none was found" in text else text


@cache
def _known() -> tuple[frozenset[str], frozenset[str]]:
    """The tasks' methods, and what is an option of some command."""
    from ..batch.request_line import tasks_by_name

    found = set(tasks_by_name().values())
    parameters = {name for task in found for name in task.parameters.__struct_fields__}
    return frozenset(task.method for task in found), frozenset(parameters | {*_ARGUMENTS, *_OF_A_BATCH})


def _flag(name: str) -> str:
    return "--keep-going" if name == "give_up_after" else f"--{name.replace('_', '-')}"


def near(name: str, names: Iterable[str]) -> str:
    """The question whether one of these names was meant, where one is like it; else nothing."""
    found = get_close_matches(name, list(names), 1, SIMILAR_NAME)
    return f"; did you mean {found[0]}?" if found else ""


def of_class(name: str, text: str) -> str:
    """The words of a failure whose class has this name: those of ours in options, a server's as they are, and those
    about a batch's line in the words of its JSON."""
    if text.startswith(("the line ", "the model of a line ")):
        return text
    found = getattr(errors, name, None)
    return in_options(text) if isinstance(found, type) and issubclass(found, CallError) else text


# -- wrong usage


def wrong_usage(error: CycloptsError) -> str:
    """What the parser refused, in one sentence, and where help is."""
    chain = " ".join(error.command_chain or ())
    return f"{_refused(error, chain)} ({' '.join(filter(None, ['headwater', chain, '--help']))} says more)"


def _refused(error: CycloptsError, chain: str) -> str:
    match error:
        case UnknownCommandError(unused_tokens=[word, *_]):
            return _unknown_command(error, word)
        case UnknownOptionError():
            return _unknown_option(error)
        case UnusedCliTokensError(unused_tokens=[word, *_]):
            return f"{chain or 'headwater'} takes no more words, and {word[:60]!r} is one; quotes keep words together"
        case MissingArgumentError():
            name = error.keyword or (error.argument.name if error.argument else "")
            return f"{name} needs a value" if error.keyword else f"{chain} needs {_placeholder(error.argument, name)}"
        case CoercionError(argument=argument) if argument is not None:
            return _coerced(error, argument)
        case RepeatArgumentError(token=token):
            return f"{token.keyword} is given twice"
        case _:
            pass
    return " ".join(str(error).split()).rstrip(".")


_KINDS: Final[dict[Any, str]] = {float: "a number", bool: "no value"}


def _coerced(error: CoercionError, argument: Any) -> str:
    kind = _KINDS.get(_bare(argument.hint))
    if kind is not None and error.token is not None:
        return f"{argument.name} takes {kind}, not {str(error.token.value)[:60]!r}"
    if error.msg:  # a converter of ours
        return f"{argument.name} {error.msg}"
    return " ".join(str(error).split()).rstrip(".")


def _bare(hint: Any) -> Any:
    """The type in `int | None`."""
    kinds = [kind for kind in getattr(hint, "__args__", (hint,)) if kind is not type(None)]
    return kinds[0] if len(kinds) == 1 else hint


def _placeholder(argument: Any, name: str) -> str:
    metavar = getattr(getattr(argument, "parameter", None), "metavar", None)
    return f"{name} {metavar}" if name.startswith("-") and metavar else name


def _unknown_command(error: UnknownCommandError, word: str) -> str:
    if word in _KEY_OPTIONS:
        return f"{word}: {KEYS_STAY}"
    names = [name for name in error.app or () if isinstance(name, str)] if error.app is not None else []
    kind = "option" if word.startswith("-") else "command"
    return f"there is no {kind} {word[:60]!r}{near(word, names)}"


def _unknown_option(error: UnknownOptionError) -> str:
    word = str(error.token.keyword or error.token.value)
    if word in _KEY_OPTIONS:
        return f"{word}: {KEYS_STAY}"
    names = [name for argument in error.argument_collection or () for name in argument.names]
    return f"there is no option {word[:60]!r}{near(word, [*names, '--help'])}"
