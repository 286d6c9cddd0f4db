"""The roof: `rig VERB`. A refusal is one sentence on the terminal and exit code 2."""

import os
import sys

# before numpy is loaded by any of the verbs: one thread adds up in one order
os.environ.update({f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")})

import typer
from rich.console import Console
from rich.text import Text

from rig.cli.bench.analysis import analysis
from rig.cli.bench.behavior import behavior
from rig.cli.bench.bus import transport
from rig.cli.bench.display import display
from rig.cli.bench.frames import frames
from rig.cli.bringup.calibrate import calibrate
from rig.cli.bringup.check import check
from rig.cli.bringup.doctor import doctor
from rig.cli.bringup.flush import flush
from rig.cli.imaging.align import align
from rig.cli.imaging.tiff import tiff
from rig.cli.sessions.demo import demo
from rig.cli.sessions.export import export
from rig.cli.sessions.info import info
from rig.cli.sessions.recover import recover
from rig.cli.sessions.replay import replay
from rig.cli.sessions.report import report
from rig.cli.sessions.run import run
from rig.cli.subject import subject
from rig.errors import Refused
from rig.session.launch import Unsettled

app = typer.Typer(
    help="Run, watch, replay and read sessions of a head-fixed mouse in virtual corridors.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for verb in (demo, run, replay, report, info, export, recover, flush, doctor, align):
    app.command()(verb)
app.add_typer(subject, name="subject")
app.add_typer(tiff, name="tiff")
app.add_typer(calibrate, name="calibrate")
app.add_typer(check, name="check")
bench = typer.Typer(help="Measure how fast the parts are on this machine.", no_args_is_help=True)
for part in (transport, behavior, frames, analysis, display):
    bench.command()(part)
app.add_typer(bench, name="bench")


def main() -> None:
    """Be the `rig` command."""
    try:
        app()
    except Unsettled as failure:
        Console(stderr=True).print(Text(str(failure), "bold red"))
        sys.exit(1)
    except Refused as refusal:
        Console(stderr=True).print(Text(str(refusal), "bold red"))
        sys.exit(2)
