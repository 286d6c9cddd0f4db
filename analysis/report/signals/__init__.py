"""The parts of a report that show signals of cells: one module for each figure of the study."""
