"""A web backend that streams a model's answer into a page, and stops the model when the page goes away.

    pip install "headwater[web]"
    python -m headwater.examples.web_backend --model meta-llama/Llama-3.1-8B-Instruct
    python -m headwater.examples.web_backend --base-url http://127.0.0.1:8000 --model any --trio

`application(client, model)` is the whole backend; `chat` works in FastAPI as it is. It listens on this machine alone,
and answers no page of another site: whoever can call it spends its key. `--trio` serves with hypercorn on trio (extra
`hypercorn`).
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import anyio
import msgspec

from headwater import AsyncInferenceClient, HeadwaterError, Timeout
from headwater.integrations import require_extra
from headwater.integrations.sse import http_status, public_error
from headwater.integrations.starlette import EventStreamResponse

with require_extra("web", "starlette"):
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.requests import Request
    from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
    from starlette.routing import Route

HOST: Final = "127.0.0.1"
PAGE: Final = Path(__file__).with_suffix(".html")
MOST_TOKENS: Final = 4096
log = logging.getLogger(__name__)


class ChatRequest(msgspec.Struct):
    """What the page sends."""

    messages: list[dict[str, str]]


async def chat(request: Request) -> Response:
    """Stream the answer to a conversation."""
    # Another site's page cannot send this type without asking first, which nobody here answers.
    kind, _, _ = request.headers.get("content-type", "").partition(";")
    if kind.strip().lower() != "application/json":
        return PlainTextResponse("application/json is expected\n", 415)
    try:
        chat_request = msgspec.json.decode(await request.body(), type=ChatRequest)
    except msgspec.DecodeError as error:
        return PlainTextResponse(f"{error}\n", 400)
    client: AsyncInferenceClient = request.app.state.client
    run = client.chat_completion.stream(chat_request.messages, model=request.app.state.model, max_tokens=MOST_TOKENS)
    return EventStreamResponse(run, encode=piece, describe=logged)


def piece(chunk: Any) -> bytes | None:
    """The text that a chunk adds, as the JSON that the page reads; None for a chunk without."""
    text = chunk.choices[0].delta.content if chunk.choices else None
    return msgspec.json.encode({"text": text}) if text else None


def logged(error: HeadwaterError) -> Mapping[str, Any]:
    """The whole failure goes into the log, and its class to the page."""
    log.warning("a chat failed: %s: %s", type(error).__name__, error)
    return public_error(error)


async def refused(request: Request, error: Exception) -> Response:
    """A call that could not even be made."""
    assert isinstance(error, HeadwaterError)
    return JSONResponse({"error": logged(error)}, http_status(error))


async def page(request: Request) -> Response:
    """The page."""
    return FileResponse(PAGE, media_type="text/html")


def application(client: AsyncInferenceClient, model: str | None = None) -> Starlette:
    """The backend, which closes the client when it ends."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with client:
            yield

    app = Starlette(
        routes=[Route("/", page), Route("/chat", chat, methods=["POST"])],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])],
        exception_handlers={HeadwaterError: refused},
        lifespan=lifespan,
    )
    app.state.client = client
    app.state.model = model
    return app


def serve(app: Any, port: int, *, on_trio: bool) -> None:
    """Serve until Ctrl-C: by uvicorn on asyncio, or by hypercorn on trio."""
    if on_trio:
        with require_extra("hypercorn", "hypercorn", "trio"):
            import hypercorn
            import hypercorn.trio

        config = hypercorn.Config()
        config.bind = [f"{HOST}:{port}"]
        config.graceful_timeout = 1.0
        anyio.run(partial(hypercorn.trio.serve, app, config), backend="trio")
        return
    with require_extra("web", "uvicorn"):
        import uvicorn

    uvicorn.run(app, host=HOST, port=port, timeout_graceful_shutdown=1)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Stream a model's answers into a page.")
    parser.add_argument("--model")
    parser.add_argument("--provider")
    parser.add_argument("--base-url", help="the URL of a server, in place of a provider")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--trio", action="store_true", help="serve with hypercorn on trio")
    given = parser.parse_args()
    # An answer may take long, but a silent one ends: the page should not wait for a model that hangs.
    timeout = Timeout(total=600, first_event=60, idle=30)
    client = AsyncInferenceClient(provider=given.provider, base_url=given.base_url, timeout=timeout)
    serve(application(client, given.model), given.port, on_trio=given.trio)


if __name__ == "__main__":
    main()
