"""A declaration as a command: its signature for the parser, and what happens when it is called.

The first parameter is read from standard input where it is "-" or not given. A task of text streams; every other one
shows the states of its job and then its result.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any, Final

from ..errors import InputError, InvalidParameterError
from ..schema.plain_value import plain_value
from ..tasks.parsed_types import with_values
from . import connection, picture, results
from .answer import PIECES, answer, note_cut, write_message, write_pieces, write_rest
from .answer_type import SCHEMA_HELP, answer_type
from .files import STANDARD, OutputFile, free_name, standard_input, standard_text
from .jobs import left_with_a_word
from .options import AnyDeclaration, TaskOptions, option, summary
from .progress import ProgressLine
from .terminal import TextWriter, is_terminal, say

_CHAT: Final = "chat-completion"
DASH: Final = "\0"
"""Stands for "-" while options are parsed, where "-" alone would be taken for an option; no argument can hold it."""

_JSON = ("json", bool, "Print the whole result as JSON.")
_RAW = ("raw", bool, "Let control sequences of the model's text through to the terminal.")
_NO_STREAM = ("no_stream", bool, "Wait for the whole answer, and do not ask for it piece by piece.")


class Command:
    """One task's command. `attribute` is the task's name on the client."""

    def __init__(self, attribute: str, declaration: AnyDeclaration) -> None:
        self.attribute = attribute
        self.declaration = declaration
        self.is_chat = declaration.name == _CHAT
        self.streams = declaration.name in PIECES
        self.makes_video = declaration.name.endswith("-to-video")
        self.options = TaskOptions(declaration, frozenset({"stream"}))
        self.signature = inspect.Signature([*self._positional(), *self._task_options(), *self._own_options()])

    def function(self) -> Callable[..., int]:
        """What the parser calls."""

        def command(*args: Any, **kwargs: Any) -> int:
            given = self.signature.bind(*args, **kwargs).arguments
            self.run({name: _restored(value) for name, value in given.items()})
            return 0

        command.__name__ = self.attribute
        command.__doc__ = summary(self.declaration.doc)
        command.__signature__ = self.signature  # type: ignore[attr-defined]
        return command

    # -- its parameters

    @property
    def _first(self) -> str:
        return "question" if self.is_chat else self.declaration.positional[0]

    def _positional(self) -> list[inspect.Parameter]:
        if self.is_chat:
            words = 'What to ask; read from standard input where it is "-" or not given.'
            question = option("question", str, words, metavar="QUESTION")
            return [question.replace(kind=inspect.Parameter.POSITIONAL_ONLY)]
        return [self._placed(name) for name in self.declaration.positional]

    def _placed(self, name: str) -> inspect.Parameter:
        return self.options.parameter(name).replace(kind=inspect.Parameter.POSITIONAL_OR_KEYWORD)

    def _is_required(self, name: str) -> bool:
        return self.declaration.signature.parameters[name].default is inspect.Parameter.empty

    def _task_options(self) -> list[inspect.Parameter]:
        placed = () if self.is_chat else self.declaration.positional
        return [self.options.parameter(name) for name in self.options.names if name not in placed]

    def _own_options(self) -> list[inspect.Parameter]:
        own = [option(*_JSON), option(*_RAW)]
        if self.is_chat:
            own.append(option("system", str, "What the model is to be or do, before the question.", metavar="TEXT"))
            own.append(option("markdown", bool, "Show the answer as Markdown, on a terminal."))
        else:
            own.append(
                option("output", str, "Write the result to this file.", flags=["--output", "-o"], metavar="FILE")
            )
            own.append(option("force", bool, "Let --output write over a file that is there."))
        if self.streams:
            own.append(option(*_NO_STREAM))
            own.append(option("schema", str, SCHEMA_HELP, metavar="FILE.json|MODULE:TYPE"))
        return [*own, *connection.options()]

    # -- its call

    def run(self, given: Mapping[str, Any]) -> None:
        """Perform it."""
        arguments = self.options.values(given if self.is_chat else self._with_input(given))
        if self.is_chat:
            arguments["messages"] = _conversation(given, arguments.get("messages"))
        if given.get("schema"):
            self._set_type(arguments, given["schema"])
        output = given.get("output")
        file = OutputFile(output, force=bool(given.get("force"))) if output and output != STANDARD else None
        with file or nullcontext(), connection.client_for(given) as client:
            task = getattr(client, self.attribute)
            if given.get("schema"):
                self._write_value(task(**arguments), given, file)
            elif self.streams and not (given.get("json") or given.get("details") or file):
                self._write_answer(task, arguments, given)
            elif file and self.makes_video and not given.get("json"):
                self._save(task, arguments, file)
            else:
                self._write_result(self._result(task, arguments), given, file)

    def _set_type(self, arguments: dict[str, Any], schema: str) -> None:
        name = "response_format" if self.is_chat else "grammar"
        if name in arguments:
            raise InvalidParameterError(f"--schema and --{name.replace('_', '-')} exclude each other")
        arguments[name] = answer_type(schema)

    def _with_input(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What was given, with standard input where it was asked for."""
        values = dict(given)
        wanted = [name for name in self.options.names if values.get(name) in (STANDARD, [STANDARD])]
        missing = [name for name in self.options.names if self._is_required(name) and name not in values]
        if missing and missing[0] == self._first:
            wanted.append(missing.pop(0))
        if missing:
            raise InvalidParameterError(f"{self.declaration.name} needs {' and '.join(missing)}, too")
        readable = [name for name in wanted if name == self._first or self.options.kinds[name] in ("file", "files")]
        if len(readable) > 1:
            raise InputError(f"standard input can be read once, and not for {' and '.join(readable)}")
        for name in readable:
            data = standard_input() if self.options.kinds[name] in ("file", "files") else standard_text()
            values[name] = [data] if self.options.kinds[name] in ("files", "texts") else data
        return values

    def _result(self, task: Any, arguments: dict[str, Any]) -> Any:
        if self.streams:
            return task(**arguments)
        with left_with_a_word(task.stream(**arguments)) as run, ProgressLine() as line:
            line.watch(run)
            for event in run:
                line.show(event)
            return run.result()

    def _save(self, task: Any, arguments: dict[str, Any], file: OutputFile) -> None:
        """A video may be larger than memory: it goes to the disk as it comes."""
        with left_with_a_word(task.stream(**arguments)) as run, ProgressLine() as line:
            file.fill(run, line.watch(run).show)

    def _write_answer(self, task: Any, arguments: dict[str, Any], given: Mapping[str, Any]) -> None:
        piece = PIECES[self.declaration.name]
        with answer(markdown=bool(given.get("markdown")), raw=bool(given.get("raw"))) as (writer, aside):
            if given.get("no_stream"):
                result = task(**arguments)
                if self.is_chat and result.choices:
                    write_message(result.choices[0].message, writer, aside)
                elif not self.is_chat:
                    writer.write(result)
            else:
                with task.stream(**arguments) as run:
                    write_pieces(map(piece, run), writer, aside)
                    result = run.result()
            if self.is_chat:
                write_rest(result, writer, aside)
        if self.is_chat:
            note_cut(result)

    def _write_result(self, result: Any, given: Mapping[str, Any], file: OutputFile | None) -> None:
        made = None if given.get("json") else results.as_file(result, file.path if file else None)
        if made is not None:
            self._write_bytes(made[0], made[1], given, file)
            if hasattr(result, "getpixel") and given.get("output") != STANDARD and picture.can_show():
                picture.show(result)
            return
        is_seen = file is None and is_terminal(sys.stdout)
        text = None if given.get("json") else results.as_text(result)
        if text is None:
            text = results.as_json(result, pretty=is_seen)
        if file is not None:
            file.write(text.encode(errors="replace") + b"\n")
            return
        writer = TextWriter(sys.stdout, raw=bool(given.get("raw")))
        writer.write(text)
        writer.end()

    def _write_value(self, result: Any, given: Mapping[str, Any], file: OutputFile | None) -> None:
        """The value of an answer as JSON; of several, one a line. An answer that has none is written as it is."""
        is_seen = file is None and is_terminal(sys.stdout)
        if given.get("json"):
            texts = [results.as_json(with_values(result), pretty=is_seen)]
        else:
            found = [choice.message for choice in result.choices] if self.is_chat else [result]
            if self.is_chat and any(message.tool_calls and message.parsed is None for message in found):
                texts = [results.as_json(message, pretty=is_seen) for message in found]
            else:
                texts = [results.as_json(plain_value(each.parsed), pretty=is_seen) for each in found]
        if file is not None:
            file.write("".join(f"{text}\n" for text in texts).encode(errors="replace"))
            return
        writer = TextWriter(sys.stdout, raw=bool(given.get("raw")))
        for text in texts:
            writer.write(f"{text}\n")
        writer.end()

    def _write_bytes(self, data: bytes, suffix: str, given: Mapping[str, Any], file: OutputFile | None) -> None:
        if file is not None:
            file.write(data)
        elif given.get("output") == STANDARD or not is_terminal(sys.stdout):
            sys.stdout.buffer.write(data)
        else:  # it was made and paid for, and a screen cannot take it
            with OutputFile(free_name(self.declaration.name, suffix)) as made:
                made.write(data)
            say(f"written to {made.path}; -o names another file")


def _restored(value: Any) -> Any:
    """Argument values with "-" again where it stood."""
    if isinstance(value, list):
        return [_restored(one) for one in value]
    return STANDARD if value == DASH else value


def _conversation(given: Mapping[str, Any], before: Any) -> Any:
    """The messages: the system's, those of --messages, the question."""
    question = given.get("question")
    if before is not None and (question is None or not isinstance(before, list)):
        messages = before
    else:
        if question is None or question == STANDARD:
            question = standard_text()
        if not question.strip():
            raise InputError("the question is empty")
        messages = [*(before or ()), {"role": "user", "content": question}]
    system = given.get("system")
    return [{"role": "system", "content": system}, *messages] if system and isinstance(messages, list) else messages
