"""How an NWB file includes raw pages; has no imports, so that a command's help loads fast."""

from enum import StrEnum


class RawPages(StrEnum):
    """How an NWB file includes the raw pages of the microscope."""

    LINK = "link"
    """The paths of the TIFFs, relative to the file."""
    EMBED = "embed"
    NONE = "none"
