"""rig info: the files and the summary of a session, and whether its log is complete."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from rig.cli.numbers import number
from rig.cli.sessions.completeness_notice import check_files, check_log
from rig.cli.sessions.end_summary import SUMMARY_FILE, print_table, read_summary
from rig.cli.sessions.photodiode_report import photodiode_checks
from rig.cli.sessions.session_argument import SessionDir, session_in
from rig.cli.sessions.video_frames import compared
from rig.cli.terminal import new_console
from rig.errors import Refused
from rig.settings.config import EXPORT_FOLDER


def info(
    folder: SessionDir,
    video: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FILE", help="Compare a video's frames with the camera's exposures."
        ),
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(help="Photodiode trace of another recorder: check when each image was shown."),
    ] = None,
    trace_hz: Annotated[
        float, typer.Option(parser=number(1.0), help="Sampling rate of --trace, Hz.")
    ] = 10_000.0,
) -> None:
    """Show the files of a session, whether its log is complete, and its summary.

    Exit code: 1 if the log is not whole, a file was changed, or a comparison failed.
    """
    console = new_console()
    folder = session_in(folder)
    completeness = check_log(folder, console)
    if not (folder / SUMMARY_FILE).exists():
        raise Refused(f"{folder} is not closed; unless it still runs, run: rig recover {folder}")
    for name, sizes in _file_sizes(folder).items():
        count = f" in {len(sizes)} files" if len(sizes) > 1 else ""
        console.print(f"  {name}  {sum(sizes) / 1e6:.2f} MB{count}")
    whole = Text("whole", "green") if completeness.whole else Text("not whole", "bold red")
    missing = f"; missing: {completeness.missing}" if completeness.missing else ""
    console.print(Text.assemble("log: ", whole, missing))
    print_table(read_summary(folder), console)
    passed = check_files(folder, console) and completeness.whole
    checks = (*compared(folder, video or []), *photodiode_checks(folder, trace, trace_hz))
    for sentence, ok in checks:
        console.print(Text(sentence, "" if ok else "bold red"))
        passed = passed and ok
    if not passed:
        raise typer.Exit(1)


def _file_sizes(folder: Path) -> dict[str, list[int]]:
    """Return the sizes of the files of a session, those of an export together."""
    sizes: dict[str, list[int]] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        parts = path.relative_to(folder).parts
        name = "/".join(parts[:2] if parts[0] == EXPORT_FOLDER else parts)
        sizes.setdefault(name, []).append(path.stat().st_size)
    return sizes
