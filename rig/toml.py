"""TOML files, read with one clear sentence where they are not what they should be."""

import tomllib
from pathlib import Path
from typing import Any

from rig.refused import Refused


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file. Raises Refused if it is not there or not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{path} cannot be read ({error}); check the path") from error
    except tomllib.TOMLDecodeError as error:
        raise Refused(f"{path} is not valid TOML: {error}; mend that line") from error
