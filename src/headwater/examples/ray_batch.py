"""A batch on Ray Data: questions from a JSONL file, answers and errors beside them into Parquet files.

    pip install "headwater[ray]"
    echo '{"prompt": "Why do rivers meander?"}' > questions.jsonl
    python -m headwater.examples.ray_batch questions.jsonl answers --model meta-llama/Llama-3.1-8B-Instruct

The key is read from the environment of Ray's workers (`HF_TOKEN`, or the provider's own variable). For one machine,
`headwater batch` does the same without Ray, and goes on where it was stopped.
"""

from __future__ import annotations

import argparse
from typing import Any

from headwater.integrations import require_extra
from headwater.integrations.ray import InferenceStage

with require_extra("ray", "ray"):
    import ray  # pyright: ignore[reportMissingImports]
    import ray.data  # pyright: ignore[reportMissingImports]


def answered(questions: Any, *, actors: int = 1, **stage: Any) -> Any:
    """The dataset with the columns of `InferenceStage`; rows are read as `prompt`."""
    return questions.map_batches(InferenceStage, fn_constructor_kwargs=stage, batch_size=256, concurrency=actors)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Answer questions with Ray Data.")
    parser.add_argument("questions", help='JSON lines with a "prompt"')
    parser.add_argument("answers", help="the folder for Parquet files")
    parser.add_argument("--model")
    parser.add_argument("--provider")
    parser.add_argument("--base-url", help="the URL of a server, in place of a provider")
    parser.add_argument("--actors", type=int, default=1)
    given = parser.parse_args()
    where = {"provider": given.provider, "base_url": given.base_url}
    ray.init(include_dashboard=False)
    answers = answered(
        ray.data.read_json(given.questions, lines=True), actors=given.actors, model=given.model, **where
    ).materialize()
    answers.write_parquet(given.answers)
    failed = answers.filter(lambda row: row["error"] is not None).count()
    print(f"{answers.count()} answers in {given.answers}, {failed} of them failed")


if __name__ == "__main__":
    main()
