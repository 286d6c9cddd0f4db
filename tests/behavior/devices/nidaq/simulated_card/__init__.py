"""A simulated NI card: its own process, served as NI's gRPC device server serves a real one."""
