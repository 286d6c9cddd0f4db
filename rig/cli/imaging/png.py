"""Write images to PNG files."""

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from rig.errors import Refused


def write_png(path: Path, image: NDArray[Any]) -> None:
    """Write an image (height x width x 3, uint8, row 0 at the top) to a PNG file.

    Raises:
        Refused: The file cannot be written.
    """
    from PIL import Image

    try:
        Image.fromarray(image).save(path, "PNG")
    except OSError as error:
        raise Refused(f"{path} cannot be written ({error}); choose another file") from error
