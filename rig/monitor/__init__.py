"""The live page: one process that subscribes to everything and serves one page."""
