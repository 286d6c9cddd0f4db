"""The supported boards: how to identify them, their registers, and how they are set up.

behavior: device.yml of the Harp Behavior board (WhoAmI 1216), harp-tech.org. rig-avr: our own
firmware, behavior/devices/firmware/main.c. docs/how-to/boards.md lists the registers of both.
"""

import msgspec

from behavior.devices.harp.messages import S16, U8, U16, U32, WRITE, HarpMessage, Register

WHO_AM_I, FIRMWARE_HIGH, FIRMWARE_LOW, SECONDS, OPERATION = 0, 6, 7, 8, 10
DEVICE_NAME, HEARTBEAT, INPUTS, OUTPUT_SET, OUTPUT_CLEAR, WHEEL = 12, 18, 32, 34, 35, 44
PULSE_ENABLE, PULSE_MS, OUTPUT_PULSE_MS, EVENTS, ENCODERS = 45, 49, 56, 77, 82
ARMED, FIRED, LOST, SILENCED, PULSE = 200, 201, 202, 203, 204
FIRST_VALVE_BIT, FIRST_OUTPUT_BIT = 3, 10
"""Bits of the output registers: valves (Supply Port 0-2) and outputs (DO 0-3)."""
TIMED_VALVES = 0b111 << FIRST_VALVE_BIT
"""Value of the PULSE_ENABLE register with which the board itself ends the pulses of all valves."""

ACTIVE, MODE_MASK = 1, 3
"""The mode of the OPERATION register in which events are sent, and the mask of the mode's bits."""
_STANDBY, _HEARTBEAT_ON, _LEDS_ON, _ALIVE_ON = 0, 4, 0x60, 0x80
_PORT_EVENTS, _WHEEL_EVENTS, _ENCODER_PORT_2 = 1, 4, 4
_CORE = {
    WHO_AM_I: Register(U16),
    FIRMWARE_HIGH: Register(U8),
    FIRMWARE_LOW: Register(U8),
    SECONDS: Register(U32),
    OPERATION: Register(U8),
    DEVICE_NAME: Register(U8, (25,)),
    HEARTBEAT: Register(U16),
    INPUTS: Register(U8),
    OUTPUT_SET: Register(U16),
    OUTPUT_CLEAR: Register(U16),
    WHEEL: Register(S16, (2, 3)),
}


class Model(msgspec.Struct, frozen=True):
    """One kind of board."""

    who_am_i: int
    device_name: str
    """The name that the board must have; "" accepts any name."""
    oldest: tuple[int, int]
    """Oldest supported firmware version."""
    registers: dict[int, Register]
    setup: tuple[HarpMessage, ...]
    """Requests at the start, in this order: shut everything, then turn events on."""
    spouts: int
    """Number of spouts."""
    inputs: int
    """Number of input lines; those of the spouts come first."""
    outputs: int
    """Number of output lines."""
    arms_rewards: bool
    """True if the firmware supports armed rewards; its valve is then opened by register PULSE."""


def write(address: int, payload_type: int, *values: int) -> HarpMessage:
    """Return the request to write a register."""
    return HarpMessage(WRITE, address, payload_type, values)


STANDBY = write(OPERATION, U8, _STANDBY)
MODELS = {
    "behavior": Model(
        who_am_i=1216,
        device_name="",
        oldest=(2, 5),
        registers={
            **_CORE,
            PULSE_ENABLE: Register(U16),
            PULSE_MS: Register(U16),
            PULSE_MS + 1: Register(U16),
            PULSE_MS + 2: Register(U16),
            **{OUTPUT_PULSE_MS + line: Register(U16) for line in range(4)},
            EVENTS: Register(U8),
            ENCODERS: Register(U8),
        },
        setup=(
            write(OUTPUT_CLEAR, U16, 0x3FFF),
            write(PULSE_ENABLE, U16, TIMED_VALVES),
            write(EVENTS, U8, _PORT_EVENTS | _WHEEL_EVENTS),
            write(ENCODERS, U8, _ENCODER_PORT_2),
            write(OPERATION, U8, ACTIVE | _HEARTBEAT_ON | _LEDS_ON | _ALIVE_ON),
        ),
        spouts=3,
        inputs=4,
        outputs=4,
        arms_rewards=False,
    ),
    "rig-avr": Model(
        who_am_i=0,
        device_name="rig-avr",
        oldest=(1, 0),
        registers={
            **_CORE,
            ARMED: Register(U16, (3,)),
            FIRED: Register(U16, (3,)),
            LOST: Register(U16),
            SILENCED: Register(U8),
            PULSE: Register(U16),
        },
        setup=(
            write(OUTPUT_CLEAR, U16, 0xFFFF),
            write(ARMED, U16, 0, 0, 0),
            write(OPERATION, U8, ACTIVE | _HEARTBEAT_ON),
        ),
        spouts=1,
        inputs=4,
        outputs=3,
        arms_rewards=True,
    ),
}
