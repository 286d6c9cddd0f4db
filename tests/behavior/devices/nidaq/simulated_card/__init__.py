"""A simulated NI card in its own process, with the interface of NI's gRPC device server."""
