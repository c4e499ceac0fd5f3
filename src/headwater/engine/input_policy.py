"""What a call may read as input and what it may download: the policy. What an address is, is in `download_hosts`."""

from __future__ import annotations

from typing import ClassVar, Final

import msgspec

from ..protocol.flow import LARGEST


class InputPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What inputs may be: the client's argument `input_policy`.

    `paths`: whether a `str` that is no URL is a path. `urls`: whether http(s) URLs are downloaded. `allow_private`:
    whether a URL may lead to this machine or into a private network. `limit`: the most bytes of an input, and of a
    result that is downloaded into memory. `model_urls`: whether a call's `model` may be a server's URL; the client's
    own is the program's to choose, and always may.

    `InputPolicy.untrusted` is for programs that pass on what others wrote, such as web backends: with it a `str` is
    never a path, and no call says by its `model` which server it goes to.
    """

    paths: bool = True
    urls: bool = True
    allow_private: bool = False
    limit: int = LARGEST
    model_urls: bool = True

    untrusted: ClassVar[InputPolicy]


InputPolicy.untrusted = InputPolicy(paths=False, model_urls=False)
DEFAULT_POLICY: Final = InputPolicy()
