"""Questions asked before in other words: found, checked, proven, and served only then."""

__all__: list[str] = []
