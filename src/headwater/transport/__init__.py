"""The wire: what carries a request to a server and its answer back.

`Pool` is the default; `httpx_transport` lets any httpx transport take its place, which is how proxies and
HTTP/2 are done. Nothing here knows tasks, providers, deadlines (but the one for connecting) or retries.
"""
