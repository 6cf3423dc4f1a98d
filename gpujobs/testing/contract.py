r"""``BackendContract``: what every backend must do, as a pytest class.

Subclass it, give the two fixtures, and say what your target is like::

    class TestMine(BackendContract):
        @pytest.fixture
        def client(self, tmp_path):
            with Client(config, state_dir=tmp_path) as client:
                yield client

        target = "mine"

Every job is made by :meth:`BackendContract.job` from a line of ``sh``; override it to add an image and the like.
"""

from __future__ import annotations

from gpujobs.testing._ends import EndsContract
from gpujobs.testing._fieldwise import FieldsContract
from gpujobs.testing._logs import LogsContract
from gpujobs.testing._powers import PowersContract
from gpujobs.testing._verbs import VerbsContract

__all__ = ["BackendContract", "CoreContract"]


class CoreContract(EndsContract, LogsContract, VerbsContract):
    """Ends, logs, keys and verbs: what even an in-memory backend keeps."""


class BackendContract(CoreContract, FieldsContract, PowersContract):
    """The whole contract. A field that cannot be honoured is refused by name; the rest is not negotiable."""
