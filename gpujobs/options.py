"""What a backend builds the keys of its targets from: a closed model, and kinds of values that say what is wrong.

::

    class MyOptions(Options):
        path: Text = "/usr/bin"
        connections: Count = 4
"""

from __future__ import annotations

from gpujobs._model import Amount, Count, Integer, Model, NonNegative, Text, Words

__all__ = ["Amount", "Count", "Integer", "NonNegative", "Options", "Text", "Words"]


class Options(Model):
    """The keys of ``[targets.NAME]`` that are a backend's own: frozen, and an unknown key is refused by its name."""
