"""What an NWB file has of the microscope's raw pages: imports nothing, for a command's help."""

from enum import StrEnum


class RawPages(StrEnum):
    """What an NWB file has of the raw pages of the microscope."""

    LINK = "link"
    """The paths of the TIFFs, relative to the file."""
    EMBED = "embed"
    NONE = "none"
