from __future__ import annotations

import pytest

from tests.simulate.planted import Planted, clean_spec, live


@pytest.fixture(scope="session")
def planted() -> Planted:
    """A log large enough to recover what was planted in it."""
    return live(clean_spec(users=20_000, items=800, days=180))
