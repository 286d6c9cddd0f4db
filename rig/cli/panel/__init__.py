"""The panel: a page from which a day is begun and ended."""
