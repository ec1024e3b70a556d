"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

# How long an example takes depends on the machine and on what else runs; speed is measured in bench/.
settings.register_profile("farthing", deadline=None)
settings.load_profile("farthing")
