"""The base of all rooms: messages, transport and log, nodes and processes, sessions, commands."""
