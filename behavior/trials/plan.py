"""What comes next in a session: its blocks, and in each the trials in the order drawn for it."""

import numpy as np

from behavior.trials.order import draw_order
from behavior.trials.task_settings import Block, TaskSettings
from rig.messages import TrialStart


class Plan:
    """Stands in one block, at one of its trials; draws the trial when it begins."""

    def __init__(self, facts: TaskSettings) -> None:
        """Stand at the first trial. Raises Refused if an order cannot be drawn."""
        self._facts = facts
        self._blocks = facts.in_blocks()
        self._cues = np.random.default_rng([facts.seed, 1])
        self._begun = 0
        self._enter(0)

    @property
    def block(self) -> Block:
        """The block it stands in."""
        return self._blocks[self._number]

    @property
    def is_block_over(self) -> bool:
        """Whether all trials of the block are done."""
        return self._done == len(self._order)

    def next_block(self) -> bool:
        """Stand at the first trial of the next block; return False if there is none."""
        if self._number + 1 == len(self._blocks):
            return False
        self._enter(self._number + 1)
        return True

    def done(self) -> None:
        """Stand at the next trial of the block; one that was aborted comes again."""
        self._done += 1

    def draw(self, t: int, misses: int) -> TrialStart:
        """Return the trial that begins at t (ns), after so many missed rewards."""
        facts, block = self._facts, self.block
        stimulus, *rest = self._order[self._done : self._done + 2]
        rewarded = facts.watered and stimulus in block.rewarded
        rescue = rewarded and 0 < block.rescue_after_misses <= misses
        mode = "passive" if rescue else block.reward_mode
        corridor = block.is_corridor
        cue_m = float(self._cues.uniform(block.cue_from_m, block.cue_to_m))
        self._begun += 1
        return TrialStart(
            t,
            self._begun - 1,
            stimulus,
            rest[0] if rest else None,
            rewarded,
            block.texture_m if corridor else 0.0,
            block.grey_m if corridor else 0.0,
            cue_m if block.has_cue else None,
            mode if facts.watered else "none",
            block.reward_delay_ms if facts.watered else 0.0,
            self._number,
            block.picture,
            block.show_s,
            block.blank_s,
            block.zone_from_m if corridor else 0.0,
            block.zone_end_m if corridor else 0.0,
            rescue,
        )

    def _enter(self, number: int) -> None:
        self._number, self._done = number, 0
        self._order = draw_order(self.block, self._facts.seed, number)
