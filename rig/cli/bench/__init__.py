"""The benchmarks of `rig bench`, one module each."""
