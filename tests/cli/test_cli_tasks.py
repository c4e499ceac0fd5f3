"""The commands that are made from declarations: every row of the clients, their options, results and files."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pytest
from msgspec import Meta

from headwater import InferenceClient
from headwater.cli import app, command, connection
from headwater.cli.command import Command
from headwater.cli.options import TaskOptions, descriptions
from headwater.cli.progress import describe
from headwater.client.bound_task import Task
from headwater.media.media import Media
from headwater.media.source import Source
from headwater.protocol.events import Job, Progress, Queued, Started, Submitted, Transferred
from headwater.providers import PROVIDERS
from headwater.tasks.declaration import task
from headwater.tasks.output import Output

ROWS = {name: row for name, row in inspect.getmembers_static(InferenceClient) if isinstance(row, Task)}


@pytest.mark.parametrize("name", ROWS)
def test_every_task_has_a_command(name: str, headwater_command: Any) -> None:
    declaration = ROWS[name].declaration
    done = headwater_command(declaration.name, "--help")
    assert done.code == 0
    assert done.err == ""
    made = Command(name, declaration)
    for parameter in set(declaration.parameters.__struct_fields__) - {"stream"}:
        assert parameter in made.signature.parameters
        assert descriptions(declaration.doc).get(parameter), f"{parameter} of {name} has no description"
        assert "--" + parameter.replace("_", "-") in done.out or parameter.upper() in done.out
    assert "--token" not in done.out.split()
    assert "--api-key" not in done.out.split()


def test_help_lists_everything(headwater_command: Any) -> None:
    done = headwater_command("--help")
    assert done.code == 0
    for row in ROWS.values():
        assert row.declaration.name in done.out
    for word in ("providers", "tasks", "--version", "HF_TOKEN"):
        assert word in done.out


@task("make-all")
def every_kind(
    picture: Source,
    words: list[str],
    *,
    more: list[Source] | None = None,
    count: Annotated[int, Meta(ge=1)] | None = None,
    share: float | None = None,
    loud: bool = False,
    way: Literal["left", "right"] | None = None,
    labels: dict[str, int] | None = None,
    size: list[int] | None = None,
    choice: Annotated[Any, Meta(extra_json_schema={"type": ["string", "object"]})] | None = None,
    model: str | None = None,
) -> Media:
    """Do all.

    Args:
        picture: A picture.
        words: Words,
            over two lines.
        more: More pictures.

    Returns:
        Nothing.
    """
    raise NotImplementedError


@task("of-a-table")
def of_a_table(table: dict[str, list[int]], *, model: str | None = None) -> list[float]:
    """Tell of a table."""
    raise NotImplementedError


def test_kinds_are_read_from_the_schema() -> None:
    assert TaskOptions(every_kind).kinds == {
        "picture": "file",
        "words": "texts",
        "more": "files",
        "count": "whole",
        "share": "number",
        "loud": "flag",
        "way": "text",
        "labels": "json",
        "size": "json",
        "choice": "json or text",
        "model": "text",
    }
    assert descriptions(every_kind.doc) == {
        "picture": "A picture.",
        "words": "Words, over two lines.",
        "more": "More pictures.",
    }


class Recorder:
    """A client whose one task notes what it is called with, and gives a result."""

    def __init__(self, result: Any = "done", events: Iterable[Any] = ()) -> None:
        self.arguments: dict[str, Any] = {}
        self.answer = result
        self.events = list(events)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None: ...

    @property
    def every_kind(self) -> Recorder:
        return self

    def stream(self, **arguments: Any) -> Recorder:
        self.arguments = arguments
        return self

    def __iter__(self) -> Any:
        return iter(self.events)

    def result(self) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def make_all(monkeypatch: pytest.MonkeyPatch, headwater_command: Any, tmp_path: Path) -> Any:
    """`headwater make-all ARGUMENTS` with a recording client, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(InferenceClient, "every_kind", Task(lambda: every_kind), raising=False)

    def run(recorder: Recorder, *arguments: str, given: bytes = b"") -> Any:
        monkeypatch.setattr(connection, "client_for", lambda given: recorder)
        return headwater_command("make-all", *arguments, given=given)

    return run


def test_values_of_every_kind(make_all: Any) -> None:
    recorder = Recorder()
    done = make_all(
        recorder, "cat.png", "a", "b", "--more", "x.png", "--more", "https://y.example/z.png", "--count", "2",
        "--share", ".5", "--loud", "--way", "left", "--labels", '{"a": 1}', "--size", "[1, 2]", "--choice", "auto",
    )  # fmt: skip
    assert done == (0, "done\n", "")
    assert recorder.arguments == {
        "picture": "cat.png",
        "words": ["a", "b"],
        "more": ["x.png", "https://y.example/z.png"],
        "count": 2,
        "share": 0.5,
        "loud": True,
        "way": "left",
        "labels": {"a": 1},
        "size": [1, 2],
        "choice": "auto",
    }


def test_a_file_is_read_from_stdin_as_bytes(make_all: Any) -> None:
    recorder = Recorder()
    assert make_all(recorder, "-", "a", given=b"\x89PNG\n").code == 0
    assert recorder.arguments == {"picture": b"\x89PNG\n", "words": ["a"]}
    assert make_all(recorder, "--words", "-", given=b"x").code == 0
    assert recorder.arguments == {"picture": b"x", "words": ["-"]}


def test_json_is_read_from_stdin_too(headwater_command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder([0.5])
    monkeypatch.setattr(InferenceClient, "every_kind", Task(lambda: of_a_table), raising=False)
    monkeypatch.setattr(connection, "client_for", lambda given: recorder)
    assert headwater_command("of-a-table", given=b'{"a": [1]}').out == "[0.5]\n"
    assert recorder.arguments == {"table": {"a": [1]}}
    assert headwater_command("of-a-table", "{").code == 2


def test_stdin_is_read_once(make_all: Any) -> None:
    done = make_all(Recorder(), "-", "a", "--more", "-", given=b"x")
    assert done.code == 2
    assert "read once" in done.err


def test_what_is_missing_is_said_before_stdin_is_read(make_all: Any) -> None:
    done = make_all(Recorder(), given=b"x")
    assert (done.code, done.err) == (2, "headwater: make-all needs words, too\n")


def test_a_word_that_is_none_of_the_choices(make_all: Any) -> None:
    done = make_all(Recorder(), "cat.png", "a", "--way", "up")
    assert done.code == 2
    assert "left" in done.err and "right" in done.err


class Sound(Output):
    text: str
    parts: list[str] | None = None


class Mask(Output):
    label: str
    mask: Any


def test_a_result_that_is_a_text_is_printed_as_text(make_all: Any) -> None:
    assert make_all(Recorder(Sound(text="words")), "f", "w").out == "words\n"
    whole = make_all(Recorder(Sound(text="words")), "f", "w", "--json").out
    assert json.loads(whole) == {"text": "words", "parts": None}
    assert json.loads(make_all(Recorder(Sound(text="a", parts=["b"])), "f", "w").out)["parts"] == ["b"]


def test_media_go_to_a_file(make_all: Any) -> None:
    media = Media(b"RIFF\0\0\0\0WAVEfmt ", "audio/wav")
    assert make_all(Recorder(media), "f", "w", "-o", "out.wav") == (0, "", "")
    assert Path("out.wav").read_bytes() == media


def test_media_go_into_a_pipe(make_all: Any, tmp_path: Path) -> None:
    media = Media(b"ID3abc", "audio/mpeg")
    assert make_all(Recorder(media), "f", "w").out == "ID3abc"
    assert make_all(Recorder(media), "f", "w", "-o", "-").out == "ID3abc"
    assert json.loads(make_all(Recorder(media), "f", "w", "--json").out) == "data:audio/mpeg;base64,SUQzYWJj"
    assert list(tmp_path.iterdir()) == []


def test_media_do_not_go_to_a_screen(make_all: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "is_terminal", lambda stream: stream is sys.stdout)
    done = make_all(Recorder(Media(b"ID3abc", "audio/mpeg")), "f", "w")
    assert (done.code, done.out) == (0, "")
    assert done.err == "headwater: written to make-all-1.mp3; -o names another file\n"
    assert make_all(Recorder(Media(b"second", "audio/mpeg")), "f", "w").code == 0
    assert (Path("make-all-1.mp3").read_bytes(), Path("make-all-2.mp3").read_bytes()) == (b"ID3abc", b"second")


def test_images_are_written_in_the_format_that_is_named(make_all: Any) -> None:
    from PIL import Image

    image = Image.new("RGBA", (2, 1), "red")
    for name, kind in [("a.png", "PNG"), ("a.jpg", "JPEG"), ("a.webp", "WEBP"), ("a", "PNG")]:
        assert make_all(Recorder(image), "f", "w", "-o", name).code == 0
        with Image.open(name) as opened:
            assert opened.format == kind
    masks = json.loads(make_all(Recorder([Mask(label="x", mask=image)]), "f", "w").out)
    assert masks[0]["mask"].startswith("data:image/png;base64,")
    sounds = json.loads(make_all(Recorder([Mask(label="x", mask=Media(b"ID3abc", "audio/mpeg"))]), "f", "w").out)
    assert sounds[0]["mask"] == "data:audio/mpeg;base64,SUQzYWJj"


def test_a_file_that_is_there_stays(make_all: Any) -> None:
    recorder = Recorder(Media(b"new", "audio/wav"))
    Path("there").write_bytes(b"old content")
    Path("link").symlink_to("target")
    for name in ("there", "link"):
        done = make_all(recorder, "f", "w", "-o", name)
        assert done.code == 2
        assert "--force" in done.err
    assert Path("there").read_bytes() == b"old content"
    assert not Path("target").exists()
    assert recorder.arguments == {}
    assert make_all(recorder, "f", "w", "-o", "there", "--force").code == 0
    assert Path("there").read_bytes() == b"new"


def test_a_call_that_fails_leaves_no_file_and_spoils_none(make_all: Any, tmp_path: Path) -> None:
    from headwater import RateLimitError

    recorder = Recorder(RateLimitError("too many"))
    Path("there").write_bytes(b"old content")
    assert make_all(recorder, "f", "w", "-o", "new") == (1, "", "headwater: too many\n")
    assert make_all(recorder, "f", "w", "-o", "there", "--force").code == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "there"]
    assert Path("there").read_bytes() == b"old content"


def test_a_folder_that_is_not_there(make_all: Any) -> None:
    recorder = Recorder()
    done = make_all(recorder, "f", "w", "-o", "no/such/file")
    assert done.code == 2
    assert recorder.arguments == {}


def test_states_of_a_job_in_words() -> None:
    events = [
        Submitted(Job(provider="p", task="t", id="j1")), Queued(), Queued(2),
        Started(), Progress(), Progress(0.4, ("a", "b")), Transferred("download", 1_500_000, 3_000_000), "text",
    ]  # fmt: skip
    assert [describe(event) for event in events] == [
        "submitted as j1",
        "queued",
        "queued, 2 before it",
        "running",
        "running",
        "running, 40%: b",
        "download: 1.5 MB of 3.0 MB",
        "",
    ]


def test_states_are_drawn_on_a_screen_and_nowhere_else(make_all: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(events=[Queued(1), Progress(logs=("\x1b[2Jstep 1\n",))])
    assert make_all(recorder, "f", "w").err == ""
    monkeypatch.setattr("headwater.cli.progress.takes_colour", lambda stream: True)
    assert make_all(recorder, "f", "w").err == ("\r\x1b[2Kqueued, 1 before it\r\x1b[2Krunning: step 1\r\x1b[2K")


def test_text_generation_streams(headwater_command: Any, server: Any) -> None:
    arguments = ("text-generation", "Once upon", "--base-url", server, "--model", "gpt2", "--max-new-tokens", "2")
    assert headwater_command(*arguments).out.split() == ["Once", "upon"]
    assert headwater_command(*arguments, "--no-stream").out.split() == ["Once", "upon"]
    detailed = json.loads(headwater_command(*arguments, "--details").out)
    assert detailed["details"]["generated_tokens"] == 2


def test_vectors_are_a_json_array(headwater_command: Any, server: Any) -> None:
    arguments = ("--base-url", f"{server}/v1", "--model", "e5-dim-4")
    two = json.loads(headwater_command("feature-extraction", "a", "b", *arguments).out)
    assert [len(vector) for vector in two] == [4, 4]
    one = json.loads(headwater_command("feature-extraction", *arguments, given=b"a\n").out)
    assert one == two[:1]


def test_the_table_of_providers(headwater_command: Any) -> None:
    lines = [line.split("\t") for line in headwater_command("providers").out.splitlines()]
    assert lines[0] == ["provider", "keys", "tasks", "url", "routed"]
    together = next(line for line in lines if line[0] == "together")
    assert together[1] == "TOGETHER_API_KEY"
    assert "chat-completion" in together[2].split(",")
    assert together[3:] == ["https://api.together.xyz", "yes"]
    objects = json.loads(headwater_command("providers", "--json").out)
    assert [row["provider"] for row in objects] == [line[0] for line in lines[1:]]


def test_one_provider(headwater_command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FAL_KEY", raising=False)
    lines = dict(line.split("  ", 1) for line in headwater_command("providers", "fal-ai").out.splitlines())
    facts = {name: value.strip() for name, value in lines.items()}
    assert facts["provider"] == "fal-ai"
    assert facts["keys"] == "FAL_KEY (not set)"
    assert "text-to-video" in facts["tasks"].split(", ")
    assert facts["url"] == "https://fal.run"
    assert facts["router"].endswith("/fal-ai")
    assert facts["sends its key as"] == "authorization: Key KEY"
    monkeypatch.setenv("FAL_KEY", "canary-secret")
    done = headwater_command("providers", "fal-ai")
    assert "FAL_KEY (set)" in done.out
    assert "canary-secret" not in done.out


@pytest.mark.parametrize("name", PROVIDERS)
def test_each_provider_can_be_shown(headwater_command: Any, name: str) -> None:
    assert headwater_command("providers", name).code == 0
    row = json.loads(headwater_command("providers", name, "--json").out)
    assert (row["provider"], row["url"]) == (name, PROVIDERS[name].base)


def test_a_provider_that_there_is_not(headwater_command: Any) -> None:
    done = headwater_command("providers", "togther")
    assert (done.code, done.out) == (2, "")
    assert "did you mean 'together'" in done.err


def test_the_table_of_tasks(headwater_command: Any) -> None:
    rows = {row["task"]: row["providers"] for row in json.loads(headwater_command("tasks", "--json").out)}
    assert {"together", "hf-inference"} < set(rows["chat-completion"])
    lines = headwater_command("tasks").out.splitlines()
    assert lines[0] == "task\tproviders"
    assert [line.split("\t")[0] for line in lines[1:]] == sorted(rows)


def test_only_the_command_that_is_named_is_made() -> None:
    assert "feature-extraction" not in list(app.app("chat"))
    assert "feature-extraction" in list(app.app())
