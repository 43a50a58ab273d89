"""One small universe for all tests that read one."""

from pathlib import Path

import pytest

from clasp_bench.data.synthped import generate


@pytest.fixture(scope="session")
def universe(tmp_path_factory) -> Path:
    """Universe 3 at scale tiny in all layouts, rendered by two workers; nothing may change it."""
    return generate(tmp_path_factory.mktemp("synthped") / "universe", "tiny", 3, workers=2)
