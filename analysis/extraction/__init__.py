"""From registered pages to deconvolved traces."""
