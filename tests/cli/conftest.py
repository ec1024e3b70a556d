import sys
from pathlib import Path

import pytest


@pytest.fixture
def gateway_fakes():
    """The stand-ins of the gateway's own tests."""
    folder = str(Path(__file__).parent.parent / "gateway")
    sys.path.insert(0, folder)
    try:
        import fakes
    finally:
        sys.path.remove(folder)
    return fakes
