"""Real sessions that were recorded once, one for each version of the messages."""

import gzip
import shutil
from pathlib import Path

LOGS = Path(__file__).parent / "data" / "logs"
SCHEMAS = sorted(folder.name for folder in LOGS.iterdir() if folder.is_dir())
"""Their folders; tests/data/logs/README.md says how each was recorded."""


def kept_session(name: str, folder: Path) -> Path:
    """Make the session folder sub-kept/ses-20261130_1 of a kept session, and return it."""
    session = folder / "sub-kept" / "ses-20261130_1"
    shutil.copytree(LOGS / name, session)
    for packed in list(session.rglob("*.gz")):
        with gzip.open(packed) as source, packed.with_suffix("").open("wb") as file:
            shutil.copyfileobj(source, file)
        packed.unlink()
    return session
