"""Shared by all tests."""

import pytest

pytest.register_assert_rewrite(
    "gpujobs.testing._base", "gpujobs.testing._ends", "gpujobs.testing._verbs", "gpujobs.testing._fieldwise"
)
