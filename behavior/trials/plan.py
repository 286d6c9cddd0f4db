"""The plan of a session: its blocks, and the trials of each block in the drawn order."""

import numpy as np

from behavior.trials.order import draw_order
from behavior.trials.resume import ResumePoint
from behavior.trials.task_settings import Block, TaskSettings
from rig.errors import Refused
from rig.messages import TrialStart


class TrialPlan:
    """The current block and trial; each trial is drawn when it starts."""

    def __init__(self, settings: TaskSettings) -> None:
        """Start at the first trial of the first block, or at the resume point of the settings.

        Raises Refused if no order can be drawn, or if it differs from that of the earlier parts.
        """
        self._settings = settings
        self._blocks = settings.in_blocks()
        self._cue_rng = np.random.default_rng([settings.seed, 1])
        self._started = 0
        """Number of trials drawn so far, including aborted trials."""
        self._start_block(0)
        if settings.resume is not None:
            self._resume(settings.resume)

    @property
    def block(self) -> Block:
        """The current block."""
        return self._blocks[self.number]

    @property
    def next_number(self) -> int:
        """The number of the next trial."""
        return self._started

    def change(self, settings: TaskSettings) -> None:
        """Continue with changed settings; the drawn order is kept."""
        self._settings, self._blocks = settings, settings.in_blocks()

    @property
    def is_block_over(self) -> bool:
        """True if all trials of the block are completed."""
        return self._completed == len(self._order)

    def start_next_block(self) -> bool:
        """Go to the first trial of the next block; return False if there is none."""
        if self.number + 1 == len(self._blocks):
            return False
        self._start_block(self.number + 1)
        return True

    def complete_trial(self) -> None:
        """Go to the next trial of the block; not called for an aborted trial, which is repeated."""
        self._completed += 1

    def draw_trial(self, t: int, misses: int) -> TrialStart:
        """Return the trial that starts at t (ns).

        `misses` is the number of rewarded trials since the last rewarded trial with water.
        """
        settings, block = self._settings, self.block
        stimulus, *rest = self._order[self._completed : self._completed + 2]
        rewarded = settings.watered and stimulus in block.rewarded
        rescue = rewarded and 0 < block.rescue_after_misses <= misses
        mode = "passive" if rescue else block.reward_mode
        corridor = block.is_corridor
        cue_m = float(self._cue_rng.uniform(block.cue_from_m, block.cue_to_m))
        self._started += 1
        return TrialStart(
            t,
            trial=self._started - 1,
            stimulus=stimulus,
            next_stimulus=rest[0] if rest else None,
            rewarded=rewarded,
            texture_m=block.texture_m if corridor else 0.0,
            grey_m=block.grey_m if corridor else 0.0,
            cue_position_m=cue_m if block.has_cue else None,
            reward_mode=mode if settings.watered else "none",
            reward_delay_ms=block.reward_delay_ms if settings.watered else 0.0,
            block=self.number,
            picture=block.picture,
            show_s=block.show_s,
            blank_s=block.blank_s,
            zone_from_m=block.zone_from_m if corridor else 0.0,
            zone_to_m=block.zone_end_m if corridor else 0.0,
            rescue=rescue,
        )

    def _resume(self, resume: ResumePoint) -> None:
        """Go to the trial after those that were drawn. Raises Refused if the order differs."""
        if resume.block >= len(self._blocks):
            raise Refused(f"the task has no block {resume.block} to continue; start a new session")
        self._start_block(resume.block)
        self._completed = len(resume.completed)
        known = [*resume.completed, *filter(None, [resume.next_stimulus])]
        if self._order[: len(known)] != known:
            raise Refused(
                f"seed {self._settings.seed} does not give the order of the trials that were run, "
                "so another version of the program drew them; start a new session"
            )
        self._started = resume.trial
        self._cue_rng.random(resume.trial)  # skip the number drawn for each earlier trial
        if self.is_block_over and not self.start_next_block():
            raise Refused("nothing of the session is left: all trials done; start a new one")

    def _start_block(self, number: int) -> None:
        self.number, self._completed = number, 0
        """Index of the current block."""
        self._order = draw_order(self.block, self._settings.seed, number)
