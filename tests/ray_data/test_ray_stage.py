"""The stage for Ray Data, on a Ray of two cores on this machine, against the emulator in another process."""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headwater import InvalidParameterError

numpy = pytest.importorskip("numpy")
stage_module = pytest.importorskip("headwater.integrations.ray")
InferenceStage = stage_module.InferenceStage
KEY = "made-up-key-of-the-ray-test"
pytestmark = pytest.mark.filterwarnings("default")  # Ray's own


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    command = [sys.executable, "-m", "headwater.emulator", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield next(word for word in line.split() if word.startswith("http://"))
        process.terminate()


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    ray = pytest.importorskip("ray", reason="the `ray` session installs it")
    pytest.importorskip("ray.data")
    environment = {"RAY_TEST_KEY": KEY, "RAY_USAGE_STATS_ENABLED": "0"}
    os.environ |= environment  # what Ray starts inherits it, and a `runtime_env` would be in Ray's logs
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=128 * 2**20,
        _node_ip_address="127.0.0.1",
    )
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield ray
    ray.shutdown()


@pytest.fixture
def logs(ray: Any) -> Path:
    return Path(ray.init(ignore_reinit_error=True).address_info["session_dir"], "logs")


def test_every_row_comes_back_with_its_answer_or_error(
    ray: Any, server: str, logs: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Two actors; the second half asks a model that is missing."""
    rows = [{"id": number, "prompt": f"word{number}", "model": "words-1"} for number in range(300)]
    for row in rows[150:]:
        row["model"] = "missing"
    stage = {"columns": {"model": "model"}, "base_url": server, "key_env": "RAY_TEST_KEY", "concurrency": 16}
    dataset = ray.data.from_items(rows, override_num_blocks=6)
    answered = dataset.map_batches(InferenceStage, fn_constructor_kwargs=stage, batch_size=25, concurrency=2)
    found = sorted(answered.take_all(), key=lambda row: row["id"])
    assert [row["id"] for row in found] == list(range(300))
    for row in found[:150]:
        assert row["answer"].strip() == row["prompt"]
        assert json.loads(row["result"])["choices"][0]["message"]["content"] == row["answer"]
        assert (row["error"], row["error_type"]) == (None, None)
        assert row["attempts"] == 1
        assert row["seconds"] > 0
        assert row["completion_tokens"] == 1
    for row in found[150:]:
        assert (row["answer"], row["result"], row["error_type"]) == (None, None, "NotFoundError")
        assert "missing" in row["error"]
    told = capfd.readouterr()
    assert KEY not in told.out + told.err
    assert not [file for file in logs.rglob("*") if file.is_file() and KEY.encode() in file.read_bytes()]


def test_the_example(ray: Any, server: str, tmp_path: Path) -> None:
    from headwater.examples.ray_batch import answered

    questions = tmp_path / "questions.jsonl"
    questions.write_text("".join(json.dumps({"prompt": f"river{number}"}) + "\n" for number in range(20)))
    dataset = answered(ray.data.read_json(str(questions), lines=True), model="words-1", base_url=server)
    dataset.write_parquet(str(tmp_path / "answers"))
    rows = ray.data.read_parquet(str(tmp_path / "answers")).take_all()
    assert {row["answer"].strip() for row in rows} == {f"river{number}" for number in range(20)}


def test_a_wrong_stage_ends_the_job(ray: Any, server: str) -> None:
    dataset = ray.data.from_items([{"text": "x"}])
    wrong = dataset.map_batches(InferenceStage, fn_constructor_kwargs={"base_url": server}, concurrency=1)
    with pytest.raises(Exception, match="no column prompt"):
        wrong.take_all()


# without Ray


async def batch_of(stage: Any, batch: Any) -> Any:
    return [out async for out in stage(batch)]


@pytest.mark.anyio
async def test_other_tasks_and_batches_side_by_side(server: str) -> None:
    """One stage, many batches at once, as Ray hands them to an actor."""
    import anyio

    stage = InferenceStage("create_embedding", inputs="text", model="dim-3", base_url=server, prefix="e_")
    found: dict[int, Any] = {}

    async def one(number: int) -> None:
        texts = numpy.array([f"{number} {row}" for row in range(10)], dtype=object)
        [found[number]] = await batch_of(stage, {"text": texts, "answer": texts})

    async with anyio.create_task_group() as group:
        for number in range(4):
            group.start_soon(one, number)
    for number in range(4):
        assert list(found[number]["text"]) == [f"{number} {row}" for row in range(10)]
        assert list(found[number]["e_error"]) == [None] * 10
        vectors = [json.loads(result)["data"][0]["embedding"] for result in found[number]["e_result"]]
        assert [len(vector) for vector in vectors] == [3] * 10
        assert found[number]["e_attempts"].dtype == numpy.int64


@pytest.mark.anyio
async def test_batches_that_cannot_be() -> None:
    stage = InferenceStage(base_url="http://127.0.0.1:9")
    with pytest.raises(InvalidParameterError, match="prefix"):
        await batch_of(stage, {"prompt": numpy.array(["x"]), "error": numpy.array(["x"])})
    with pytest.raises(InvalidParameterError, match="numpy"):
        await batch_of(stage, [1])
    [empty] = await batch_of(stage, {"prompt": numpy.array([], dtype=object)})
    assert len(empty["answer"]) == 0
    for wrong, words in (
        ({"concurrency": 0}, "concurrency"),
        ({"task": "close"}, "no task"),
        ({"key_env": "N"}, "key"),
    ):
        with pytest.raises(Exception, match=words):
            await batch_of(InferenceStage(base_url="http://127.0.0.1:9", **wrong), {"prompt": numpy.array(["x"])})


@pytest.mark.parametrize("name", ["token", "api_key", "headers", "cookies", "proxies"])
def test_what_may_hold_a_secret_is_refused(name: str) -> None:
    with pytest.raises(InvalidParameterError, match="key_env") as caught:
        InferenceStage(**{name: KEY})
    assert KEY not in str(caught.value)


def test_a_stage_is_pickled_and_says_little() -> None:
    stage = InferenceStage(inputs="q", base_url="http://127.0.0.1:9/v1", key_env="RAY_TEST_KEY")
    file = io.BytesIO()
    pickle.dump(stage, file)
    assert repr(pickle.loads(file.getvalue())) == repr(stage) == "InferenceStage('chat_completion', inputs='q')"
