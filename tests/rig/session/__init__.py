"""A session: may it run, how it is watched, how it ends."""
