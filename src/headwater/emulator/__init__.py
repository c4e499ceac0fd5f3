"""A local server that answers like the vendors do, the same way every time: for tests, demos and examples.

    from headwater import emulator

    with emulator.running() as url:              # "http://127.0.0.1:54321", a str
        client = InferenceClient(base_url=url)
        client.chat_completion([{"role": "user", "content": "Say hello to the river"}])
    print(url.requests[-1].json)

What it speaks, each dialect in a file of its own:

* OpenAI (``openai``, ``openai_text``, ``speech``, ``pictures``, ``moderations``): every path that ends in
  ``/chat/completions``, ``/completions``, ``/embeddings``, ``/models``, ``/moderations``, ``/audio/transcriptions``,
  ``/audio/translations``, ``/audio/speech``, ``/images/generations`` or ``/images/edits``, under whatever prefix a
  vendor or a router gives it. Errors have the shape of the vendor that the path belongs to (``vendors``).
* Anthropic (``anthropic``): every path that ends in ``/messages``, and ``/messages/count_tokens``. It refuses what
  Anthropic refuses: uses of tools without their results, and the other way round, thinking that was changed, a first
  message of the assistant's (``anthropic_checks``).
* reranking (``rerank``): every path that ends in ``/v1/rerank`` or ``/v2/rerank``; TEI's ``POST /rerank``.
* OpenAI's Responses API (``responses``): every path that ends in ``/responses``, and of what is stored
  ``/responses/{id}``, ``.../cancel``, ``.../input_items``; in the background, and as a stream behind any of its events.
* TGI (``tgi``): ``POST /``, ``/generate``, ``/generate_stream``; ``GET /info``, ``/health``.
* TEI (``tei``): ``POST /embed``, ``/tei``, ``/models/{id}/pipeline/`` with ``feature-extraction`` or
  ``sentence-similarity``.
* hf-inference (``hf_inference``): ``POST /models/{id}``, answered by the model's task; ``POST /tasks/{task}``, an
  endpoint of that task.
* ``inference_endpoints``: the API of Inference Endpoints (``/v2``), the catalog, ``GET /api/whoami-v2``, and the
  endpoints themselves, which go through scripted lives: see below.
* ``fal``, ``replicate``, ``together_media``, ``novita``, ``wavespeed``, ``zai``, ``black_forest_labs``: those
  providers' pictures, videos and sounds, most of them by jobs.
* the Hub's lookups (``hub``): ``GET /api/models/{id}`` and ``GET /api/tasks``.

A provider's own API is under ``{url}/direct/{provider}``, what Hugging Face's router passes on to it under
``{url}/routed/{provider}``, and there a request needs a credential as the vendor or the router wants it; any
made-up key will do, one that begins with ``hf_`` for the router alone. `rewriting` takes a client there that
knows nothing of it:

    client = InferenceClient(provider="fal-ai", api_key="key", transport=emulator.rewriting(url))

The answer is a function of the request alone: a chat answers with 16 words, those of the last user message
over and over; usage counts words; ids are hashes of the request. The name of the model asks for more:

* ``words-N`` in the name: an answer of N words; ``dim-N``: vectors of N numbers (else 16).
* ``slow``: 0.05 s between events. ``missing``: 404. ``loading``: 503 with ``estimated_time`` on the model's
  first call, an answer from then on.
* ``fail``, ``errored``, ``refuse``: a response that fails, breaks with an error or refuses; ``cut-N``: whose first
  stream ends behind N events; ``unnumbered``: without numbers and indexes in its events, as llama.cpp's has none.
* the name of a task, ``text-to-image`` and the like: a model for that task; else ``embed``, ``e5``, ``bge``,
  ``minilm`` or ``sentence``: an embedding model; ``base`` or ``gpt2``: a text-generation model without chat; so do
  some well-known names (``offers``); all others chat. hf-inference and the Hub's lookups go by this.

* ``stop-WORD``: a message of Anthropic's ends with this ``stop_reason``; ``redacted``: its thinking has a block that
  nobody reads.

``url.script("m", [("add", {"a": 1, "b": 2})], "It is 3.")`` has the model ``m`` say these turns in its chats: call a
tool, then answer. Calls of tools that the messages after them do not answer are refused, as OpenAI refuses them.

Jobs are queued when submitted and at the first poll, run at the second, and are done at the third. ``url.jobs``
lists them, ``url.job_cancelled()`` waits. Their results are at ``url.cdn`` (``cdn``), an origin of its own that
refuses credentials. Words in the model's name or in the prompt change their course:

* ``instant``: done at once; ``forever``: never; ``fail``: they fail; ``moderated``: moderation refuses them;
  ``unknown-state``: a state that nobody knows; ``flaky``: a 500 for each of the first three polls.
* ``gone``: the result is a 404; ``huge-N``: it is N megabytes long, sent as they are made.

Inference Endpoints are made by the API, or by ``url.endpoint("namespace/name", "paused")``, and ``url.endpoints``
lists them. Each look at one shows the next stage of its life: "pending", "initializing" and "running" follow when it
is made or resumed, unless a test scripts other stages. ``HEADWATER_ENDPOINTS_URL`` set to the emulator's URL takes a
client there. Words in an endpoint's name change its life: ``fails``, ``stuck``, ``odd`` (a state that nobody knows),
``hangs`` (its health route), ``unhealthy-N`` (so many health checks). One that scaled to zero wakes when it is called.

Headers ask for more as well:

* ``x-emulator-delay: SECONDS`` waits that long between events (0 to 60), and once before an answer that is no
  stream.
* ``x-emulator-gate: NAME`` holds the answer until ``url.open_gate(NAME)``; with ``x-emulator-gate-after: N``
  the head and the first N events of a stream are sent before that.

It refuses hosts other than loopback, in its address and in the Host header, bodies over 64 MiB, credentials
that look real, and, with ``api_keys``, whoever has none of the keys. What it records has no credentials in
it. ``python -m headwater.emulator --port 8000`` runs it until Ctrl-C.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager

    import httpx

    from .server import Emulator

__all__ = ["rewriting", "running"]


def running(
    *, host: str = "127.0.0.1", port: int = 0, api_keys: Iterable[str] | None = None
) -> AbstractContextManager[Emulator]:
    """Run the emulator in a thread of its own for the length of a ``with`` block, which gets its base URL.

    The URL is a ``str`` that also has ``requests``, ``connections``, ``open_gate``, ``disconnected`` and
    more: see `headwater.emulator.server.Emulator`. ``port`` 0 takes a free port. With ``api_keys`` every
    inference request must carry one of them as ``Authorization: Bearer KEY``. Several may run at once, or in
    turn.

    Raises ImportError without the extra ``emulator``, ValueError for a host that is not loopback or an empty
    ``api_keys``, OSError for a port that is taken.
    """
    try:
        from .server import serve
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("starlette", "uvicorn"):
            raise
        message = f'the emulator needs {error.name}: pip install "headwater[emulator]"'
        raise ImportError(message, name=error.name) from error
    return serve(host=host, port=port, api_keys=api_keys)


def rewriting(url: str) -> httpx.AsyncBaseTransport:
    """A transport that takes requests for the providers' hosts, Hugging Face's router and the Hub to an emulator.

    ``url`` is the emulator's. Host names that nobody here stands in for raise httpx.ConnectError. The emulator sees
    the host that was meant in ``x-emulator-host``; links in its answers are to the providers' hosts then.
    """
    from .rewritten import Rewriting

    return Rewriting(url)
