"""The code that all rooms share: messages, transport and log, nodes, sessions and commands."""
