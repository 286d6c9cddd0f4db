"""`rig tiff`: inspect and check ScanImage's files, and repair damaged ones."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from acquisition.files.file_check import Checked, check, repair
from acquisition.files.mean_image import mean_images, side_by_side
from acquisition.files.session_tiffs import repaired_copy
from rig.cli.imaging.png import write_png
from rig.cli.terminal import new_console
from rig.errors import Refused

tiff = typer.Typer(help="Inspect, check and repair ScanImage's TIFFs.", no_args_is_help=True)
Files = Annotated[
    list[Path], typer.Argument(metavar="FILES", help="ScanImage TIFFs, in the order of recording.")
]


@tiff.command(name="check")
def check_(files: Files) -> None:
    """Check that files are complete, closed, readable by ScanImage's reader, with every frame once.

    The exit code is 1 if something is wrong.
    """
    console = new_console()
    wrong = False
    for one in check(files):
        for problem in one.problems:
            console.print(Text(problem, "bold red"), soft_wrap=True)
        if not one.problems:
            sound = Text(f"{one.path}: {one.pages} pages{_frames(one)}, sound", "green")
            console.print(sound, soft_wrap=True)
        wrong |= bool(one.problems)
    if wrong:
        raise typer.Exit(1)


@tiff.command(name="repair")
def repair_(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="A file that is truncated, damaged or not closed."),
    ],
    to: Annotated[Path | None, typer.Option(help="Copy to write; default: FILE_repaired.")] = None,
) -> None:
    """Copy the complete pages of a damaged file into one that every reader opens."""
    copy = to or repaired_copy(file)
    pages, lost_bytes = repair(file, copy)
    (made,) = check([copy])
    if made.problems:
        raise Refused(f"{copy} was written but is not sound: {made.problems[0]}")
    last = made.frames[1] if made.frames else 0
    lost = f"lost: everything after frame {last}, {lost_bytes} bytes of an incomplete page"
    if not lost_bytes:
        lost = "nothing is lost: the file was only not closed"
    new_console().print(f"{copy}: {pages} pages{_frames(made)}; {lost}", soft_wrap=True)


@tiff.command()
def info(files: Files) -> None:
    """Show the settings in the headers: version, rates, channels, depths, regions, laser ..."""
    console = new_console()
    for one in check(files, vendor=False):
        table = Table(title=str(one.path), show_header=False)
        for name, value in _rows(one).items():
            table.add_row(name, value)
        console.print(table)
        for problem in one.problems:
            console.print(Text(problem, "bold red"), soft_wrap=True)


@tiff.command()
def picture(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A ScanImage TIFF, which may still be growing.")
    ],
    to: Annotated[Path | None, typer.Option(help="PNG to write; default: FILE.png.")] = None,
    frames: Annotated[
        int, typer.Option(help="Frames of each depth that are averaged.", min=1)
    ] = 30,
) -> None:
    """Draw the mean of a file's first frames into a PNG: regions in place, depths in a row."""
    png = to or file.with_suffix(".png")
    images = mean_images(file, frames)
    write_png(png, side_by_side(images))
    sizes = ", ".join(f"{p.shape[1]} x {p.shape[0]} px" for p in images)
    new_console().print(f"{png}: {len(images)} depths, {sizes}", soft_wrap=True)


def _rows(one: Checked) -> dict[str, str]:
    header = one.header
    rates = (header.frame_rate_hz, header.volume_rate_hz)
    seconds = one.seconds[1] - one.seconds[0] if one.seconds else 0.0
    return {
        "ScanImage": header.version or "-",
        "pages": f"{one.pages}{_frames(one)}",
        "page": f"{one.page_px[0]} x {one.page_px[1]} px, {one.dtype or '-'}",
        "first to last page": f"{seconds:.3f} s",
        "frame and volume rate, Hz": ", ".join("-" if r is None else f"{r:g}" for r in rates),
        "channels saved": _numbers(header.channels),
        "depths, um": _numbers(header.depths_um),
        "frames per slice, fly-back, averaged": (
            f"{header.frames_per_slice}, {header.flyback_frames}, {header.averaged}"
        ),
        "regions": "\n".join(_regions(one)) or "-",
        "lines between regions": str(header.fly_to_lines if header.multi_region else "-"),
        "um per degree": _number(header.um_per_degree),
        "laser power, %": _numbers(header.power_percent),
        "PMT gains": _numbers(header.pmt_gains),
        "zoom": _number(header.zoom),
        "motors, um": _numbers(header.objective_um),
        "fast z, um": _number(header.fast_z_um),
    }


def _regions(one: Checked) -> Iterator[str]:
    """Yield a line per depth, with a line per region if these differ from the previous depth's."""
    before: list[str] = []
    for depth, strips in zip(one.header.depths_um, one.planes, strict=False):
        lines = []
        for strip in strips:
            width, height = strip.field.px
            name = strip.name or strip.region
            lines.append(f"  {name}: {width} x {height} px from row {strip.first_row}")
        yield f"at {depth:g} um" + (": the same" if lines == before else "")
        yield from lines if lines != before else ()
        before = lines


def _frames(one: Checked) -> str:
    return f" of frames {one.frames[0]} to {one.frames[1]}" if one.frames and one.frames[0] else ""


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values) or "-"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"
