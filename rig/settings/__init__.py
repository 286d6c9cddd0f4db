"""Read and check setups, tasks and `--set`, and resolve them into one session."""
