"""A recorded session, read from its folder as NumPy arrays and pandas tables."""

from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from analysis.cells.areas import NAMES
from analysis.session.cell_arrays import read_rows
from analysis.session.joined_signals import with_joined_signals
from analysis.session.log_tables import MessageTables
from analysis.session.parts import Part, parts_completeness, parts_of, read_parts
from analysis.session.trigger_table import trigger_table
from analysis.signals.selectivity import SIGNS, THRESHOLDS
from analysis.signals.task_signals import task_signals
from rig.errors import Refused
from rig.messages import (
    CellsFound,
    CellSignals,
    Cue,
    Edge,
    Ended,
    Fault,
    Flip,
    Frame,
    Integrity,
    LearningSignals,
    Lick,
    Message,
    OperatorRequest,
    Position,
    Scan,
    Start,
    Stop,
    TrialEnd,
    TrialStart,
    TrialVerdict,
    Trigger,
    TriggerOutput,
    Valve,
    Wheel,
)
from rig.session.provenance import SCHEMA
from rig.settings.config import RECOVERED_FILE
from rig.transport.envelope import Envelope
from rig.transport.frame_pixels import imaging_file
from rig.transport.frame_ring import read_pixels
from rig.transport.log import LOG_FILE, Completeness, read_kinds


class Session:
    """The messages of a session as tables; the log is read when the first attribute is used.

    Times end in _s and count from the session's zero; tables are in order of time. Trial -1 means
    that there was no trial. Times and positions of events that did not happen are NaN.
    """

    def __init__(self, folder: str | Path, alone: bool = False) -> None:
        """Open a session folder. Raises Refused if it has no log, or an earlier part is missing.

        The last part of a continued session is read together with the parts before it, as one
        session; with `alone`, a part is read by itself.
        """
        self.folder, self._alone = Path(folder), alone
        self._tables: dict[type[Message], pd.DataFrame] = {}
        if not (self.folder / LOG_FILE).is_file():
            raise Refused(f"{folder} has no {LOG_FILE}; check the path, or run: rig recover DIR")

    @cached_property
    def parts(self) -> list[Part]:
        """The parts of the session in order of time; a session that was not continued has one."""
        return [Part(self.folder, 0)] if self._alone else parts_of(self.folder)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """All settings of the session, from the message Start; empty if the session never started.

        Raises Refused if a newer version of the program recorded it.
        """
        starts = self._table(Start).session
        settings = dict(starts.iloc[0]) if len(starts) else {}
        about = settings.get("about", {})
        schema = str(about.get("schema", ""))
        if schema.isdecimal() and int(schema) > int(SCHEMA):
            raise Refused(
                f"{self.folder} was recorded by rig {about.get('rig')} with message schema "
                f"{schema}, and this version reads up to {SCHEMA}; use that version or a later one"
            )
        return settings

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row per trial: its settings, and what happened.

        picture is "corridor" for most trials; others have no position. outcome is "done",
        "aborted", or NaN if the log ends inside the trial. drawn_cue_m is the planned position of
        the cue, cue_position_m the position at which it was given; reward_position_m is that of
        the first reward that was not manual.
        """
        drawn = self._table(TrialStart).rename(columns={"t_s": "start_s"})
        ends = self._table(TrialEnd).set_index("trial")
        cues = self._table(Cue).drop_duplicates("trial").set_index("trial")
        earned = self.rewards[~self.rewards.manual.astype(bool)]
        rewards = earned.drop_duplicates("trial").set_index("trial")
        first_licks = self.licks.drop_duplicates("trial").set_index("trial")
        of = drawn.trial
        columns = {
            "trial": of,
            "block": drawn.block,
            "picture": drawn.picture,
            "stimulus": drawn.stimulus,
            "rewarded": drawn.rewarded,
            "outcome": of.map(ends.outcome).astype("str"),
            "start_s": drawn.start_s,
            "end_s": of.map(ends.t_s),
            "texture_m": drawn.texture_m,
            "grey_m": drawn.grey_m,
            "reward_mode": drawn.reward_mode,
            "reward_delay_ms": drawn.reward_delay_ms,
            "drawn_cue_m": drawn.cue_position_m,
            "cue_position_m": of.map(cues.position_m),
            "cue_s": of.map(cues.t_s),
            "reward_position_m": of.map(rewards.position_m),
            "reward_s": of.map(rewards.t_s),
            "licks": of.map(self.licks.trial.value_counts()).fillna(0).astype(np.int64),
            "first_lick_s": of.map(first_licks.t_s),
            "first_lick_position_m": of.map(first_licks.position_m),
        }
        return pd.DataFrame(columns)

    @cached_property
    def licks(self) -> pd.DataFrame:
        """Every lick: t_s, line, and the trial and position_m at that time."""
        return self._placed(self._table(Lick)[["t_s", "line"]])

    @cached_property
    def rewards(self) -> pd.DataFrame:
        """Every opening of a valve: t_s, volume_ul, lick_t_s, manual, trial, position_m, ..."""
        valves = self._table(Valve)
        kept = ["t_s", "line", "id", "volume_ul", "open_ms", "lick_t_s", "manual"]
        return self._placed(valves.loc[valves.open_ms > 0, kept].reset_index(drop=True))

    @cached_property
    def orders(self) -> pd.DataFrame:
        """The operator's requests: t_s, verb (pause, resume, note, stop, water), text."""
        return self._table(OperatorRequest)[["t_s", "verb", "text"]]

    @cached_property
    def edges(self) -> pd.DataFrame:
        """Every change of a digital line: t_s, line, up."""
        return self._table(Edge)[["t_s", "line", "up"]]

    @cached_property
    def triggers(self) -> pd.DataFrame:
        """Every trigger of the closed loop, and whether its line rose: see trigger_table."""
        of = self._table(Trigger), self._table(TriggerOutput), self.edges
        return trigger_table(*of, self.at)

    @cached_property
    def scans(self) -> pd.DataFrame:
        """The headers of the imaging files, one row for each change: header, regions, ..."""
        return self._table(Scan)

    @cached_property
    def wheel(self) -> pd.DataFrame:
        """The wheel at every tick: t_s, counts, cm."""
        return self._table(Wheel)[["t_s", "counts", "cm"]]

    @cached_property
    def position(self) -> pd.DataFrame:
        """The position at every tick: t_s, trial, position_m, speed_cm_s, moving, phase, order."""
        return self._table(Position).drop(columns="sent_s")

    @cached_property
    def flips(self) -> pd.DataFrame:
        """Every frame shown on the screens: number, t_s, position_m, wheel_t_s, before_swap_t_s,
        late, dropped, bright, vblank, loop_ms."""
        return self._table(Flip).drop(columns="sent_s")

    @cached_property
    def frames(self) -> pd.DataFrame:
        """Every imaging frame: index, t_s (arrival), timestamp_s, and where its pixels are."""
        return self._table(Frame).drop(columns=["pixels", "sent_s"])

    @cached_property
    def integrity(self) -> pd.DataFrame:
        """The Integrity messages in the order of the log: t_s, number, frame, findings, ...

        t_s is the start of an imaging frame. number is 0 if a message is not about a frame; frame
        is NaN if the frame was not saved.
        """
        return self._messages.columns[Integrity].table().drop(columns="sent_s")

    @cached_property
    def decoded(self) -> pd.DataFrame:
        """Every frame with signals: frame, t_s, trial, stimulus, position_m, ...

        aborted is True if its trial was aborted.
        """
        table = self._table(CellSignals).drop(columns=["traces", "fractions", "tuning"])
        ends = self._table(TrialEnd)
        aborted = ends.trial[ends.outcome == "aborted"]
        return table.assign(aborted=table.trial.isin(aborted))

    @cached_property
    def found(self) -> pd.DataFrame:
        """Cells detected in this session, one row per depth; see offline_tuning.imaged_cells."""
        return self._table(CellsFound)

    @cached_property
    def traces(self) -> NDArray[np.float32]:
        """Deconvolved activity: (rows of `decoded`, cells); values are read from disk when used."""
        return self._cell_rows(CellSignals, "traces")

    @cached_property
    def contrasts(self) -> tuple[tuple[str, str], ...]:
        """The pairs of stimuli (A, B) that were compared; the first is the reference contrast."""
        return task_signals(self.settings.get("task", {})).contrasts

    @cached_property
    def learning(self) -> pd.DataFrame:
        """One row per completed trial and one for the end: t_s, trial, trials, final, ..."""
        columns = ["d_prime", "fractions", "tuning"]
        return self._table(LearningSignals).drop(columns=columns)

    @cached_property
    def analysed_trials(self) -> pd.DataFrame:
        """The trials of the last LearningSignals, in order of time: rows of `trials`.

        They are all completed corridors; if cells were detected during the session, only those
        that began after the detection.
        """
        trials, learning = self.trials, self.learning
        done = trials[(trials.outcome == "done") & (trials.picture == "corridor")]
        if not len(learning):
            return done
        so_far: pd.DataFrame = done[done.trial <= learning.trial.iloc[-1]]
        before = len(so_far) - int(learning.trials.iloc[-1])
        counted: pd.DataFrame = so_far.iloc[max(0, before) :]
        return counted

    @cached_property
    def d_primes(self) -> NDArray[np.float32]:
        """d' of each cell in each contrast: (rows of learning, contrasts, cells)."""
        rows = self._cell_rows(LearningSignals, "d_prime")
        contrasts = len(self.contrasts)
        return rows.reshape(len(rows), contrasts, -1 if contrasts and rows.size else 0)

    @cached_property
    def d_prime(self) -> NDArray[np.float32]:
        """d' of each cell in the first contrast: (rows of learning, cells)."""
        return self.d_primes[:, 0] if self.contrasts else np.zeros((0, 0), np.float32)

    @cached_property
    def fractions(self) -> NDArray[np.float32]:
        """Fraction of selective cells in the first contrast after each frame.

        The shape is (rows of `decoded`, group, sign, threshold), in the order of areas.NAMES,
        selectivity.SIGNS and selectivity.THRESHOLDS.
        """
        joined = np.frombuffer(b"".join(self._table(CellSignals).fractions), "<f4")
        shape = (len(NAMES), len(SIGNS), len(THRESHOLDS))
        if not self.contrasts:
            return np.zeros((0, *shape), np.float32)
        return joined.reshape(-1, len(self.contrasts), *shape)[:, 0]

    @cached_property
    def faults(self) -> pd.DataFrame:
        """Every fault: t_s, sender, text, and the imaging frame it names."""
        return self._table(Fault)[["t_s", "sender", "text", "frame"]]

    @cached_property
    def verdicts(self) -> pd.DataFrame:
        """The verdicts of the referee: t_s, trial, violations (a tuple, empty if there is none)."""
        return self._table(TrialVerdict)[["t_s", "trial", "violations"]]

    @cached_property
    def ends(self) -> pd.DataFrame:
        """How each process ended: t_s, sender, reason, failed."""
        return self._table(Ended)[["t_s", "sender", "reason", "failed"]]

    @cached_property
    def overruns(self) -> dict[str, int]:
        """Number of frames that each process read from the file, as the ring was overwritten."""
        overruns = self._table(Ended).groupby("sender").overruns.sum()
        return {str(name): int(count) for name, count in overruns.items() if count > 0}

    @cached_property
    def end_reason(self) -> str | None:
        """Why the session ended; None if its log has no Stop."""
        stops = self._table(Stop)
        reasons = stops.reason[stops.t_s >= self.parts[-1].offset_ns / 1e9]
        return str(reasons.iloc[0]) if len(reasons) else None

    @cached_property
    def completeness(self) -> Completeness | None:
        """Whether the log is complete, and what is missing; None if it was never closed."""
        return parts_completeness(self.parts)

    @property
    def recovered_parts(self) -> list[str]:
        """Folder names of the parts that did not end normally and were closed by `rig recover`."""
        folders = [part.folder for part in self.parts]
        return [folder.name for folder in folders if (folder / RECOVERED_FILE).is_file()]

    @property
    def recovered(self) -> bool:
        """True if `rig recover` closed a part of the session that did not end normally."""
        return bool(self.recovered_parts)

    @cached_property
    def gaps(self) -> Counter[tuple[str, str, int]]:
        """Number of missing messages of each (sender, type, incarnation)."""
        return self._messages.gaps

    def pixels(self, index: int) -> NDArray[Any]:
        """Read the pixels of an imaging frame: (height_px, width_px).

        Raises:
            Refused: There is no such frame, or its file is missing.
        """
        if not (found := self.frames[self.frames["index"] == index]).size:
            raise Refused(f"{self.folder} has no imaging frame {index}; see Session.frames")
        frame = found.iloc[0]
        shape = (int(frame.height_px), int(frame.width_px))
        path = imaging_file(self.folder, frame.file)
        pixels = read_pixels(path, int(frame.offset_bytes), shape, frame["dtype"])
        if pixels is None:
            raise Refused(f"the pixels of frame {index} are missing: restore {path}")
        return pixels

    def at(self, t_s: ArrayLike) -> pd.DataFrame:
        """Return the latest Position at or before each time, one row per time.

        A time before the first Position gets a row of NaN.
        """
        rows = np.searchsorted(self.position.t_s, t_s, side="right") - 1
        # reindex selects by label. No row has the label -1, so such a time gets NaN.
        return self.position.reindex(rows).reset_index(drop=True)

    def _cell_rows(self, message: type[Message], field: str) -> NDArray[np.float32]:
        sizes = self._table(message)[field].to_numpy(np.int64)
        return read_rows(self._read_kind(message), message, field, sizes)

    @cached_property
    def _messages(self) -> MessageTables:
        return MessageTables(self._read())

    def _read(self) -> Iterator[tuple[Envelope, Message]]:
        """Yield the messages of all parts, with signals computed over all parts."""
        messages = read_parts(self.parts)
        return with_joined_signals(messages, self.folder) if len(self.parts) > 1 else messages

    def _read_kind(self, message: type[Message]) -> Iterator[tuple[Envelope, Message]]:
        """Yield the messages of a type; other messages are only unpacked in a continued session."""
        if len(self.parts) > 1:
            return self._read()
        return read_kinds(self.parts[0].folder / LOG_FILE, {message})

    def _table(self, message: type[Message]) -> pd.DataFrame:
        """Return the table of a message type; free its columns, so that memory holds it once."""
        if message not in self._tables:
            table = self._messages.columns.pop(message).table()
            if not table.t_s.is_monotonic_increasing:
                table = table.sort_values("t_s", kind="stable", ignore_index=True)
            self._tables[message] = table
        return self._tables[message]

    def _placed(self, events: pd.DataFrame) -> pd.DataFrame:
        """Add the trial and the position (NaN outside a trial) to a table of events."""
        where = self.at(events.t_s)
        trial = where.trial.fillna(-1).astype(np.int64)
        return events.assign(trial=trial, position_m=where.position_m.where(trial >= 0))
