"""Sections of a report on the signals of cells: one module per figure of the study."""
