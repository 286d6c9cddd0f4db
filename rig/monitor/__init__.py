"""The live page: a process that subscribes to all messages and serves a web page."""
