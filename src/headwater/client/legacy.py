"""`InferenceApi`, as programs from before `InferenceClient` have it: a thin bridge, deprecated from the start.

It differs in one thing: an answer outside 2xx is an error here, and was a result there.

https://huggingface.co/docs/huggingface_hub/guides/inference#legacy-inferenceapi-client
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from ..errors import UnexpectedContentError
from ..media.images import open_image
from .sync_client import InferenceClient

if TYPE_CHECKING:
    from ..media.source import File


class InferenceApi:
    """One model of hf-inference. `gpu` is taken and without effect; use `InferenceClient` in its place."""

    def __init__(
        self, repo_id: str, task: str | None = None, token: str | None = None, gpu: bool = False, **client: Any
    ) -> None:
        warnings.warn(
            "InferenceApi is kept for old programs: use InferenceClient, whose post() takes json={'inputs': ...}",
            DeprecationWarning,
            stacklevel=2,
        )
        self.task = task
        self._client = InferenceClient(model=repo_id, token=token, provider="hf-inference", **client)

    def __repr__(self) -> str:
        return f"InferenceApi({self._client!r}, task={self.task!r})"

    def __call__(
        self,
        inputs: str | dict[str, Any] | list[Any] | None = None,
        params: dict[str, Any] | None = None,
        data: File | None = None,
        raw_response: bool = False,
    ) -> Any:
        """Ask the model: JSON of `inputs` and `params`, or `data` as it is.

        Returns:
            The decoded JSON, or a PIL image; with `raw_response` the `Response`.

        Raises:
            UnexpectedContentError: The answer is neither; `raw_response=True` gives it as it is.
            HeadwaterError: As `InferenceClient.post` does.
        """
        given = {"inputs": inputs, "parameters": params}
        json = None if data is not None else {name: value for name, value in given.items() if value}
        response = self._client.post(json=json, data=data, task=self.task)
        kind = response.headers.get("content-type", "")
        if raw_response:
            return response
        if kind.startswith("image/"):
            return open_image(response.content)
        if kind.startswith("application/json"):
            return response.json()
        raise UnexpectedContentError(f"the answer is {kind or 'of no type'}; raw_response=True gives it as it is")
