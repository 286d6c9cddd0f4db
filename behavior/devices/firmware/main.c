/* The registers that the host reads and writes, and the main loop, which sends events.
 *
 * 32, 34, 35 and 44 are as on the Harp Behavior board; 200-204 are our own. docs/how-to/boards.md
 * lists them.
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
    WHO_AM_I = 0, /* 0: not registered with Harp; DEVICE_NAME identifies the board */
    HARDWARE_HIGH, HARDWARE_LOW, ASSEMBLY, CORE_HIGH, CORE_LOW, FIRMWARE_HIGH, FIRMWARE_LOW,
    SECONDS, STEPS, OPERATION,
    DEVICE_NAME = 12,
    HEARTBEAT = 18,
    INPUTS = 32,
    OUTPUT_SET = 34,
    OUTPUT_CLEAR = 35,
    WHEEL = 44, /* two values, as on the Behavior board: analogue input (always 0), encoder */
    ARMED = 200, /* write: request, ticks open (0: disarm), hold_ms;
                    answer: request that fired last, ticks open and ms of what is armed */
    FIRED = 201, /* event at the lick: request, ticks open, ticks from lick to open valve */
    LOST = 202, /* event: number of input changes lost so far */
    SILENCED = 203, /* event: no frame from the host, everything was disarmed */
    PULSE = 204, /* write: ticks open, the valve opens now; read: 1 if it is open */
};
#define ACTIVE(op) (((op) & 3) == 1)
#define HEARTBEAT_ON 4
#define VALVE_BIT 0x08 /* in OUTPUT_CLEAR: shuts the valve; outputs 0-2 are bits 10-12 */
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

/* Carry out a write request; false if it is refused, and nothing was done. */
static bool execute(const frame_t *f) {
    uint16_t bits = f->size == 2 ? number(f, 0) : 0;
    switch (f->reg) {
        case OPERATION:
            if (f->type != U8 || f->size != 1) return false;
            operation = f->payload[0];
            if (!ACTIVE(operation)) make_safe();
            return true;
        case PULSE: return ACTIVE(operation) && valve_pulse(bits);
        case OUTPUT_SET:
            if (f->size != 2 || (bits & VALVE_BIT)) return false; /* PULSE opens the valve */
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

static void send_changes(void) {
    static uint16_t sent_lost;
    change_t change;
    while (inputs_changed(&change))
        if (ACTIVE(operation)) harp_send(EVENT, INPUTS, U8, change.at, &change.state, 1);
    uint16_t lost = inputs_lost();
    if (lost != sent_lost && ACTIVE(operation)) {
        sent_lost = lost;
        harp_send(EVENT, LOST, U16, clock_read(), &lost, sizeof lost);
    }
}

/* Send the lick before the reward that it fired, so that the host never learns of water before its
 * cause: the reward is read first, so that its lick is among the changes sent next. A reward that
 * fires in between is sent in the next pass. */
static void send_events(void) {
    fired_t fired;
    bool is_new = valve_fired(&fired);
    send_changes();
    if (!is_new) return;
    uint16_t payload[] = {fired.request, fired.open, fired.delay};
    harp_send(EVENT, FIRED, U16, fired.lick, payload, sizeof payload);
}

static void write_register(const frame_t *f) {
    uint32_t at = clock_read();
    if (!execute(f)) {
        refuse(f);
    } else if (f->reg == ARMED) {
        armed_t armed = valve_armed();
        send_events(); /* before the answer, so that the host knows what has fired */
        harp_send(WRITE, ARMED, U16, at, &armed, sizeof armed);
    } else {
        harp_send(WRITE, f->reg, f->type, at, f->payload, f->size);
    }
}

static void read_host(void) {
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
    clock_stamp(now, &seconds, &steps); /* must be called at least every two hours */
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

/* Sleep until the next interrupt (1 ms at most), unless there is work. */
static void rest(void) {
    cli();
    if (uart_is_idle() && inputs_are_idle()) {
        sleep_enable();
        sei(); /* takes effect after the next instruction, so no interrupt can come in between */
        sleep_cpu();
        sleep_disable();
    }
    sei();
}

int main(void) {
    MCUSR = 0; /* else the watchdog would stay on after it has reset the board */
    wdt_disable();
    valve_begin();
    DDRD |= OUTPUTS;
    clock_begin();
    inputs_begin();
    uart_begin();
    wdt_enable(WDTO_120MS); /* a hanging loop is reset: all pins float, the valve shuts */
    set_sleep_mode(SLEEP_MODE_IDLE);
    sei();
    for (;;) {
        wdt_reset();
        read_host();
        send_events();
        while (clock_ticked()) tick();
        rest();
    }
}
