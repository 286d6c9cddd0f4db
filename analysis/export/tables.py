"""Export to plain tables: one CSV or Parquet file for each of trials, licks, rewards ..."""

from functools import partial
from pathlib import Path

import pandas as pd

from analysis.export.contents import Contents
from analysis.export.files import Write, write_files
from rig.errors import Refused

README = """Tables of one session. Times are seconds of the session clock; it was zero at {began}.
{remarks}
trials      one row per trial, including aborted trials (outcome)
licks       lick onsets
rewards     openings of a valve; manual: asked for by the operator
cues        sound cues: trial, and time and position at which the cue was due
wheel       the wheel at every tick: encoder counts, and centimetres forward
position    position in the corridor at every tick of the wheel
flips       frames shown on the screens, with the position that they show
frames      imaging frames, with the file and offset of their pixels
signals     one row for each frame with signals: trial, position and time of the middle of its scan
triggers    triggers of the closed loop: when and where the rule became true (t_s, position_m), when
            and where the line rose (line_s, line_position_m), for how long (up_ms; 0: not at all)
requests    what the operator asked for: pause, resume, note, stop, manual reward
faults      what was wrong, and which process reported it
verdicts    the referee's finding for each trial; empty if there was none
"""


def session_tables(contents: Contents) -> dict[str, pd.DataFrame]:
    """Return the tables of a session by name."""
    session = contents.session
    cues = session.trials[["trial", "stimulus", "cue_s", "cue_position_m"]].dropna()
    signals = session.decoded[
        ["frame", "scanned_t_s", "trial", "stimulus", "position_m", "moving", "selective_fraction"]
    ]
    return {
        "trials": session.trials,
        "licks": session.licks,
        "rewards": session.rewards,
        "cues": cues.reset_index(drop=True),
        "wheel": session.wheel,
        "position": session.position,
        "flips": session.flips,
        "frames": session.frames,
        "signals": signals,
        "triggers": session.triggers,
        "requests": session.orders,
        "faults": session.faults,
        "verdicts": session.verdicts.assign(
            violations=session.verdicts.violations.map("; ".join).astype("str")
        ),
    }


def write_tables(contents: Contents, folder: Path, kind: str) -> list[Path]:
    """Write the tables as "csv" or "parquet" files into a folder; return the files.

    Raises Refused if Parquet is asked for and pyarrow is not installed.
    """
    if kind == "parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError as error:
            raise Refused(
                "Parquet files need pyarrow; install it: pip install 'rig[export]', or export csv"
            ) from error
    files: dict[str, Write] = {
        f"{name}.{kind}": partial(_write, table, kind)
        for name, table in session_tables(contents).items()
    }
    remarks = "".join(f"{one}.\n" for one in contents.remarks())
    text = README.format(began=contents.began.isoformat(), remarks=remarks)
    files["README.txt"] = partial(_write_text, text)
    return write_files(folder, files)


def _write_text(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")


def _write(table: pd.DataFrame, kind: str, path: Path) -> None:
    if kind == "csv":
        table.to_csv(path, index=False)
    else:
        table.to_parquet(path, index=False)
