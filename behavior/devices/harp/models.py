"""The boards that we know: who they are, the registers that we use, and how they are set up.

Behavior: harp-tech.org, device.yml of the Harp Behavior board (WhoAmI 1216). rig-avr: our own
firmware, behavior/devices/firmware/main.c. docs/how-to/boards.md has both tables.
"""

import msgspec

from behavior.devices.harp.messages import S16, U8, U16, U32, WRITE, HarpMessage, Register

WHO_AM_I, FIRMWARE_HIGH, FIRMWARE_LOW, SECONDS, OPERATION = 0, 6, 7, 8, 10
DEVICE_NAME, HEARTBEAT, INPUTS, OUTPUT_SET, OUTPUT_CLEAR, WHEEL = 12, 18, 32, 34, 35, 44
PULSE_ENABLE, PULSE_MS, EVENTS, ENCODERS = 45, 49, 77, 82
ARMED, FIRED, LOST, SILENCED, PULSE = 200, 201, 202, 203, 204
FIRST_VALVE_BIT, FIRST_OUTPUT_BIT = 3, 10
"""Of the output registers: valves (Supply Port 0-2), outputs (DO 0-3)."""

_STANDBY, _ACTIVE, _HEARTBEAT_ON, _LEDS_ON, _ALIVE_ON = 0, 1, 4, 0x60, 0x80
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
    """Its DeviceName must be this; "": it is not asked."""
    oldest: tuple[int, int]
    """The oldest firmware that we know to serve."""
    registers: dict[int, Register]
    setup: tuple[HarpMessage, ...]
    """Written in this order at the begin: everything shut, then its events on."""
    spouts: int
    inputs: int
    """Its input lines: those of the spouts are the first."""
    outputs: int
    holds_rewards: bool
    """Whether its firmware can hold an armed reward; then a valve opens by PULSE, not by 34."""


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
            EVENTS: Register(U8),
            ENCODERS: Register(U8),
        },
        setup=(
            write(OUTPUT_CLEAR, U16, 0x3FFF),
            write(PULSE_ENABLE, U16, 0b111 << FIRST_VALVE_BIT),
            write(EVENTS, U8, _PORT_EVENTS | _WHEEL_EVENTS),
            write(ENCODERS, U8, _ENCODER_PORT_2),
            write(OPERATION, U8, _ACTIVE | _HEARTBEAT_ON | _LEDS_ON | _ALIVE_ON),
        ),
        spouts=3,
        inputs=4,
        outputs=4,
        holds_rewards=False,
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
            write(OPERATION, U8, _ACTIVE | _HEARTBEAT_ON),
        ),
        spouts=1,
        inputs=4,
        outputs=3,
        holds_rewards=True,
    ),
}
