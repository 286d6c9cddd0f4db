"""Where the cells are: masks and brain areas, read from files."""
