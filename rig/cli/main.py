"""The `rig` command. A refusal is one sentence on the terminal and exit code 2."""

import errno
import os
import sys
from collections.abc import Callable
from typing import Annotated

# Set before any command loads numpy: with one thread, sums always have the same order.
os.environ.update({f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")})

import typer
from rich.text import Text

from rig.cli.alerts.command import alerts
from rig.cli.bench.analysis import analysis
from rig.cli.bench.behavior import behavior
from rig.cli.bench.bus import bus
from rig.cli.bench.display import display
from rig.cli.bench.export import export as bench_export
from rig.cli.bench.frames import frames
from rig.cli.bench.ground_truth import ground_truth
from rig.cli.bench.monitor import monitor as bench_monitor
from rig.cli.bench.replay import replay as bench_replay
from rig.cli.bringup.calibrate import calibrate
from rig.cli.bringup.check import check
from rig.cli.bringup.doctor import doctor
from rig.cli.bringup.flush import flush
from rig.cli.bringup.preview import preview
from rig.cli.bringup.schema import schema
from rig.cli.chaos.chaos import chaos
from rig.cli.data.copy import copy, prune
from rig.cli.data.export import export
from rig.cli.data.listing import ls
from rig.cli.data.recover import recover
from rig.cli.imaging.align import align
from rig.cli.imaging.tiff import tiff
from rig.cli.panel.command import panel
from rig.cli.sessions.demo import demo
from rig.cli.sessions.info import info
from rig.cli.sessions.monitor import monitor
from rig.cli.sessions.overview import overview
from rig.cli.sessions.replay import replay
from rig.cli.sessions.report import report
from rig.cli.sessions.run import run
from rig.cli.sessions.simulate import simulate
from rig.cli.subject import subject
from rig.cli.terminal import make_printable, new_console, protect_output, report_error
from rig.errors import Refused
from rig.session import provenance
from rig.session.launch import Unsettled

app = typer.Typer(
    no_args_is_help=True,
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_SESSIONS, _RIG, _IMAGING, _ANIMALS = "Sessions", "The rig", "Imaging", "Animals"
_RECORDINGS = "Recorded sessions"
COMMANDS: tuple[tuple[str, tuple[Callable[..., None], ...]], ...] = (
    (
        _SESSIONS,
        (run, demo, simulate, preview, panel, monitor, overview, info, report, replay, recover),
    ),
    (_RIG, (doctor, flush, schema, chaos)),
    (_RECORDINGS, (ls, export, copy, prune)),
    (_IMAGING, (align,)),
)
"""The commands, in the order of the help and under its headings."""
for heading, commands in COMMANDS:
    for command in commands:
        app.command(rich_help_panel=heading)(command)
app.add_typer(check, name="check", rich_help_panel=_RIG)
app.add_typer(calibrate, name="calibrate", rich_help_panel=_RIG)
bench = typer.Typer(
    help="Measure how fast the rig is on this computer, and how exact its analysis.",
    no_args_is_help=True,
)
for part in (bus, behavior, frames, display, analysis, ground_truth):
    bench.command()(part)
bench.command("monitor")(bench_monitor)
bench.command("replay")(bench_replay)
bench.command("export")(bench_export)
app.add_typer(bench, name="bench", rich_help_panel=_RIG)
app.add_typer(tiff, name="tiff", rich_help_panel=_IMAGING)
app.add_typer(alerts, name="alerts", rich_help_panel=_ANIMALS)
app.add_typer(subject, name="subject", rich_help_panel=_ANIMALS)


_PATH_ERRORS = (
    *(errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM),
    *(errno.ENAMETOOLONG, errno.ENOSPC, errno.EROFS),
)
"""Errors of files that are caused by the paths that a person chose, or by a full disk."""


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and exit.", is_eager=True),
    ] = False,
) -> None:
    """Run, replay and report sessions of a head-fixed mouse in virtual corridors."""
    if version:
        about = provenance.about()
        new_console().print(f"rig {about['rig']}, commit {about['commit']}")
        raise typer.Exit


def main() -> None:
    """Run the `rig` command.

    Exit codes: 0 if what was asked for is done and complete; 1 if it failed, or if its result is of
    a session that is incomplete or was changed; 2 if it was refused; 70 for an unexpected error.
    """
    make_printable()
    protect_output()
    try:
        app()
    except Unsettled as failure:
        _fail(str(failure), 1)
    except Refused as refusal:
        _fail(str(refusal), 2)
    except Exception as error:
        if isinstance(error, OSError) and error.filename and error.errno in _PATH_ERRORS:
            _fail(f"{error.filename}: {error.strerror}; choose another path, or make room", 1)
        _fail(report_error(error), 70)


def _fail(text: str, code: int) -> None:
    new_console(stderr=True).print(Text(text, "bold red"))
    sys.exit(code)
