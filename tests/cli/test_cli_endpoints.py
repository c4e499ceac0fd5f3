"""`headwater endpoints ...` against the emulator: what it prints, what it asks first, how it ends."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

MACHINE = [
    *("--accelerator", "gpu", "--instance-type", "nvidia-l4", "--instance-size", "x1"),
    *("--vendor", "aws", "--region", "us-east-1"),
]


@pytest.fixture
def endpoints(headwater_command: Any, server: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The command, as the emulator's user."""
    server.forget()
    for name, value in (("HEADWATER_ENDPOINTS_URL", server), ("HF_ENDPOINT", server), ("TOKEN", "hf_test")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HEADWATER_TEST_MODE", "1")
    return lambda *arguments, **how: headwater_command("endpoints", *arguments, "--key-env", "TOKEN", **how)


def test_lists(endpoints: Any, server: Any) -> None:
    url = server.endpoint("emulator/one", "running")
    head, row = endpoints("ls").out.splitlines()
    assert head.split("\t") == ["name", "status", "repository", "instance", "replicas", "url"]
    assert row.split("\t") == ["emulator/one", "running", "emulator/chat-8b", "nvidia-l4 x1", "1/1", url]
    [listed] = json.loads(endpoints("ls", "--json").out)
    assert (listed["name"], listed["status"], listed["url"]) == ("one", "running", url)
    assert endpoints("ls", "--namespace", "nobody").out == ""
    assert "nvidia-l4\tx4\t3.8\t1/16\tavailable" in endpoints("hardware", "--accelerator", "gpu").out
    assert all(
        each["accelerator"] == "cpu" for each in json.loads(endpoints("hardware", "--accelerator", "cpu", "--json").out)
    )
    assert "emulator/chat-8b\ttext-generation\trecipe-chat-gpu\tgpu\tvllm" in endpoints("catalog").out
    assert [each["repo_id"] for each in json.loads(endpoints("catalog", "--search", "embed", "--json").out)] == [
        "emulator/embed-small"
    ]


def test_a_life(endpoints: Any, server: Any) -> None:
    done = endpoints("deploy", "emulator/chat-8b", "--name", "mine", "--yes", "--wait", "--json")
    assert json.loads(done.out)["status"] == "running"
    assert "initializing (0 of 1 replicas)" in done.err and "running (1 of 1 replicas)" in done.err
    for command, status in (
        ("pause", "paused"),
        ("resume", "pending"),
        ("wait", "running"),
        ("scale-to-zero", "scaledToZero"),
    ):
        more = ["--yes"] if command == "resume" else []
        assert json.loads(endpoints(command, "mine", "--json", *more).out)["status"] == status
    assert "stop it by: headwater endpoints pause emulator/mine" in endpoints("resume", "mine", "--yes").err
    assert endpoints("rm", "mine", "--yes").code == 0
    assert server.endpoints[0].actions == ["create", "pause", "resume", "scale-to-zero", "resume", "delete"]


def test_a_machine_of_ones_choice(endpoints: Any, server: Any) -> None:
    done = endpoints("deploy", "org/model", "--name", "own", *MACHINE, "--min-replica", "0", "--yes")
    assert done.code == 0 and "emulator/own\tpending\torg/model" in done.out
    assert server.endpoints[0].body["compute"]["scaling"]["minReplica"] == 0
    done = endpoints("deploy", "org/model", "--instance-type", "nvidia-l4")
    assert done.code == 2 and "--vendor" in done.err and "--name" in done.err


@pytest.mark.parametrize(
    "command", [["rm", "mine"], ["resume", "mine"], ["deploy", "a/b"], ["deploy", "a/b", "--name", "x", *MACHINE]]
)
def test_what_deletes_or_costs_is_asked_about(endpoints: Any, server: Any, command: list[str]) -> None:
    server.endpoint("emulator/mine", "paused")
    done = endpoints(*command)
    assert done.code == 2 and "--yes" in done.err
    assert [each.actions for each in server.endpoints] == [[]]


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 2), ("", 2)])
def test_the_question(endpoints: Any, server: Any, monkeypatch: pytest.MonkeyPatch, answer: str, code: int) -> None:
    server.endpoint("emulator/mine", "paused")
    monkeypatch.setattr("headwater.cli.endpoints.is_terminal", lambda stream: stream is not sys.stdout)
    done = endpoints("rm", "mine", given=answer.encode())
    assert done.code == code and "Delete mine? It cannot be had back [y/N]" in done.err
    assert [each.is_deleted for each in server.endpoints] == [code == 0]


def test_a_wait_that_leads_nowhere_is_one_line(endpoints: Any, server: Any) -> None:
    server.endpoint("emulator/one-fails")
    done = endpoints("wait", "one-fails")
    assert done.code == 1 and "container exited with code 1" in done.err.splitlines()[-1]
    assert "Traceback" not in done.err
