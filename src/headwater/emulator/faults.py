"""A server that breaks in every known way, for tests of clients: raw sockets, standard library only.

    with headwater.emulator.faults.running() as server:
        client = InferenceClient(base_url=server.at("sse_reset", n=5))

The first path segment names the fault and its parameters (`/sse_reset~n=5/v1/chat/completions`), the rest of
the path and the body choose the dialect. The right answer is the text `w0 w1 ... w9 `. Every fault takes an
`id`: where one acts on the first requests only, a segment with another `id` has a count of its own.
A server that runs with a cassette answers from it at `/recorded` (`running`).
Refuses: TLS, HTTP/2, any address but loopback.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from headwater.emulator.fault_server import bodies as bodies
from headwater.emulator.fault_server import replies as replies
from headwater.emulator.fault_server import streams as streams
from headwater.emulator.fault_server.answers import TEXT, WORDS
from headwater.emulator.fault_server.recorded import CassettePlayer
from headwater.emulator.fault_server.server import Fault, FaultServer
from headwater.emulator.fault_server.wire import ConnectionRecord, Request

__all__ = [
    "FAULTS",
    "TEXT",
    "ConnectionRecord",
    "Fault",
    "FaultServer",
    "Request",
    "describe",
    "running",
    "text_of",
]

FAULTS: dict[str, Fault] = {
    "ok": Fault(replies.ok, "the right answer, `pause` seconds after each event"),
    # the connection
    "reset_before_response": Fault(replies.reset_before_response, "RST once the request is read"),
    "reset_first": Fault(replies.reset_first, "RST for the first n requests, then ok"),
    "fin_before_response": Fault(replies.fin_before_response, "FIN once the request is read"),
    "fin_after_response": Fault(replies.fin_after_response, "ok, then FIN though keep-alive was to be expected"),
    "stale_keepalive": Fault(replies.stale_keepalive, "FIN for the first n requests on a reused connection"),
    "hang_before_headers": Fault(replies.hang_before_headers, "reads the request and never answers"),
    "early_413": Fault(replies.early_413, "413 before the body is read, then closes", reads_body=False),
    # the head
    "slow_headers": Fault(replies.slow_headers, "the head byte by byte, `pause` seconds each"),
    "reset_after_headers": Fault(replies.reset_after_headers, "a head, then RST"),
    "huge_headers": Fault(replies.huge_headers, "one header of `size` bytes"),
    "endless_headers": Fault(replies.endless_headers, "header lines for ever"),
    "endless_1xx": Fault(replies.endless_1xx, "interim responses of `code` for ever, `pause` seconds apart"),
    "garbage_head": Fault(replies.garbage_head, "bytes that are not HTTP, then FIN"),
    # the status
    "status": Fault(replies.status, "status `code` with a JSON error"),
    "s401": Fault(replies.s401, "401"),
    "s408": Fault(replies.s408, "408"),
    "s409": Fault(replies.s409, "409"),
    "s425": Fault(replies.s425, "425"),
    "s500": Fault(replies.s500, "500"),
    "s529": Fault(replies.s529, "529 (overloaded)"),
    "s500_burst": Fault(replies.s500_burst, "500 for the first n requests, then ok"),
    "s429_seconds": Fault(replies.s429_seconds, "429 with Retry-After in seconds for the first n, then ok"),
    "s429_date": Fault(replies.s429_date, "429 with Retry-After as a date for the first n, then ok"),
    "s429_header": Fault(replies.s429_header, "429 with the header `name: value` for the first n, then ok"),
    "s429_absurd": Fault(replies.s429_absurd, "429 with a Retry-After of a day"),
    "s429_nan": Fault(replies.s429_nan, "429 with Retry-After: nan"),
    "s503_loading": Fault(replies.s503_loading, "503 with estimated_time `seconds` for the first n, then ok"),
    "s502_html": Fault(replies.s502_html, "502 with an HTML page"),
    "s200_html": Fault(replies.s200_html, "200 with an HTML page"),
    "s200_empty": Fault(replies.s200_empty, "200 of the right type with an empty body"),
    "s200_error_json": Fault(replies.s200_error_json, "200 with a JSON error"),
    "s500_endless_body": Fault(replies.s500_endless_body, "500 with a body for ever, `pause` seconds per KiB"),
    "echo_token_error": Fault(replies.echo_token_error, "401 that repeats every credential it was sent"),
    # redirects
    "redirect": Fault(replies.redirect, "to: other, port, userinfo, relative, loop, file, or a percent-encoded URL"),
    "redirect_other": Fault(replies.redirect_other, "to another host name (localhost) at other_url's port"),
    "redirect_port": Fault(replies.redirect_port, "to the same host at other_url's port"),
    "redirect_loop": Fault(replies.redirect_loop, "to itself"),
    "redirect_file": Fault(replies.redirect_file, "to file:///etc/passwd"),
    # streams: ends that are no end
    "sse_reset": Fault(streams.sse_reset, "n words, then RST"),
    "sse_stall": Fault(streams.sse_stall, "n words, then silence"),
    "sse_slow_bytes": Fault(streams.sse_slow_bytes, "the stream byte by byte, `pause` seconds each"),
    "sse_keepalives": Fault(streams.sse_keepalives, "n words, then comments for ever"),
    "sse_trunc_chunk": Fault(streams.sse_trunc_chunk, "n words, then FIN inside a chunk"),
    "sse_no_last_chunk": Fault(streams.sse_no_last_chunk, "n words, then FIN without the last chunk"),
    "sse_clean_end_early": Fault(streams.sse_clean_end_early, "n words, then the last chunk"),
    "sse_eof_framed_early": Fault(streams.sse_eof_framed_early, "n words in a body framed by EOF, then FIN"),
    "sse_cut_mid_event": Fault(streams.sse_cut_mid_event, "n words and half an event, then the last chunk"),
    "sse_no_done": Fault(streams.sse_no_done, "all but [DONE]: whole"),
    "sse_no_done_no_finish": Fault(streams.sse_no_done_no_finish, "all words, no finish reason, no [DONE]"),
    "sse_done_left_open": Fault(streams.sse_done_left_open, "[DONE], and the body never ends: whole"),
    "ollama_null_finish": Fault(streams.ollama_null_finish, "[DONE], and a finish reason of null: whole"),
    # streams: bytes and lines
    "sse_bad_utf8": Fault(streams.sse_bad_utf8, "a byte 0xFF inside a word"),
    "sse_split_utf8": Fault(streams.sse_split_utf8, "words with long characters, cut inside each: whole"),
    "sse_unicode_breaks": Fault(streams.sse_unicode_breaks, "words with U+2028, U+2029 and U+0085: whole"),
    "sse_crlf": Fault(streams.sse_crlf, "lines end in CRLF: whole"),
    "sse_cr": Fault(streams.sse_cr, "lines end in CR: whole"),
    "sse_mixed_eol": Fault(streams.sse_mixed_eol, "lines end in LF, CRLF or CR by turns: whole"),
    "sse_crlf_split": Fault(streams.sse_crlf_split, "every CRLF cut between two chunks: whole"),
    "sse_bom": Fault(streams.sse_bom, "a byte order mark first: whole"),
    "sse_nospace": Fault(streams.sse_nospace, "no blank after `data:`: whole"),
    "sse_multiline_data": Fault(streams.sse_multiline_data, "the JSON of an event over several lines: whole"),
    "sse_fields": Fault(streams.sse_fields, "comments, other fields, an event without data: whole"),
    "sse_no_final_blank": Fault(streams.sse_no_final_blank, "no line end after the last event: whole"),
    # streams: size
    "sse_big_line": Fault(streams.sse_big_line, "an event of `mb` MiB in one line"),
    "sse_endless_line": Fault(streams.sse_endless_line, "a line for ever"),
    "sse_endless_event": Fault(streams.sse_endless_event, "lines of one event for ever"),
    "sse_flood": Fault(streams.sse_flood, "words for ever, as fast as they are taken"),
    "sse_forever": Fault(streams.sse_forever, "words for ever, `pause` seconds apart"),
    # streams: errors inside, odd events
    "sse_error_object": Fault(streams.sse_error_object, "n words, then an error object"),
    "sse_error_string": Fault(streams.sse_error_string, "n words, then TGI's error and error_type"),
    "sse_error_event": Fault(streams.sse_error_event, "n words, then `event: error`"),
    "sse_error_then_done": Fault(streams.sse_error_then_done, "n words, an error object, [DONE]"),
    "sse_error_beside_choices": Fault(streams.sse_error_beside_choices, "n words, an error in a chunk, [DONE]"),
    "sse_finish_error": Fault(streams.sse_finish_error, "n words, a finish reason of `error`, [DONE]"),
    "sse_bad_json": Fault(streams.sse_bad_json, "an event that is not JSON after n words"),
    "sse_wrong_types": Fault(streams.sse_wrong_types, "an event of wrong types after n words"),
    "sse_role_null": Fault(streams.sse_role_null, "role null in every delta but the first: whole"),
    "sse_usage_tail": Fault(streams.sse_usage_tail, "a usage chunk without choices after the finish: whole"),
    "sse_duplicates": Fault(streams.sse_duplicates, "every word twice: whole"),
    "sse_after_done": Fault(streams.sse_after_done, "two words more after [DONE]: whole without them"),
    # bodies
    "length_too_long": Fault(bodies.length_too_long, "Content-Length is `by` bytes too long, then FIN"),
    "length_too_short": Fault(bodies.length_too_short, "Content-Length is half the body, all of which is sent"),
    "length_short_by_one": Fault(bodies.length_short_by_one, "Content-Length is one byte short of the body"),
    "length_twice": Fault(bodies.length_twice, "two different Content-Length headers"),
    "cut": Fault(bodies.cut, "`at` bytes of the body; framing: chunked, chunked_end, length, eof"),
    "gzip_bomb": Fault(bodies.gzip_bomb, "`mb` MiB of zeros in gzip"),
    "gzip_bomb_error": Fault(bodies.gzip_bomb_error, "the same as the body of a 400"),
    "gzip_truncated": Fault(bodies.gzip_truncated, "half of a gzip body, its Content-Length right"),
    "gzip_corrupt": Fault(bodies.gzip_corrupt, "a gzip body with a wrong bit"),
    "big_json": Fault(bodies.big_json, "a right whole answer with `mb` MiB in an unknown field"),
    "deep_json": Fault(bodies.deep_json, "lists nested `depth` deep in an unknown field"),
    "big_int": Fault(bodies.big_int, "a number of `digits` digits"),
    "json_truncated": Fault(bodies.json_truncated, "half of the body, its Content-Length right"),
    "json_wrong_types": Fault(bodies.json_wrong_types, "JSON with the right names and wrong types"),
}

_TEXTS = {
    "sse_split_utf8": "".join(f"{word.rstrip()}{streams.SPLIT_SUFFIX} " for word in WORDS),
    "sse_unicode_breaks": "".join(f"{word.rstrip()}{streams.BREAKS_SUFFIX} " for word in WORDS),
    "sse_duplicates": "".join(word * 2 for word in WORDS),
}


def text_of(fault: str) -> str:
    """The text that a fault's stream holds where the table calls it whole; `TEXT` but for three faults."""
    return _TEXTS.get(fault, TEXT)


def describe() -> str:
    """The table of faults as text, one a line: the segment with its defaults, then what it does."""
    rows = [(_usage(name, fault), fault.line) for name, fault in FAULTS.items()]
    width = max(len(usage) for usage, _ in rows)
    return "\n".join(f"{usage:<{width}}  {line}" for usage, line in rows)


def _usage(name: str, fault: Fault) -> str:
    return name + "".join(f"~{key}={value}" for key, value in fault.parameters().items())


@contextmanager
def running(*, cassette: str | os.PathLike[str] | None = None, port: int = 0) -> Iterator[FaultServer]:
    """A fault server on two random ports of 127.0.0.1; leaving ends its threads and sockets.

    `cassette` is a file that `headwater.testing.cassette` has recorded: the server has the fault `recorded` then, whose
    answers are those of the file: `server.at("recorded")`, or `server.at("recorded", cut=400)` for answers that end
    before that byte. `port`: the first port, where it matters.

    Raises ValueError for what is no cassette, OSError for a file or a port that cannot be had.
    """
    faults = dict(FAULTS)
    if cassette is not None:
        faults["recorded"] = Fault(CassettePlayer(cassette).play, "what was recorded, cut before byte `cut` by `how`")
    server = FaultServer(faults, port)
    server.start()
    try:
        yield server
    finally:
        server.stop()
