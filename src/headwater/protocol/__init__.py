"""The words that all rooms share: flows, frames, requests, URLs, events. No I/O."""
