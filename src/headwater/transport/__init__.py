"""The wire: what carries a request to a server and its answer back.

`Pool` is the default, and `Http2Pool` the same where a server may choose HTTP/2; `httpx_adapter` lets any httpx
transport take their place. Nothing here knows tasks, providers, deadlines (but the one for connecting) or retries.
"""
