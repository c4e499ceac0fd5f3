"""What classifying tasks answer with: a label and its score.

Each task has a name of its own for it, and so a type; what they have in common is here.
"""

from __future__ import annotations

from .lenient import NOT_SAID, Nullable
from .output import Output


class Scored(Output):
    """A label, and how likely it is: mostly a probability, 0 to 1, but for `function_to_apply` "none".

    A server that gives no score leaves None there.
    """

    label: Nullable[str]
    score: Nullable[float] = NOT_SAID
