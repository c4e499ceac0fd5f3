"""An MCP server on the standard streams that starts at once, for one version of the protocol, and breaks as asked.

Run as a program: `python mcp_server.py [slow-start | no-answer | endless-list | dies-at-start]`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

TOOLS = ["add", "env", "picture", "parts", "fails", "dies", "hangs", "floods", "child", "add.twice"]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def text(said: object) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": str(said)}]}


def parts() -> dict[str, Any]:
    return {
        "content": [
            {"type": "text", "text": "a"},
            {"type": "resource", "resource": {"uri": "file:///b", "mimeType": "text/plain", "text": "b"}},
            {"type": "resource", "resource": {"uri": "file:///c", "mimeType": "image/png", "blob": PIXEL}},
            {"type": "resource_link", "uri": "https://d.example/", "name": "d"},
            {"type": "audio", "data": "AAAA", "mimeType": "audio/wav"},
        ]
    }


def call(name: str, given: dict[str, Any]) -> dict[str, Any]:
    if name == "add":
        return {**text(given["a"] + given["b"]), "structuredContent": {"sum": given["a"] + given["b"]}}
    if name == "env":
        return text(json.dumps(dict(os.environ)))
    if name == "picture":
        return {"content": [{"type": "image", "data": PIXEL, "mimeType": "image/png"}]}
    if name == "parts":
        return parts()
    if name == "fails":
        return {**text("no good"), "isError": True}
    if name == "dies":
        print("my key is", os.environ.get("SECRET_KEY"), file=sys.stderr, flush=True)
        os._exit(3)
    if name == "floods":
        while True:
            sys.stdout.write("x" * 1_000_000)
    if name == "child":
        return text(subprocess.Popen(["sleep", "600"]).pid)
    if name == "hangs":
        time.sleep(600)
    return text("?")


def listed(params: dict[str, Any]) -> dict[str, Any]:
    """Three tools a page."""
    first = int(params.get("cursor") or 0)
    schema = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}}
    page = [{"name": name, "description": f"It {name}s.", "inputSchema": schema} for name in TOOLS[first : first + 3]]
    if "endless-list" in sys.argv:
        return {"tools": page, "nextCursor": "0"}
    return {"tools": page, **({"nextCursor": str(first + 3)} if first + 3 < len(TOOLS) else {})}


def main() -> None:
    if "dies-at-start" in sys.argv:
        sys.exit("no such module: mine")
    if "no-answer" in sys.argv:
        time.sleep(600)
    print("a line of somebody else's", flush=True)
    for line in sys.stdin:
        message = json.loads(line)
        method, params = message.get("method"), message.get("params") or {}
        if "id" not in message:
            continue
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": message["id"]}
        if method == "initialize":
            info = {"name": "breaks", "version": "1"}
            answer["result"] = {"protocolVersion": "2024-11-05", "capabilities": {"tools": {}}, "serverInfo": info}
        elif method == "tools/list":
            answer["result"] = listed(params)
        elif method == "tools/call":
            answer["result"] = call(params["name"], params.get("arguments") or {})
        else:
            answer["error"] = {"code": -32601, "message": "Method not found"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
