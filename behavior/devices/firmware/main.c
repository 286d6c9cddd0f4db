/* The registers that the host reads and writes, and the loop that tells it what happens.
 *
 * 32, 34, 35 and 44 are as on the Harp Behavior board; 200-204 are our own. docs/how-to/boards.md has the
 * table.
 */
#include <avr/interrupt.h>
#include <avr/sleep.h>
#include <avr/wdt.h>
#include <string.h>

#include "clock.h"
#include "harp.h"
#include "inputs.h"
#include "uart.h"
#include "valve.h"

enum {
    WHO_AM_I = 0, /* 0: no number of ours is registered with Harp; DEVICE_NAME tells */
    HARDWARE_HIGH, HARDWARE_LOW, ASSEMBLY, CORE_HIGH, CORE_LOW, FIRMWARE_HIGH, FIRMWARE_LOW,
    SECONDS, STEPS, OPERATION,
    DEVICE_NAME = 12,
    HEARTBEAT = 18,
    INPUTS = 32,
    OUTPUT_SET = 34,
    OUTPUT_CLEAR = 35,
    WHEEL = 44, /* two values, as from the Behavior board: an analogue input (0: none), the encoder */
    ARMED = 200, /* write: wish, ticks open (0: disarm), hold_ms; answer: fired wish, what is armed */
    FIRED = 201, /* event at the lick: wish, ticks open, ticks until the valve was open */
    LOST = 202, /* event: how many changes of inputs were lost so far */
    SILENCED = 203, /* event: the host was silent, everything was disarmed */
    PULSE = 204, /* write: ticks open, the valve opens now; read: whether it is open */
};
#define ACTIVE(op) (((op) & 3) == 1)
#define HEARTBEAT_ON 4
#define VALVE_BIT 0x08 /* of OUTPUT_CLEAR: it shuts; outputs 0-2 are bits 10-12 */
#define FIRST_OUTPUT_BIT 10

static const char name[25] = "rig-avr";
static uint8_t operation;
static uint16_t silent_ms;

static void put_outputs(uint16_t bits, bool up) {
    uint8_t pins = (uint8_t)((bits >> FIRST_OUTPUT_BIT) << PD4) & OUTPUTS;
    /* interrupts write no bit of PORTD */
    PORTD = up ? PORTD | pins : PORTD & ~pins;
}

static void make_safe(void) {
    valve_disarm();
    valve_shut();
    put_outputs(0xFFFF, false);
}

static uint16_t number(const frame_t *f, uint8_t index) {
    uint16_t value;
    memcpy(&value, f->payload + 2 * index, sizeof value);
    return value;
}

static void refuse(const frame_t *f) {
    harp_send(f->kind | REFUSED, f->reg, f->type, clock_read(), 0, 0);
}

static void answer(const frame_t *f, uint8_t type, const void *payload, uint8_t size) {
    if (f->type != type)
        refuse(f);
    else
        harp_send(f->kind, f->reg, type, clock_read(), payload, size);
}

static void answer_u8(const frame_t *f, uint8_t value) { answer(f, U8, &value, 1); }
static void answer_u16(const frame_t *f, uint16_t value) { answer(f, U16, &value, 2); }

static void read_register(const frame_t *f) {
    static const uint8_t versions[] = {1, 0, 0, 1, 13, VERSION_MAJOR, VERSION_MINOR};
    uint32_t seconds;
    uint16_t steps;
    clock_stamp(clock_read(), &seconds, &steps);
    armed_t armed;
    switch (f->reg) {
        case WHO_AM_I: answer_u16(f, 0); break;
        case SECONDS: answer(f, U32, &seconds, 4); break;
        case STEPS: answer_u16(f, steps); break;
        case OPERATION: answer_u8(f, operation); break;
        case DEVICE_NAME: answer(f, U8, name, sizeof name); break;
        case HEARTBEAT: answer_u16(f, ACTIVE(operation)); break;
        case INPUTS: answer_u8(f, inputs_state()); break;
        case LOST: answer_u16(f, inputs_lost()); break;
        case PULSE: answer_u16(f, valve_is_open()); break;
        case ARMED:
            armed = valve_armed();
            answer(f, U16, &armed, sizeof armed);
            break;
        default:
            if (f->reg >= HARDWARE_HIGH && f->reg <= FIRMWARE_LOW)
                answer_u8(f, versions[f->reg - HARDWARE_HIGH]);
            else
                refuse(f);
    }
}

/* Obey, or return false: then nothing was done. */
static bool obey(const frame_t *f) {
    uint16_t bits = f->size == 2 ? number(f, 0) : 0;
    switch (f->reg) {
        case OPERATION:
            if (f->type != U8 || f->size != 1) return false;
            operation = f->payload[0];
            if (!ACTIVE(operation)) make_safe();
            return true;
        case PULSE: return ACTIVE(operation) && valve_pulse(bits);
        case OUTPUT_SET:
            if (f->size != 2 || (bits & VALVE_BIT)) return false; /* it opens by PULSE only */
            put_outputs(bits, true);
            return true;
        case OUTPUT_CLEAR:
            if (f->size != 2) return false;
            if (bits & VALVE_BIT) valve_shut();
            put_outputs(bits, false);
            return true;
        case ARMED:
            if (f->type != U16 || f->size != 6) return false;
            if (number(f, 1) == 0 || number(f, 2) == 0) {
                valve_disarm();
                return true;
            }
            return ACTIVE(operation) && valve_arm(number(f, 0), number(f, 1), number(f, 2));
        default: return false;
    }
}

static void tell_changes(void) {
    static uint16_t told_lost;
    change_t change;
    while (inputs_changed(&change))
        if (ACTIVE(operation)) harp_send(EVENT, INPUTS, U8, change.at, &change.state, 1);
    uint16_t lost = inputs_lost();
    if (lost != told_lost && ACTIVE(operation)) {
        told_lost = lost;
        harp_send(EVENT, LOST, U16, clock_read(), &lost, sizeof lost);
    }
}

/* The lick first, then what it fired: the host then never hears of water before its cause. What was
 * fired is looked up before the changes are told: its lick is then among them, and one that comes
 * meanwhile waits for the next turn. */
static void tell(void) {
    fired_t fired;
    bool is_new = valve_fired(&fired);
    tell_changes();
    if (!is_new) return;
    uint16_t payload[] = {fired.wish, fired.open, fired.delay};
    harp_send(EVENT, FIRED, U16, fired.lick, payload, sizeof payload);
}

static void write_register(const frame_t *f) {
    uint32_t at = clock_read();
    if (!obey(f)) {
        refuse(f);
    } else if (f->reg == ARMED) {
        armed_t armed = valve_armed();
        tell(); /* so that the answer comes after what it tells of, or came too late for */
        harp_send(WRITE, ARMED, U16, at, &armed, sizeof armed);
    } else {
        harp_send(WRITE, f->reg, f->type, at, f->payload, f->size);
    }
}

static void hear_host(void) {
    frame_t frame;
    while (harp_take(&frame)) {
        silent_ms = 0;
        if (frame.kind == WRITE)
            write_register(&frame);
        else
            read_register(&frame);
    }
}

static void tick(void) {
    static uint16_t ms;
    uint32_t now = clock_read(), seconds;
    uint16_t steps;
    clock_stamp(now, &seconds, &steps); /* it must be asked at least every two hours */
    valve_tick();
    if (silent_ms < SILENT_MS && ++silent_ms == SILENT_MS) {
        uint8_t silenced = 1;
        make_safe();
        if (ACTIVE(operation)) harp_send(EVENT, SILENCED, U8, now, &silenced, 1);
    }
    if (ACTIVE(operation)) {
        int16_t wheel[] = {0, inputs_encoder()};
        harp_send(EVENT, WHEEL, S16, now, wheel, sizeof wheel);
    }
    if (++ms == 1000) {
        uint16_t beat = 1;
        ms = 0;
        if (ACTIVE(operation) && (operation & HEARTBEAT_ON))
            harp_send(EVENT, HEARTBEAT, U16, now, &beat, sizeof beat);
    }
}

/* Sleep until the next interrupt (a millisecond at most), unless there is something to do. */
static void rest(void) {
    cli();
    if (uart_is_idle() && inputs_are_idle()) {
        sleep_enable();
        sei(); /* takes effect after the next instruction: no interrupt gets in between */
        sleep_cpu();
        sleep_disable();
    }
    sei();
}

int main(void) {
    MCUSR = 0; /* after a reset by the watchdog it would else stay on, with its shortest time */
    wdt_disable();
    valve_begin();
    DDRD |= OUTPUTS;
    clock_begin();
    inputs_begin();
    uart_begin();
    wdt_enable(WDTO_120MS); /* a loop that hangs is reset: all pins float, the valve shuts */
    set_sleep_mode(SLEEP_MODE_IDLE);
    sei();
    for (;;) {
        wdt_reset();
        hear_host();
        tell();
        while (clock_ticked()) tick();
        rest();
    }
}
