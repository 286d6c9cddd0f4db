"""Everything that stands between a reward request and an open valve."""
