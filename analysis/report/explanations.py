"""What each finding of a session means and what to do about it.

The page docs/reference/findings.md is made from this module:

    python -m analysis.report.explanations > docs/reference/findings.md
"""

from typing import NamedTuple


class Explanation(NamedTuple):
    """One finding, explained to the person at the rig."""

    meaning: str
    action: str


_CHECK_TASK = "Do not use this trial; keep the session folder and report it as a software fault."
_CHECK_LINE = "Check the cable of the frame clock and the threshold of its input."
_CHECK_LOAD = "Close other programs; run rig doctor."

PROCESSES = {
    "session failed": Explanation(
        "The session did not end normally; the report gives the reason.",
        "Act on the reason; the data up to the failure are complete unless messages are lost.",
    ),
    "process failed": Explanation(
        "A process stopped with an error.",
        "Read its error; NAME.err.txt in the session folder has the details.",
    ),
    "process killed": Explanation(
        "A process crashed, or was killed because it did not answer or did not end in time.",
        "Read NAME.err.txt in the session folder; check memory and load of the computer.",
    ),
    "log incomplete": Explanation(
        "Messages of the session are missing from the log, or part of its file is damaged.",
        "Run rig recover on the session; it lists what is still missing.",
    ),
    "messages lost": Explanation(
        "Sequence numbers of a process are missing: the log is incomplete.",
        "Run rig recover on the session; if messages are still missing, leave out those trials.",
    ),
    "fault": Explanation(
        "A process reported that something was wrong; the first report is shown.",
        "Follow its text; all reports are in the section 'Record' of the page.",
    ),
    "frames missed": Explanation(
        "The number of imaging pages in the files differs from the number that was streamed.",
        "Run rig tiff check on the files; run the analysis on the files, not on the log.",
    ),
    "late flip": Explanation(
        "A screen refresh was missed: the previous image stayed on for too long.",
        _CHECK_LOAD + " A few are normal on a simulated screen.",
    ),
}
INTEGRITY = {
    "edge lost": Explanation(
        "An imaging frame was saved, but its frame-clock edge did not arrive.",
        f"{_CHECK_LINE} The frame's time is interpolated and can be used.",
    ),
    "edge doubled": Explanation("A frame has two frame-clock edges.", _CHECK_LINE),
    "edge late": Explanation(
        "The frame-clock edge came later than the microscope's own time of the frame.",
        f"{_CHECK_LOAD} The microscope's time is used.",
    ),
    "edge early": Explanation(
        "The frame-clock edge came earlier than the microscope's own time of the frame.",
        _CHECK_LINE,
    ),
    "edge too much": Explanation("A frame-clock edge belongs to no imaging frame.", _CHECK_LINE),
    "clock step": Explanation(
        "The microscope's own frame times jumped, as when its computer's clock is set.",
        "Use the frame times, which come from the frame clock; find out what sets that clock.",
    ),
    "file lost": Explanation(
        "An imaging file was deleted, renamed or replaced while the session ran.",
        "Restore the file under its name; its frames cannot be replayed or analysed without it.",
    ),
    "page lost": Explanation(
        "There was a frame-clock edge, but the frame is not in the files.",
        "Check the disk of the ScanImage computer; that frame has no data.",
    ),
    "pages behind": Explanation(
        "For several seconds frames were scanned, but no page was read from the files.",
        "Check that ScanImage saves to imaging_folder, and check the network connection.",
    ),
    "counts differ": Explanation(
        "At the end, the numbers of frame-clock edges and of saved pages differ.",
        "Look at the other findings; if there are none, the first or last frames were not saved.",
    ),
    "wheel silent": Explanation(
        "The wheel was not read for a while, so the corridor did not move.",
        f"{_CHECK_LOAD} Leave out the trial in which it happened.",
    ),
    "wheel jumped": Explanation(
        "The wheel moved faster than a mouse can run.",
        "Check the encoder's cable and shield; calibrate with rig calibrate wheel.",
    ),
    "flip lost": Explanation("The record of a screen refresh is missing.", _CHECK_LOAD),
    "picture stale": Explanation(
        "The screen showed a position of the mouse that was too old.",
        f"{_CHECK_LOAD} Leave out the trial in which it happened.",
    ),
    "picture of no wheel": Explanation(
        "The screen showed a position that was never measured.", _CHECK_TASK
    ),
    "photodiode dead": Explanation(
        "The photodiode saw no change of its patch for more than a second.",
        "Check that the photodiode is on the patch and has power.",
    ),
    "photodiode astray": Explanation(
        "The photodiode sees a pattern other than the one that was sent to the screen.",
        "Check the threshold and stray light; the screen may be dropping frames.",
    ),
    "photodiode drifts": Explanation(
        "The delay from flip to light changed during the session.",
        "Turn off the screen's image processing; check that no compositor is running.",
    ),
}
_ORDER = (
    ("wrong number", "A trial has a number out of sequence."),
    ("wrong block", "The block of a trial is not the next one, or does not exist."),
    ("wrong order", "The task's order does not allow this stimulus here."),
    ("grey too short", "A trial began before the grey period was over."),
    ("trial after the end", "A trial began although the session, or its block, should have ended."),
    ("gap between trials", "No trial began where the trial before it ended."),
    ("trial too long", "A trial continued beyond the end of its corridor or time."),
    ("overlapping trials", "A trial began before the one before it had ended."),
    ("ended too early", "A trial was counted as completed before its end was reached."),
    ("unrequested abort", "A trial was aborted without a request."),
)
_DRAWN = (
    ("wrong stimulus", "The trial shows a stimulus that is not one of the task's."),
    ("wrong picture", "The trial shows a different kind of picture than the task defines."),
    ("wrong length", "The length of the corridor or the duration of the picture is wrong."),
    ("wrong zone", "The reward zone is not that of the task."),
    ("wrong cohort", "The trial is rewarded although the cohort gets no water, or the reverse."),
    ("wrong rescue", "The passive reward after misses came too early, too late, or not at all."),
    ("wrong mode", "The reward mode or delay is not that of the task."),
    ("wrong cue position", "The cue was drawn outside its range, or in a task without a cue."),
)
_MOTION = (
    ("wrong speed", "The speed that the task used is not the wheel's."),
    ("wrong position", "The position of the corridor does not agree with the wheel."),
    ("wrong cue", "A cue names a trial other than the current one."),
    ("cue twice", "The cue sounded twice in a trial."),
    ("cue too early", "The cue sounded before its position was reached."),
    ("no cue", "The cue did not sound at its position."),
)
_WATER = (
    ("two rewards", "A trial gave water twice."),
    ("reward in unrewarded trial", "Water came in an unrewarded trial."),
    ("wrong volume", "The volume of the water, or its spout, is not that of the task."),
    ("unrequested reward", "A valve opened although the task did not request it."),
    ("reward without a lick", "Water that requires a lick came without one."),
    ("missed reward", "Water was due and did not come."),
    ("reward before the zone", "Water came before the reward zone was reached."),
    ("reward before the cue", "Water came before the cue."),
    ("reward after the zone", "Water came after the reward zone was left."),
    ("reward too early", "Passive water came before its delay was over."),
    ("reward too late", "Water came too long after its cause."),
)
_CHECK_WATER = "Check the valve and the lick line; compare the faults in the section 'Record'."
REFEREE = {
    **{name: Explanation(meaning, _CHECK_TASK) for name, meaning in _ORDER + _DRAWN + _MOTION},
    **{name: Explanation(meaning, _CHECK_WATER) for name, meaning in _WATER},
}
EXPLANATIONS = {**PROCESSES, **INTEGRITY, **REFEREE}
"""Every finding by its name."""

_INTRODUCTION = """# Findings

Nothing went wrong in a session if its end table shows `faults  0` and its report begins with a
green line. Otherwise both list each finding: the process that found it, its name as below, the
number of occurrences, the time of the first one and its text. `rig info SESSION_DIR` shows the end
table again.

Each kind of finding counts as one fault, however often it occurred.
"""


def page() -> str:
    """Return docs/reference/findings.md."""
    parts = [
        ("Processes", "Reported by, or about, the processes of the session.", PROCESSES),
        (
            "Integrity",
            "Found by the integrity process, which compares screen, wheel, frame clock, imaging "
            "pages and photodiode.",
            INTEGRITY,
        ),
        (
            "Referee",
            "Violations found by the referee, which checks every trial independently of the task. "
            "A rig that works has none.",
            REFEREE,
        ),
    ]
    text = _INTRODUCTION
    for title, about, table in parts:
        rows = "\n".join(
            f"| {name} | {one.meaning} | {one.action} |" for name, one in table.items()
        )
        text += f"\n## {title}\n\n{about}\n\n| finding | meaning | what to do |\n|---|---|---|\n"
        text += f"{rows}\n"
    return text


if __name__ == "__main__":
    print(page(), end="")
