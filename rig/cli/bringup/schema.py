"""rig schema: JSON schemas of setups and tasks, with which an editor checks and completes them."""

import json
from pathlib import Path
from typing import Annotated

import typer

from rig.cli.terminal import new_console
from rig.errors import Refused


def schema(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="The folder of your setups and tasks.")
    ] = Path(),
) -> None:
    """Write the JSON schemas of setups and tasks into a folder.

    An editor that knows the comment `#:schema FILE` at the top of a TOML file (Even Better TOML,
    Taplo) then completes its keys, shows what they mean, and marks mistakes.
    """
    from rig.cli.bringup import setting_schemas as made  # slow to load

    console = new_console()
    if not folder.is_dir():
        raise Refused(
            f"folder {folder} does not exist; create it, or name the folder of your setups"
        )
    schemas = {made.SETUP_FILE: made.setup_schema(), made.TASK_FILE: made.task_schema()}
    for name, one in schemas.items():
        try:
            (folder / name).write_text(as_text(one), encoding="utf-8")
        except OSError as error:
            raise Refused(
                f"{folder / name} cannot be written ({error.strerror}); check the folder"
            ) from error
        console.print(f"first line of each {name.partition('.')[0]}: #:schema ./{name}")


def as_text(schema: dict[str, object]) -> str:
    """Return a schema as the text of its file."""
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"
