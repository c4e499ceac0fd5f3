"""The pages of the reference that are read from the declarations: tasks, providers, errors, faults, the command."""

from __future__ import annotations

import html
import inspect
import re
from collections.abc import Iterator
from typing import Any

from griffe import Docstring, DocstringSectionKind

import headwater
from headwater import errors
from headwater.cli.app import app
from headwater.client.bound_task import Task
from headwater.client.task_table import Tasks
from headwater.emulator.faults import FAULTS
from headwater.providers import PROVIDERS
from headwater.providers.registry import SERVER
from headwater.providers.table import markdown
from headwater.tasks.declaration import Declaration

OPENAI = {
    "chat_completion": "client.chat.completions.create",
    "text_generation": "client.completions.create",
    "create_response": "client.responses.create",
    "create_embedding": "client.embeddings.create",
    "create_moderation": "client.moderations.create",
    "create_message": "client.messages.create",
    "count_message_tokens": "client.messages.count_tokens",
    "text_to_image": "client.images.generate",
    "edit_image": "client.images.edit",
    "text_to_speech": "client.audio.speech.create",
    "audio_translation": "client.audio.translations.create",
    "automatic_speech_recognition": "client.audio.transcriptions.create",
}
"""OpenAI's spelling of a task, where it has one, or Anthropic's."""
JOB_EVENTS = "Submitted", "Queued", "Started", "Progress", "Transferred"


def pages() -> Iterator[tuple[str, str]]:
    """Every generated page: its path under `reference/`, and its text."""
    declared = [row.declaration for row in vars(Tasks).values() if isinstance(row, Task)]
    yield "tasks.md", tasks_page(declared)
    for declaration in declared:
        yield f"tasks/{declaration.method}.md", task_page(declaration)
    yield "providers.md", providers_page()
    for name in PROVIDERS:
        yield f"providers/{name}.md", provider_page(name)
    yield "errors.md", errors_page()
    yield "outputs.md", outputs_page()
    yield "faults.md", faults_page()
    yield "command-line.md", command_page()


def tasks_page(declared: list[Declaration[..., Any, Any]]) -> str:
    """The list of the tasks, each with what it does."""
    rows = [
        f"| [`{one.method}`](tasks/{one.method}.md) | `{one.name}` | {_summary(one.doc)} |"
        for one in sorted(declared, key=lambda one: one.method)
    ]
    head = ["# Tasks", "", "Every task is a method of both clients, of `.stream`, and of the command.", ""]
    return "\n".join([*head, "| method | task | what it does |", "|---|---|---|", *rows, ""])


def task_page(declaration: Declaration[..., Any, Any]) -> str:
    """Everything about one task: parameters, events, result, errors, who has it."""
    method, name = declaration.method, declaration.name
    sections = {section.kind: section for section in Docstring(declaration.doc).parse("google", warnings=False)}
    text = [f"# {method}", "", _prose(declaration.doc), ""]
    text += [f"Task `{name}`. " + _spellings(method, name), "", "## Parameters", ""]
    text += [*_parameters(declaration, sections.get(DocstringSectionKind.parameters)), ""]
    text += ["## Events of `.stream(...)`", "", *_events(declaration), ""]
    for kind, title in (DocstringSectionKind.returns, "Result"), (DocstringSectionKind.raises, "Errors"):
        if kind in sections:
            text += [f"## {title}", "", *_listed(kind, sections[kind].value), ""]
    text += ["## Who has it", "", *_served_by(name), ""]
    return "\n".join(text)


def _summary(doc: str) -> str:
    return doc.strip().splitlines()[0]


def _prose(doc: str) -> str:
    """A docstring up to its first section, its bare links as links."""
    before = re.split(r"^(?:Args|Returns|Raises):$", doc, maxsplit=1, flags=re.MULTILINE)[0].strip()
    return re.sub(r"(?<![<(\[])(https?://[^\s)]+[^\s).,:;])", r"<\1>", before)


def _spellings(method: str, name: str) -> str:
    whose = "Anthropic's" if name in ("messages", "count-tokens") else "OpenAI's"
    openai = f"In {whose} spelling `{OPENAI[method]}(...)`; at" if method in OPENAI else "At"
    return f"{openai} the command `headwater {name}`."


def _parameters(declaration: Declaration[..., Any, Any], section: Any) -> list[str]:
    """The table of parameters: name, type, default, meaning."""
    meanings = {one.name.lstrip("*"): one.description for one in section.value} if section else {}
    rows = ["| name | type | default | what it is |", "|---|---|---|---|"]
    for one in declaration.signature.parameters.values():
        default = "required" if one.default is one.empty else f"`{one.default!r}`"
        if one.kind is one.VAR_KEYWORD:
            default = ""
        rows.append(
            f"| `{one.name}` | {_cell(_type(one.annotation))} | {default} | {_flat(meanings.get(one.name, ''))} |"
        )
    return rows


def _type(annotation: Any) -> str:
    """A parameter's type as it is written in the code, without modules."""
    if annotation is inspect.Parameter.empty:
        return ""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return re.sub(r"\b(?:[a-z_]+\.)+(?=[A-Za-z])", "", text)


def _cell(text: str) -> str:
    return f"<code>{html.escape(text).replace('|', '&#124;')}</code>" if text else ""


def _flat(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def _events(declaration: Declaration[..., Any, Any]) -> list[str]:
    names = [one for one in declaration.events if one != "JobEvent"]
    said = [f"- {_linked(name)}" for name in names]
    if "JobEvent" in declaration.events:
        of_job = ", ".join(f"[`{name}`](../events.md)" for name in JOB_EVENTS)
        said.append(f"- where there is a job or a transfer, before its result: {of_job}")
    return said


def _linked(name: str) -> str:
    return f"[`{name}`](../outputs.md)" if name in headwater.__all__ else f"`{name}`"


def _listed(kind: DocstringSectionKind, items: Any) -> list[str]:
    if kind is DocstringSectionKind.raises:
        return [f"- [`{one.annotation}`](../errors.md): {_flat(one.description)}" for one in items]
    return [_prose(one.description) for one in items]


def _served_by(task: str) -> list[str]:
    named = [f"[{name}](../providers/{name}.md)" for name, row in PROVIDERS.items() if task in row.tasks]
    at_url = ["any server at a URL (`base_url=`)"] if task in SERVER.tasks else []
    return [", ".join([*at_url, *named]) + "."]


def providers_page() -> str:
    """The list of providers, and the table of who has which task."""
    rows = [f"| [{name}](providers/{name}.md) | {_keys(row)} |" for name, row in sorted(PROVIDERS.items())]
    return "\n".join(
        [
            "# Providers",
            "",
            "| name | its key's variable |",
            "|---|---|",
            *rows,
            "",
            "## Who has which task",
            "",
            markdown(),
            "",
        ]
    )


def _keys(row: Any) -> str:
    return ", ".join(f"`{name}`" for name in row.keys) or "none"


def provider_page(name: str) -> str:
    """One provider: where it is, its key, its tasks."""
    row = PROVIDERS[name]
    declared = [one.declaration for one in vars(Tasks).values() if isinstance(one, Task)]
    its = [one for one in declared if one.name in row.tasks]
    facts = [
        f"- Asked at `{row.base or 'the router'}`, with its own key.",
        f"- Its key is looked for in {_keys(row)}, and sent as `{row.key_header.name}` {_scheme(row)}.",
        "- A Hugging Face token reaches it through Hugging Face's router, and is billed there."
        if row.routed
        else "- Hugging Face's router does not carry calls to it.",
    ]
    if row.resume:
        facts.append(
            "- Its jobs can be taken up again with `client.resume(job)`: "
            + ", ".join(f"`{one}`" for one in row.resume)
            + "."
        )
    head = [
        f"# {name}",
        "",
        "```python",
        "from headwater import InferenceClient",
        "",
        f'client = InferenceClient(provider="{name}")',
        "```",
    ]
    rows = [f"- [`{one.method}`](../tasks/{one.method}.md)" for one in its]
    return "\n".join([*head, "", *facts, "", "## Tasks", "", *rows, ""])


def _scheme(row: Any) -> str:
    return f"with the word `{row.key_header.scheme}` before it" if row.key_header.scheme else "without a word before it"


def errors_page() -> str:
    """The tree of errors, then each of them."""
    tree = inspect.getdoc(errors) or ""
    names = [name for name in vars(errors) if _is_own(getattr(errors, name), name)]
    each = [f"::: headwater.errors.{name}" for name in names]
    return "\n".join(["# Errors", "", "```text", tree, "```", "", *each, ""])


def _is_own(value: object, name: str) -> bool:
    """Whether a name of `errors` is a public class under its own name."""
    return isinstance(value, type) and value.__name__ == name and name in headwater.__all__


OUTPUTS = {
    "headwater.tasks.output": "Every result",
    "headwater.engine.facts": "How a call went",
    "headwater.tasks.chat_types": "Chat",
    "headwater.tasks.model_response": "Responses",
    "headwater.tasks.response_events": "Events of a response",
    "headwater.tasks.chat_items": "From chats to responses, and back",
    "headwater.tasks.message_types": "Messages",
    "headwater.tasks.parsed_types": "Typed answers",
    "headwater.tasks.text": "Text",
    "headwater.tasks.embeddings": "Embeddings",
    "headwater.tasks.moderation": "Moderation",
    "headwater.tasks.image_generation": "Images in a stream",
    "headwater.media.media": "Sounds and videos",
    "headwater.tasks.vision": "Images",
    "headwater.tasks.audio": "Audio",
    "headwater.tasks.video": "Video",
    "headwater.tasks.language": "Language",
    "headwater.tasks.passages": "Questions and passages",
    "headwater.tasks.multimodal": "Documents and pictures",
    "headwater.tasks.tabular": "Tables",
    "headwater.tasks.zero_shot": "Labels that were not trained",
    "headwater.client.openai_types": "OpenAI's spelling",
    "headwater.client.hub": "Models",
    "headwater.client.post": "Requests of your own",
    "headwater.mapper.results": "A map's items",
}
"""The modules that have results, in the order of the page, with their titles there."""


def undocumented(targets: set[str]) -> list[str]:
    """The public classes and functions that no page of the reference is about, by what its pages show."""
    public = {name: getattr(headwater, name) for name in headwater.__all__}
    named = {name: value for name, value in public.items() if getattr(value, "__name__", None) == name}  # no alias
    places = {f"{value.__module__}.{name}": value.__module__ for name, value in named.items()}
    own = {place: module for place, module in places.items() if module.startswith("headwater.")}
    return sorted(place for place, module in own.items() if not {place, module} & targets)


def outputs_page() -> str:
    """Every public type of a result, by module."""
    public = [value for name in headwater.__all__ if callable(value := getattr(headwater, name))]
    text = ["# Outputs", "", "Every result is an `Output`: its fields answer as attributes and as keys.", ""]
    for module, title in OUTPUTS.items():
        names = list(dict.fromkeys(one.__name__ for one in public if one.__module__ == module))
        each = [f"::: {module}.{name}\n    options:\n      heading_level: 3" for name in names]
        text += [f"## {title}", "", *("\n".join(each).split("\n")), ""]
    return "\n".join(text)


def faults_page() -> str:
    """What the fault server can do."""
    rows = [f"| `{name}` | {_flat(fault.line)} |" for name, fault in FAULTS.items()]
    return "\n".join(
        [
            "# Faults",
            "",
            _prose(inspect.getdoc(headwater.emulator.faults) or ""),
            "",
            "| fault | what it does |",
            "|---|---|",
            *rows,
            "",
        ]
    )


def command_page() -> str:
    """The command's own help, all of it."""
    return str(app(None).generate_docs(output_format="markdown", recursive=True))
