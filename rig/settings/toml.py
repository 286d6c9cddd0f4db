"""TOML files, read with one clear sentence where they are not what they should be."""

import re
import tomllib
from pathlib import Path
from typing import Any

from rig.errors import Refused


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file. Raises Refused if it is not there or not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Refused(f"{path} cannot be read ({error.strerror}); check the path") from error
    except UnicodeDecodeError as error:
        raise Refused(f"{path} is no text in UTF-8 ({error.reason}); is it a TOML file?") from error
    except tomllib.TOMLDecodeError as error:
        raise Refused(f"{path} is not valid TOML: {error}; {_advice(path, str(error))}") from error


def _advice(path: Path, error: str) -> str:
    """Return what to do, with the line that is meant."""
    at = re.search(r"at line (\d+)", error)
    if at is None:
        return "mend it"
    line = path.read_text(encoding="utf-8").splitlines()[int(at.group(1)) - 1].strip()
    return f'mend that line (text stands in "quotes"): {line}'
