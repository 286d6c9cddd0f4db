"""All messages between processes, grouped by the process that publishes them.

A message type has one publisher, except Heartbeat, Fault and Ended, which every node publishes. `t`
is the time of the cause in ns of the session clock. Fields are only ever appended, with defaults.
A request (Arm, Trigger, OperatorRequest) has an id and a deadline, and is answered by an event with
that id.
"""

from typing import Any, Literal

import msgspec


class Message(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """An event or a request."""

    t: int


# -- every node -------------------------------------------------------------------------------


class Heartbeat(Message, frozen=True, tag="Heartbeat"):
    """The node's work loop is running; published five times per second."""

    ready: bool
    """True when the node receives its own Heartbeats, and therefore all later messages."""
    loop_ms: float = 0.0
    """Longest turn of the loop, without waiting, since the previous Heartbeat, ms."""


class Fault(Message, frozen=True, tag="Fault"):
    """Something is wrong, in one sentence for the person at the rig."""

    text: str
    frame: int | None = None
    """Index of the imaging frame whose pixels the sender did not get; None for other faults."""
    outside: bool = False
    """True if the cause is not a message that the sender received (its transport, disk or process
    failed), so that a replay cannot reproduce the Fault."""
    finding: str = ""
    """The finding that the integrity process must record for this Fault; "" for none."""
    pause: bool = False
    """True if the session must pause until the operator resumes or stops it; without an operator,
    the session ends."""


class Ended(Message, frozen=True, tag="Ended"):
    """The last message of a node."""

    reason: str
    failed: bool
    messages: dict[str, tuple[int, int]]
    """For each published type: the number of messages, and the running CRC-32 of their CRCs."""
    overruns: int = 0
    """Number of imaging frames read from their file, because the ring was already overwritten."""
    modules: dict[str, tuple[str, str]] = {}
    """File and SHA-256 of each module of the program that ran in the node's process."""


# -- launch -----------------------------------------------------------------------------------


class Start(Message, frozen=True, tag="Start"):
    """The session begins."""

    session: dict[str, Any]
    """The resolved session, as rig.settings.config.SessionSettings, with every default."""


class Stop(Message, frozen=True, tag="Stop"):
    """The named nodes end now: first the drivers, then the deciders, then the recorder."""

    reason: str
    nodes: tuple[str, ...]


class OperatorRequest(Message, frozen=True, tag="OperatorRequest"):
    """A request of the operator; answered by Position.order.

    "pause" aborts the trial, "stop" ends the session after the trial, "water" is one manual reward,
    "set" changes a setting that the task file lists in `live`, and is answered by SettingChange.
    """

    id: int
    deadline: int
    """Session time (ns) after which the request does nothing."""
    verb: Literal["pause", "resume", "note", "stop", "water", "set"]
    text: str = ""
    """The text of a note; for "set", the setting and its new value, as in "reward_ul=2.5"."""
    by: str = ""
    """The source of the request: the terminal and its user, or the page and its address."""


# -- hardware ---------------------------------------------------------------------------------


class Wheel(Message, frozen=True, tag="Wheel"):
    """The wheel was read; published every tick, even at rest, because it is the deciders' clock."""

    counts: int
    """Encoder counts since Start, positive forward."""
    cm: float
    """Distance since Start, cm, positive forward."""
    side_cm: float = 0.0
    """Distance that a ball has turned to the right, cm; 0 for a wheel."""


class Lick(Message, frozen=True, tag="Lick"):
    """A lick at a spout began."""

    line: str


class Edge(Message, frozen=True, tag="Edge"):
    """A digital input line changed, or an output line was raised or lowered."""

    line: str
    up: bool


class Valve(Message, frozen=True, tag="Valve"):
    """The answer to an Arm: a valve opened at t, or the request was refused."""

    id: int
    """The id of the Arm."""
    line: str
    open_ms: float
    volume_ul: float
    lick_t: int | None = None
    """Start of the lick that triggered the opening, ns; None without a lick."""
    refused: str = ""
    """Why the request was refused; "" if the valve opened."""
    manual: bool = False
    """True if the operator requested the reward."""


class TriggerOutput(Message, frozen=True, tag="TriggerOutput"):
    """The answer to a Trigger: its line rose at t, would have risen (sham), or was refused."""

    id: int
    """The id of the Trigger."""
    line: str
    up_ms: float
    """Longest time for which the device keeps the line up, ms; 0 if it was not raised."""
    sham: bool = False
    """True in a sham trial, in which everything is done except raising the line."""
    refused: str = ""
    """Why the request was refused; "" if it was carried out."""


class Exposures(Message, frozen=True, tag="Exposures"):
    """The number of exposures of a camera so far; published once per second and at the end."""

    camera: str
    count: int


class DeviceTime(Message, frozen=True, tag="DeviceTime"):
    """The clock of a board, which read device_ns at t; published once per second for each board."""

    board: str
    device_ns: int
    residual_ns: int
    """t minus the prediction of the fit that converts the board's times to session time, ns."""


# -- task -------------------------------------------------------------------------------------


class Position(Message, frozen=True, tag="Position"):
    """Where the mouse is in the corridor; published for every Wheel."""

    trial: int
    """Number of the trial; -1 between trials."""
    position_m: float
    """Distance from the start of the trial's corridor, m; 0 outside a trial."""
    speed_cm_s: float
    moving: bool
    phase: Literal["grey", "corridor", "picture", "paused", "done"]
    """In a trial without a corridor: "picture" while its image is shown, then "grey"."""
    order: int = 0
    """Id of the last OperatorRequest that was carried out; 0 if there was none."""


class TrialStart(Message, frozen=True, tag="TrialStart"):
    """A trial begins; contains everything that was drawn for it.

    Most trials are corridors. Any other picture is shown for show_s, followed by blank_s of grey,
    without regard to running. A reward is available from zone_from_m to zone_to_m, or while the
    picture is shown; in a corridor with a cue, only after the cue.
    """

    trial: int
    """Number of the trial, from 0, over all trials, including aborted ones.

    For the analysis, a trial is odd or even by the number of completed trials before it; aborted
    trials are not counted, and their stimulus is shown again.
    """
    stimulus: str
    next_stimulus: str | None
    rewarded: bool
    texture_m: float
    """Length of the textured corridor, m."""
    grey_m: float
    """Length of the grey after it, m."""
    cue_position_m: float | None
    reward_mode: Literal["none", "passive", "active"]
    reward_delay_ms: float
    block: int = 0
    picture: Literal["corridor", "image", "bar", "grey"] = "corridor"
    show_s: float = 0.0
    blank_s: float = 0.0
    zone_from_m: float = 0.0
    zone_to_m: float = 0.0
    rescue: bool = False
    """True if the reward is given without a lick, after too many misses."""


class TrialEnd(Message, frozen=True, tag="TrialEnd"):
    """A trial ends; an aborted trial does not count and has no signals."""

    trial: int
    outcome: Literal["done", "aborted"]


class Cue(Message, frozen=True, tag="Cue"):
    """The sound cue is due now."""

    trial: int
    position_m: float


class Arm(Message, frozen=True, tag="Arm"):
    """A request to open a valve once before the deadline: now, or at the next lick.

    An Arm that is repeated with the same id only keeps the valve armed; an armed valve whose
    request is not repeated within one second is disarmed.
    """

    id: int
    deadline: int
    """Session time (ns) after which the valve may not open."""
    line: str
    on: Literal["now", "lick"]
    volume_ul: float
    lick_t: int | None = None
    """Time of the lick that caused the request, ns, if `on` is "now"."""
    manual: bool = False
    """True if the operator requested the reward."""


class Disarm(Message, frozen=True, tag="Disarm"):
    """The Arm with this id is cancelled."""

    id: int


class Acquire(Message, frozen=True, tag="Acquire"):
    """The microscope must start to scan, or stop after the current frame."""

    on: bool


class SettingChange(Message, frozen=True, tag="SettingChange"):
    """A live setting of the task is changed from this trial on, or the change is refused.

    It applies to every block of the task. A change is published before the TrialStart of the first
    trial with the new value; a refusal is published at once.
    """

    id: int
    """The id of the OperatorRequest."""
    name: str
    old: str
    """The old value, as JSON."""
    new: str
    """The new value, as JSON; in a refusal, the requested value."""
    by: str
    trial: int
    """The first trial with the new value; -1 if the change was refused."""
    refused: str = ""
    """Why the change was refused; "" if it was not."""


# -- referee ----------------------------------------------------------------------------------


class TrialVerdict(Message, frozen=True, tag="TrialVerdict"):
    """The result of the referee's check of a trial that has ended."""

    trial: int
    violations: tuple[str, ...]
    """Names of the violations; empty if there is none."""


# -- display ----------------------------------------------------------------------------------


class Flip(Message, frozen=True, tag="Flip"):
    """A new image was shown at t, as measured after the buffer swap."""

    number: int
    position_m: float
    """The position that was shown, m; ahead of the Position if the display extrapolates."""
    wheel_t: int
    """`t` of the Position from which it was computed, ns."""
    before_swap_t: int
    late: bool
    """True if this flip was more than 1.5 refresh periods after the previous one."""
    dropped: int = 0
    """Number of extra refreshes for which the previous image was shown."""
    bright: bool = False
    """True if the photodiode's patch was bright."""
    vblank: bool = False
    """True if the screen's refresh set the time of the flip; False if the display's clock did."""
    loop_ms: float = 0.0
    """CPU time of the loop since the previous flip, ms."""
    draw_t: int = 0
    """Time at which the newest position was read, just before drawing, ns."""


class TextureHashes(Message, frozen=True, tag="TextureHashes"):
    """SHA-256 of the pixels of every wall texture that may be shown, by stimulus; sent once."""

    sha256: dict[str, str]


class CueOnset(Message, frozen=True, tag="CueOnset"):
    """The sound of a trial's cue began to leave the speaker at t, by the sound device's clock."""

    trial: int


# -- mesoscope (simulated) --------------------------------------------------------------------


class Pulse(Message, frozen=True, tag="Pulse"):
    """A TTL pulse on a line of the rig."""

    line: str


# -- stream -----------------------------------------------------------------------------------


class Frame(Message, frozen=True, tag="Frame"):
    """An imaging frame is complete in its file; there is one message per saved channel."""

    index: int
    file: str
    """Path of the file, relative to the session folder, or absolute if it is outside."""
    offset_bytes: int
    """Offset of the pixels in the file."""
    height_px: int
    width_px: int
    timestamp_s: float
    """The microscope's own time stamp, s."""
    dtype: str = "<i2"
    pixels: Any = None
    """The pixels, (height_px, width_px); filled in by the bus on arrival, never sent."""
    number: int = 0
    """The microscope's frame number, from 1 in an acquisition; one frame-clock edge per frame."""
    channel: int = 1
    plane: int = 0
    """Index of the depth in Scan.depths_um."""


class Scan(Message, frozen=True, tag="Scan"):
    """An imaging file begins, with another header than the previous file."""

    file: str
    header: dict[str, Any]
    """acquisition.scanimage.header.Header: rates, channels, laser power, zoom ..."""
    depths_um: tuple[float, ...]
    regions: tuple[dict[str, Any], ...] = ()
    """For each depth and region: its rows in the page (first_row, height_px, width_px), and its
    position in an image of all regions (y_px, x_px)."""
    changed: tuple[str, ...] = ()
    """The settings that differ from the animal's last session, or from the previous file."""


# -- integrity --------------------------------------------------------------------------------


class Integrity(Message, frozen=True, tag="Integrity"):
    """The result of the check of an imaging frame, or another finding.

    t is the start of the frame: its frame-clock edge, or the expected time of the edge.
    """

    number: int
    """The microscope's number of the frame; 0 if this is not about a frame."""
    frame: int | None
    """Index of the Frame message; None if the frame was not saved."""
    edge: bool
    """True if the frame-clock edge of the frame arrived."""
    findings: tuple[str, ...]
    """Names of the findings: "edge lost", "edge doubled", "edge late", "edge early", "edge too
    much", "page lost", "pages behind", "counts differ", "wheel silent", "wheel jumped", "flip
    lost", "picture stale", "picture of no wheel", "photodiode dead", "photodiode astray",
    "photodiode drifts", "clock step", "file lost"."""
    sound: bool
    """True if there were no findings so far in the session."""
    edges: int
    """Number of edges so far; in the last message, the number of all edges."""
    pages: int
    text: str = ""
    """The findings in a sentence."""


# -- online -----------------------------------------------------------------------------------


class CellSignals(Message, frozen=True, tag="CellSignals"):
    """Activity and running signals; published for every imaging frame when its traces are final.

    If several depths are scanned, a frame is the last page of a volume. t is the arrival of its
    page; trial, position_m and moving are those at scanned_t, the middle of its scan. All bytes are
    little-endian float32. Area groups, signs and thresholds are listed in analysis.cells.areas and
    analysis.signals.selectivity; contrasts are those of the task's [signals] table.
    """

    frame: int
    trial: int
    stimulus: str | None
    position_m: float
    moving: bool
    traces: bytes
    """Deconvolved activity: (cells,)."""
    selective_fraction: float | None
    """Fraction of all cells that are selective in the first contrast; None if d' is undefined."""
    fractions: bytes = b""
    """Fraction of selective cells: (contrasts, area groups, signs, thresholds)."""
    defined: tuple[int, ...] = ()
    """Number of cells whose d' is defined: contrasts x area groups."""
    tuned: tuple[int, ...] = ()
    """Grid points whose activity is known since this frame: 60 * trial index + bin.

    The index counts completed trials. The points of an aborted trial are published again with the
    next trial; at the end, points from 60 * LearningSignals.trials on belong to an aborted trial.
    """
    tuning: bytes = b""
    """Mean activity at these points of the cells selective for A and for B: (points, contrasts,
    area groups, 2)."""
    undefined: str = ""
    """Why d' is undefined for all cells in some contrast; empty if there is none."""
    motion: tuple[tuple[float, float, float], ...] = ()
    """For each strip with cells: shift down and right (px), correlation with the reference (1 at
    best)."""
    z_um: tuple[float, ...] = ()
    """For each of these strips, the drift of the focus, um; empty without a z-stack."""
    scanned_t: int = 0
    """The middle of the frame's scan, ns."""
    projection: bytes = b""
    """Projection at the tuned points on the coding directions of the last LearningSignals: (points,
    contrasts, areas)."""
    ramp: float | None = None
    """Population signal of reward prediction in this frame, with the cells that the last
    LearningSignals selected for the fold of this trial."""
    area_activity: bytes = b""
    """Mean activity of the cells of each area group: (area groups,)."""
    area_projection: bytes = b""
    """Projection of this frame on the coding directions of the last LearningSignals: (contrasts,
    areas)."""


class LearningSignals(Message, frozen=True, tag="LearningSignals"):
    """Signals of all trials so far; published after each completed trial and once at the end.

    They are computed from the frames up to the end of the trial; at the end of the session from all
    frames, without the last trial if it was not completed. All bytes are little-endian float32;
    undefined values are NaN.
    """

    trial: int
    """Number of the last completed trial; -1 if there is none."""
    trials: int
    """Number of completed trials."""
    final: bool
    """True for the last message, at the end of the session."""
    contrasts: tuple[tuple[str, str], ...]
    d_prime: bytes
    """d' of stimulus A against B over all moving texture frames: (contrasts, cells)."""
    fractions: bytes
    """Fraction of selective cells: (contrasts, area groups, signs, thresholds)."""
    defined: tuple[int, ...]
    """Number of cells whose d' is defined: contrasts x area groups."""
    undefined: tuple[str, ...]
    """Why signals are undefined, one sentence each."""
    tuned: tuple[int, ...] = ()
    """Grid points whose activity is known only since the end of the session; as in CellSignals."""
    tuning: bytes = b""
    responded: tuple[bool, ...] = ()
    """True for each completed trial with a lick response."""
    late_early: bytes = b""
    """d' of rewarded trials with a late cue against those with an early cue: (cells,)."""
    predicting: bytes = b""
    """Fraction of reward-prediction cells: (area groups,)."""
    folds: tuple[int, ...] = ()
    """Fold of each completed trial, 0-9."""
    population: tuple[int, ...] = ()
    """Number of cells that were selected for the population signal in each fold."""
    ramp_by_position: bytes = b""
    """Population signal: (trials, 60 bins)."""
    ramp_from_cue: bytes = b""
    """Population signal from 15 frames before the cue to 14 after it: (trials, 30)."""
    ramp_from_lick: bytes = b""
    """Population signal around the first lick: (trials, 30)."""
    projections: bytes = b""
    """Projection on the coding direction, from 1 m before the corridor: (contrasts, areas, trials,
    70 bins); areas are V1, medial, lateral, anterior."""
    stimuli: tuple[str, ...] = ()
    """The stimuli of the completed trials."""
    similarity: bytes = b""
    """Similarity index, signed and absolute: (contrasts, areas, stimuli, 2)."""
    comparisons: tuple[tuple[str, ...], ...] = ()
    """For each contrast, the sets of trials with which the sequence of the first half of A is
    compared."""
    sequence: tuple[bytes, ...] = ()
    """For each contrast, the correlations of peak positions: (areas, comparisons)."""
    licked: tuple[bool, ...] = ()
    """True for each completed trial with a lick in the texture."""
    ramp_by_lick: bytes = b""
    """Mean population signal over bins 0-39 of trials without and with such licks: (stimuli, 2)."""
    top: tuple[tuple[int, ...], ...] = ()
    """The cells of each coding direction that prefer A, numbered from 0: contrasts x areas."""
    bottom: tuple[tuple[int, ...], ...] = ()
    """The cells of each coding direction that prefer B: contrasts x areas."""


class CellsFound(Message, frozen=True, tag="CellsFound"):
    """The cells detected in the first minutes of imaging; published once per depth."""

    frame: int
    """Index of the first Frame with CellSignals."""
    plane: int
    height_px: int
    width_px: int
    cells: int
    runs: bytes
    """The masks as runs of pixels along rows, ordered by cell: (runs, 4) as cell (from 0 in each
    depth), y, x, length, little-endian uint32. CellSignals contains the cells of all depths, one
    depth after the other."""


# -- closed loop ------------------------------------------------------------------------------


class Trigger(Message, frozen=True, tag="Trigger"):
    """A request to raise a line, as a rule of the task became true; answered by TriggerOutput.

    t is that of the Position, or of the CellSignals, at which the rule became true.
    """

    id: int
    deadline: int
    """Session time (ns) after which the line may not rise."""
    rule: str
    """Name of the trigger in the task."""
    line: str
    up_ms: float
    """Length of the pulse, or longest time for which the line is held, ms."""
    hold: bool
    """True if a TriggerRelease may end the pulse earlier."""
    sham: bool
    """True if the line must not rise, because the trial is a sham."""
    trial: int
    stimulus: str
    position_m: float
    """Position (m) at which the rule became true; for a frame, at the middle of its scan."""
    frame: int | None = None
    """Index of the frame whose signals made the rule true; None for a rule on behavior."""


class TriggerRelease(Message, frozen=True, tag="TriggerRelease"):
    """A request to lower the line of a held Trigger: its rule is false, or its trial is over."""

    id: int


MESSAGE_TYPES: tuple[type[Message], ...] = (
    Heartbeat, Fault, Ended,
    Start, Stop, OperatorRequest,
    Wheel, Lick, Edge, Valve, TriggerOutput, Exposures, DeviceTime,
    Position, TrialStart, TrialEnd, Cue, Arm, Disarm, Acquire, SettingChange,
    TrialVerdict,
    Flip, TextureHashes, CueOnset,
    Pulse,
    Frame, Scan,
    Integrity,
    CellSignals, LearningSignals, CellsFound,
    Trigger, TriggerRelease,
)  # fmt: skip
"""Every message type, in the order of this file."""
COMMON_MESSAGES = (Heartbeat, Fault, Ended)
"""The types that every node publishes."""


def kind(message: type[Message] | Message) -> str:
    """Return the name of a message's type, as in envelopes and logs."""
    return str(message.__struct_config__.tag)
