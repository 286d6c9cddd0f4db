"""Every word that crosses a process border: the whole vocabulary, one speaker a word.

`t` is the time of the cause in ns of the session clock. Fields are only ever appended, with
defaults. A wish (Arm, Order) has an id and a deadline and is answered by a fact with that id.
"""

from typing import Any, Literal

import msgspec


class Message(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """One fact or one wish."""

    t: int


# -- the run itself: launch, and every node ---------------------------------------------------


class Start(Message, frozen=True, tag="Start"):
    """Launch: the session begins. Holds the whole resolved session, so a log explains itself."""

    session: dict[str, Any]


class Stop(Message, frozen=True, tag="Stop"):
    """Launch: the named nodes end now. Drivers are named first, then deciders, then recorder."""

    reason: str
    nodes: tuple[str, ...]


class OperatorRequest(Message, frozen=True, tag="OperatorRequest"):
    """Launch: what the operator wants; answered by Position.order.

    pause aborts the trial, stop ends the session after it, water is one reward at once, by hand.
    """

    id: int
    deadline: int
    verb: Literal["pause", "resume", "note", "stop", "water"]
    text: str = ""


class Heartbeat(Message, frozen=True, tag="Heartbeat"):
    """Every node, five times a second, from its work loop: alive; ready once it hears itself."""

    ready: bool


class Fault(Message, frozen=True, tag="Fault"):
    """Every node: something is wrong, in one sentence for the person at the rig.

    frame is the index of an imaging frame whose pixels were lost to the speaker. outside: its cause
    is none of the words that the speaker heard, but its wire or its process; replay cannot find it.
    """

    text: str
    frame: int | None = None
    outside: bool = False
    finding: str = ""
    """The name of a finding that the integrity process is to record; "" if it is none of its."""


class Ended(Message, frozen=True, tag="Ended"):
    """Every node's last word: why, and for each kind it said how many and their running CRC.

    overruns is how many frames it read from their file, as the ring had been written over.
    """

    reason: str
    failed: bool
    messages: dict[str, tuple[int, int]]
    overruns: int = 0
    modules: dict[str, tuple[str, str]] = {}
    """File and SHA-256 of each module of the program that ran in its process."""


# -- hardware ---------------------------------------------------------------------------------


class Wheel(Message, frozen=True, tag="Wheel"):
    """Hardware, every tick, also at rest: counts since Start, and the same as cm forward.

    side_cm is how far a ball has turned to the right; a wheel does not.
    """

    counts: int
    cm: float
    side_cm: float = 0.0


class Lick(Message, frozen=True, tag="Lick"):
    """Hardware: the onset of a lick at a spout."""

    line: str


class Edge(Message, frozen=True, tag="Edge"):
    """Hardware: a digital input line changed, or an output line was put up or down."""

    line: str
    up: bool


class Valve(Message, frozen=True, tag="Valve"):
    """Hardware: the answer to an Arm: a valve opened at t for open_ms, or why it was refused."""

    id: int
    line: str
    open_ms: float
    volume_ul: float
    lick_t: int | None = None
    refused: str = ""
    manual: bool = False


# -- task -------------------------------------------------------------------------------------


class Position(Message, frozen=True, tag="Position"):
    """Task, for every Wheel: where the corridor stands.

    position_m counts from the start of the trial's corridor; trial is -1 and position 0 where
    there is no trial. In a trial without a corridor the phase is "picture" while its picture is
    on, and "grey" then. order is the id of the last Order obeyed (0: none yet).
    """

    trial: int
    position_m: float
    speed_cm_s: float
    moving: bool
    phase: Literal["grey", "corridor", "picture", "paused", "done"]
    order: int = 0


class TrialStart(Message, frozen=True, tag="TrialStart"):
    """Task: a trial begins, with everything that was drawn for it.

    Most are corridors. Another picture (an image, a drifting bar, plain grey) is on for show_s,
    then there is blank_s of grey, wherever the mouse is. A reward may be had from zone_from_m to
    zone_to_m, or while the picture is on; in a corridor with a cue, from the cue on. A rescue is
    given freely, after too many misses. trial numbers all of them; even or odd is a trial by how
    many were run to their end before it, since an aborted one is left out and comes again.
    """

    trial: int
    stimulus: str
    next_stimulus: str | None
    rewarded: bool
    texture_m: float
    grey_m: float
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


class TrialEnd(Message, frozen=True, tag="TrialEnd"):
    """Task: a corridor ends; an aborted one is left out of signals and counts."""

    trial: int
    outcome: Literal["done", "aborted"]


class Cue(Message, frozen=True, tag="Cue"):
    """Task: the sound cue is due now."""

    trial: int
    position_m: float


class Arm(Message, frozen=True, tag="Arm"):
    """Task: open this valve once, now or at the next lick, before the deadline.

    Said again under the same id it changes nothing, but keeps the valve armed: an armed valve that
    is not asked for anew within a second is armed no more.
    """

    id: int
    deadline: int
    line: str
    on: Literal["now", "lick"]
    volume_ul: float
    lick_t: int | None = None
    manual: bool = False


class Disarm(Message, frozen=True, tag="Disarm"):
    """Task: the Arm of that id is void."""

    id: int


# -- display, stream, online, mesoscope ---------------------------------------------------------


class Flip(Message, frozen=True, tag="Flip"):
    """Display: a picture was shown at t (after the swap), of the position said at wheel_t.

    position_m is the one shown, ahead of the one said where the display extrapolates. late: it came
    more than one and a half periods after the picture before it, which stayed up for `dropped`
    refreshes too many. bright: what the photodiode's patch showed. vblank: the screen's own refresh
    set the moment, else the display's clock did. loop_ms: CPU time of the loop since the last flip.
    draw_t: when the position was taken over, right before drawing; no newer one had been heard.
    """

    number: int
    position_m: float
    wheel_t: int
    before_swap_t: int
    late: bool
    dropped: int = 0
    bright: bool = False
    vblank: bool = False
    loop_ms: float = 0.0
    draw_t: int = 0


class Frame(Message, frozen=True, tag="Frame"):
    """Stream: an imaging frame is complete; offset_bytes is where its pixels start in the file.

    The file is named relative to the session folder, unless it lies elsewhere. timestamp_s is the
    microscope's own. A frame of the microscope is said once for each channel saved: one page each.
    """

    index: int
    file: str
    offset_bytes: int
    height_px: int
    width_px: int
    timestamp_s: float
    dtype: str = "<i2"
    pixels: Any = None  # filled in by the wire on arrival, never sent
    number: int = 0
    """The microscope's own count of frames, from 1 in an acquisition: one an edge of its clock."""
    channel: int = 1
    plane: int = 0
    """Index of the depth in Scan.depths_um."""


class CellSignals(Message, frozen=True, tag="CellSignals"):
    """Online, for every imaging frame, once its traces are final: activity and running signals.

    A frame is the last page of a volume if several depths are scanned. t is when its page arrived;
    trial, position_m and moving are those at scanned_t, the middle of its scan. All bytes are
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
    """Grid points that this frame determined: 60 * index of the trial among those completed + bin.

    The points of an aborted trial are determined once more by the next one; at the end, those from
    60 * LearningSignals.trials on belong to an aborted trial."""
    tuning: bytes = b""
    """Mean activity at these points of the cells selective for A and for B: (points, contrasts,
    area groups, 2)."""
    undefined: str = ""
    """Why d' is undefined for all cells of some contrast; empty if it is not."""
    motion: tuple[tuple[float, float, float], ...] = ()
    """For each strip with cells: shift down and right (px), correlation with the reference (1 at
    best)."""
    z_um: tuple[float, ...] = ()
    """For each of these strips: drift of the focus, where there is a z-stack."""
    scanned_t: int = 0


class LearningSignals(Message, frozen=True, tag="LearningSignals"):
    """Online, after each completed trial and once at the end: signals of all trials so far.

    They are computed from the frames up to the end of the trial; at the end of the session from all
    frames, without the last trial if it was not completed. All bytes are little-endian float32;
    undefined values are NaN.
    """

    trial: int
    """Number of the last completed trial; -1: none."""
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
    """Grid points that only the end of the session determined; as in CellSignals."""
    tuning: bytes = b""


class TextureHashes(Message, frozen=True, tag="TextureHashes"):
    """Display, once: every wall picture it may show, by stimulus, as the SHA-256 of its pixels."""

    sha256: dict[str, str]


class CueOnset(Message, frozen=True, tag="CueOnset"):
    """Display: the sound of a trial's cue began to leave the speaker at t, by the sound device."""

    trial: int


class Pulse(Message, frozen=True, tag="Pulse"):
    """Mesoscope (simulated): a TTL pulse on a line of the rig."""

    line: str


# -- referee ------------------------------------------------------------------------------------


class TrialVerdict(Message, frozen=True, tag="TrialVerdict"):
    """Referee, on every trial that has ended: the names of its violations, none if it was sound."""

    trial: int
    violations: tuple[str, ...]


# -- hardware, continued --------------------------------------------------------------------------


class Exposures(Message, frozen=True, tag="Exposures"):
    """Hardware, once a second and at its end: how many exposures a camera has begun so far."""

    camera: str
    count: int


# -- stream ------------------------------------------------------------------------------------


class Scan(Message, frozen=True, tag="Scan"):
    """Stream, when a file begins that was recorded otherwise than the last: what its header says.

    header is acquisition.scanimage.header.Header: rates, channels, laser power, zoom ...
    regions tell of every plane and region which rows of the page they are (first_row, height_px,
    width_px) and where they lie side by side (y_px, x_px). changed says what differs from the
    animal's last session, or from the file before.
    """

    file: str
    header: dict[str, Any]
    depths_um: tuple[float, ...]
    regions: tuple[dict[str, Any], ...] = ()
    changed: tuple[str, ...] = ()


# -- hardware, continued --------------------------------------------------------------------------


class DeviceTime(Message, frozen=True, tag="DeviceTime"):
    """Hardware, once a second for each board with a clock of its own: at t that stood at device_ns.

    residual_ns: how much later t is than the fit, which dates the board's events, had foretold.
    """

    board: str
    device_ns: int
    residual_ns: int


# -- integrity ---------------------------------------------------------------------------------


class Integrity(Message, frozen=True, tag="Integrity"):
    """Integrity, for every imaging frame, and for whatever else does not agree.

    t is when the frame began: its edge of the frame clock, or where that must have been. number is
    the microscope's count of the frame (0: it is about something else), frame the index of its
    Frame (None: it was not saved), edge whether its edge came. findings are names: "edge lost",
    "edge doubled", "edge late", "edge early", "edge too much", "page lost", "pages behind", "counts
    differ", "wheel silent", "wheel jumped", "flip lost", "picture stale", "picture of no wheel",
    "photodiode dead", "photodiode astray", "photodiode drifts", "clock step", "file lost"; text
    says it in words. sound is the running verdict: nothing was found so far. edges and pages are
    counts so far; the last message has them all.
    """

    number: int
    frame: int | None
    edge: bool
    findings: tuple[str, ...]
    sound: bool
    edges: int
    pages: int
    text: str = ""


# -- task, continued ----------------------------------------------------------------------------


class Acquire(Message, frozen=True, tag="Acquire"):
    """Task: the microscope is to scan from now on, or to stop after its frame."""

    on: bool


# -- online, continued --------------------------------------------------------------------------


class CellsFound(Message, frozen=True, tag="CellsFound"):
    """Online, once for each depth, where cells are found in what is imaged first: what was found.

    frame is the index of the first Frame with signals; all before it have no Decoded. runs are
    pieces of a page's rows that belong to cells, in the order of the cells: little-endian uint32,
    (runs, 4), as cell (from 0 on in each depth), y, x, length. Decoded has the cells of all
    depths, one depth after the other.
    """

    frame: int
    plane: int
    height_px: int
    width_px: int
    cells: int
    runs: bytes


MESSAGE_TYPES: tuple[type[Message], ...] = (
    Start, Stop, OperatorRequest, Heartbeat, Fault, Ended,
    Wheel, Lick, Edge, Valve,
    Position, TrialStart, TrialEnd, Cue, Arm, Disarm,
    Flip, Frame, CellSignals, Pulse,
    TrialVerdict,
    Exposures,
    Scan,
    DeviceTime,
    TextureHashes,
    Integrity,
    Acquire,
    CueOnset,
    CellsFound,
    LearningSignals,
)  # fmt: skip
"""Every kind, in the order of this page."""
COMMON_MESSAGES = (Heartbeat, Fault, Ended)


def kind(message: type[Message] | Message) -> str:
    """The name of a word's kind, as on the wire."""
    return str(message.__struct_config__.tag)
