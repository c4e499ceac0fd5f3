"""`headwater endpoints ...`: Inference Endpoints from the shell, with progress while they start.

What deletes, or costs money from then on, is asked about first; where nobody can answer it wants `--yes`. Ctrl-C leaves
a wait and says that the endpoint goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from ..errors import InvalidParameterError
from . import connection
from .progress import ProgressLine, describe
from .results import as_json
from .tables import Json, show_rows
from .terminal import clean, is_terminal, say

if TYPE_CHECKING:
    from ..client.sync_client import InferenceClient
    from ..endpoints.types import EndpointHardware, EndpointInfo


_Name = Annotated[str, Parameter(name="NAME", help='The endpoint: "name" or "namespace/name".')]
_Namespace = Annotated[
    str | None, Parameter(help="Whose endpoints: a user or an organisation; the token's own user if not given.")
]
_KeyEnv = Annotated[
    str | None,
    Parameter(help="The environment variable that holds the token, in place of HF_TOKEN.", metavar="VARIABLE"),
]
_Yes = Annotated[bool, Parameter(help="Do not ask.", negative="")]
_Wait = Annotated[bool, Parameter(help="Wait until it runs and is well.", negative="")]
_Seconds = Annotated[float | None, Parameter(help="The most seconds that all of it may take.")]
_Whole = Annotated[int | None, Parameter()]
_COLUMNS: Final = ("name", "status", "repository", "instance", "replicas", "url")


def commands() -> dict[str, Callable[..., int]]:
    """The commands, by their names."""
    return {
        "ls": _ls,
        "deploy": _deploy,
        "wait": _wait,
        "pause": _pause,
        "resume": _resume,
        "scale-to-zero": _scale_to_zero,
        "rm": _rm,
        "hardware": _hardware,
        "catalog": _catalog,
    }


def _ls(*, namespace: _Namespace = None, key_env: _KeyEnv = None, timeout: _Seconds = None, json: Json = False) -> int:
    """List the endpoints of a namespace; "*" is all that the token sees."""
    with _client(key_env, timeout) as client:
        found = client.endpoints.list(namespace)
    if json:
        _write(found)
    else:
        show_rows([_row(each) for each in found], json=False)
    return 0


def _deploy(
    repository: Annotated[str | None, Parameter(name="REPOSITORY", help="The model, by its name on the Hub.")] = None,
    /,
    *,
    recipe: Annotated[str | None, Parameter(help="The id of a recipe of the catalog, in place of the model.")] = None,
    name: Annotated[
        str | None, Parameter(help="What it is to be called; the server makes a name up where none is given.")
    ] = None,
    namespace: _Namespace = None,
    accelerator: Annotated[str | None, Parameter(help="cpu, gpu or neuron.")] = None,
    gguf_file: Annotated[str | None, Parameter(help="The GGUF file, where the catalog has several.")] = None,
    instance_type: Annotated[
        str | None, Parameter(help="The machine, such as nvidia-l4: it is then not deployed from the catalog.")
    ] = None,
    instance_size: Annotated[str | None, Parameter(help="How many of it, such as x1.")] = None,
    vendor: Annotated[str | None, Parameter(help="The cloud, such as aws.")] = None,
    region: Annotated[str | None, Parameter(help="Its region, such as us-east-1.")] = None,
    framework: Annotated[str | None, Parameter(help="The model's library; custom if not given.")] = None,
    min_replica: _Whole = None,
    max_replica: _Whole = None,
    scale_to_zero_timeout: Annotated[int | None, Parameter(help="Minutes without a request.")] = None,
    wait: _Wait = False,
    yes: _Yes = False,
    key_env: _KeyEnv = None,
    timeout: _Seconds = None,
    json: Json = False,
) -> int:
    """Make an endpoint of a model: by a tried recipe of the catalog, or on the machine that is named.

    It costs money from when it runs until it is paused, deleted or scaled to zero.
    """
    machine = {"instance_type": instance_type, "instance_size": instance_size, "vendor": vendor, "region": region}
    replicas = {
        "min_replica": min_replica,
        "max_replica": max_replica,
        "scale_to_zero_timeout": scale_to_zero_timeout,
        "framework": framework,
    }
    given = {option: value for option, value in (machine | replicas).items() if value is not None}
    with _client(key_env, timeout) as client:
        if not given:
            what = repository or f"the recipe {recipe}"
            _ask(f"Deploy {what} from the catalog? It costs money while it runs", yes)
            made = client.endpoints.deploy(
                repository, recipe=recipe, name=name, namespace=namespace, accelerator=accelerator, gguf_file=gguf_file
            )
        else:
            _need(repository=repository, name=name, accelerator=accelerator, **machine)
            price = _price(client.endpoints.hardware(namespace=namespace), accelerator, machine)
            _ask(f"Deploy {repository} on {instance_type} {instance_size} at {vendor} in {region}, {price}", yes)
            arguments: Any = {"framework": "custom", **given, "repository": repository, "accelerator": accelerator}
            made = client.endpoints.create(name or "", namespace=namespace, **arguments)
        return _started(client, made, wait=wait, json=json)


def _wait(name: _Name, /, *, key_env: _KeyEnv = None, timeout: _Seconds = None, json: Json = False) -> int:
    """Wait until an endpoint runs and has answered its health route."""
    with _client(key_env, None) as client:
        _tell(_waited(client, name, timeout), json=json)
    return 0


def _pause(name: _Name, /, *, key_env: _KeyEnv = None, timeout: _Seconds = None, json: Json = False) -> int:
    """Stop an endpoint, which costs nothing then, until it is resumed."""
    with _client(key_env, timeout) as client:
        _tell(client.endpoints.pause(name), json=json)
    return 0


def _resume(
    name: _Name,
    /,
    *,
    wait: _Wait = False,
    yes: _Yes = False,
    key_env: _KeyEnv = None,
    timeout: _Seconds = None,
    json: Json = False,
) -> int:
    """Start an endpoint that is paused or scaled to zero."""
    with _client(key_env, timeout) as client:
        _ask(f"Start {name}? It costs money while it runs", yes)
        return _started(client, client.endpoints.resume(name), wait=wait, json=json)


def _scale_to_zero(name: _Name, /, *, key_env: _KeyEnv = None, timeout: _Seconds = None, json: Json = False) -> int:
    """Stop an endpoint, which costs nothing then, until the next request wakes it."""
    with _client(key_env, timeout) as client:
        _tell(client.endpoints.scale_to_zero(name), json=json)
    return 0


def _rm(name: _Name, /, *, yes: _Yes = False, key_env: _KeyEnv = None, timeout: _Seconds = None) -> int:
    """Delete an endpoint, for good."""
    with _client(key_env, timeout) as client:
        _ask(f"Delete {name}? It cannot be had back", yes)
        client.endpoints.delete(name)
    return 0


def _hardware(
    *,
    namespace: _Namespace = None,
    accelerator: Annotated[str | None, Parameter(help="Only cpu, gpu or neuron.")] = None,
    key_env: _KeyEnv = None,
    timeout: _Seconds = None,
    json: Json = False,
) -> int:
    """List the machines that there are: US dollars an hour for each replica, and the quota."""
    with _client(key_env, timeout) as client:
        found = client.endpoints.hardware(namespace=namespace)
    found = [each for each in found if accelerator is None or each.accelerator == accelerator]
    if json:
        _write(found)
        return 0
    rows = [
        {
            "vendor": each.vendor,
            "region": each.region,
            "accelerator": each.accelerator,
            "type": each.instance_type,
            "size": each.instance_size,
            "usd/h": "" if each.price_per_hour is None else f"{each.price_per_hour:g}",
            "quota": f"{each.used_accelerators}/{each.max_accelerators}",
            "status": each.status or "",
        }
        for each in found
    ]
    show_rows(rows, json=False)
    return 0


def _catalog(
    *,
    search: Annotated[str | None, Parameter(help="Only models with this in their names.")] = None,
    task: Annotated[str | None, Parameter(help="Only models of this task.")] = None,
    accelerator: Annotated[str | None, Parameter(help="Only models with a recipe for cpu, gpu or neuron.")] = None,
    engine: Annotated[
        str | None, Parameter(help="Only models with a recipe for llamacpp, sglang, tei or vllm.")
    ] = None,
    license: Annotated[str | None, Parameter(help="Only models of this license.")] = None,  # noqa: A002 - the API's name
    limit: _Whole = None,
    key_env: _KeyEnv = None,
    timeout: _Seconds = None,
    json: Json = False,
) -> int:
    """List the models that can be deployed as they are, and their recipes."""
    with _client(key_env, timeout) as client:
        found = client.endpoints.catalog(
            search=search, task=task, accelerator=accelerator, engine=engine, license=license, limit=limit
        )
    if json:
        _write(found)
        return 0
    rows = [
        {
            "model": model.repo_id,
            "task": model.task or "",
            "recipe": recipe.id,
            "accelerator": recipe.accelerator or "",
            "engine": recipe.engine or "",
        }
        for model in found
        for recipe in model.recipes
    ]
    show_rows(rows, json=False)
    return 0


# what they share


def _client(key_env: str | None, timeout: float | None) -> InferenceClient:
    given = {"key_env": key_env, "timeout": timeout}
    return connection.client_for({name: value for name, value in given.items() if value is not None})


def _started(client: InferenceClient, made: EndpointInfo, *, wait: bool, json: bool) -> int:
    """Say what was started, or wait for it."""
    found = made
    if wait:
        with _left_with_a_word(made.full_name):
            found = _waited(client, made.full_name, None)
    _tell(found, json=json)
    if not json:
        say(f"it costs money while it runs; stop it by: headwater endpoints pause {made.full_name}")
    return 0


@contextmanager
def _left_with_a_word(name: str) -> Iterator[None]:
    try:
        yield
    except BaseException:
        say(f"the endpoint {name} goes on, and costs money; stop it by: headwater endpoints pause {name}")
        raise


def _waited(client: InferenceClient, name: str, timeout: float | None) -> EndpointInfo:
    with client.endpoints.wait(name, timeout=timeout) as run, ProgressLine() as line:
        for state in run:
            if is_terminal(sys.stderr):
                line.show(state)
            else:
                say(describe(state))
        return run.result()


def _need(**options: Any) -> None:
    missing = [f"--{name.replace('_', '-')}" for name, value in options.items() if value is None]
    if missing:
        raise InvalidParameterError(
            f"a machine of your choice wants {', '.join(missing)}, too (headwater endpoints hardware lists them)"
        )


def _price(found: list[EndpointHardware], accelerator: str | None, machine: dict[str, str | None]) -> str:
    for each in found:
        is_it = each.accelerator == accelerator and all(getattr(each, name) == value for name, value in machine.items())
        if is_it and each.price_per_hour is not None:
            return f"for {each.price_per_hour:g} US dollars an hour and replica?"
    return "for a price that is not known?"


def _ask(question: str, yes: bool) -> None:
    """Go on if the answer is yes. Raises `InvalidParameterError` where it is not, or nobody can be asked."""
    if yes:
        return
    if not (is_terminal(sys.stdin) and is_terminal(sys.stderr)):
        raise InvalidParameterError(f"{question}: nobody can be asked here, so it wants --yes")
    sys.stderr.write(f"{clean(question)} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise InvalidParameterError("nothing was done")


def _tell(endpoint: EndpointInfo, *, json: bool) -> None:
    if json:
        _write(endpoint)
    else:
        show_rows([_row(endpoint)], json=False)


def _row(endpoint: EndpointInfo) -> dict[str, Any]:
    values = (
        endpoint.full_name,
        endpoint.status,
        endpoint.repository or "",
        " ".join(filter(None, (endpoint.instance_type, endpoint.instance_size))),
        f"{endpoint.ready_replicas or 0}/{endpoint.target_replicas or 0}",
        endpoint.url or "",
    )
    return dict(zip(_COLUMNS, values, strict=True))


def _write(result: Any) -> None:
    print(as_json(result, pretty=is_terminal(sys.stdout)))
