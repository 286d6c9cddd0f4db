"""The panel: a page on which an animal's day is begun and ended."""
