/* The code opens the valve; compare match A of Timer 1 shuts it, without any code.
 *
 * The timer (COM1A) drives the pin. PORTB stays 0, so the pin is low when the timer releases it.
 */
#include "valve.h"

#include <avr/interrupt.h>
#include <util/atomic.h>

#include "clock.h"

static volatile bool is_open;
static volatile uint16_t armed_open, armed_request, hold_left_ms, fired_request;
static volatile bool unsent;
static fired_t last;

void valve_begin(void) {
    PORTB &= ~_BV(VALVE);
    DDRB |= _BV(VALVE);
}

/* Interrupts must be off. The compare match that shuts the valve is set up before it opens. */
static uint16_t open_now(uint16_t open) {
    TCCR1A = _BV(COM1A1) | _BV(COM1A0); /* a match sets the pin; one is forced below */
    uint16_t opened = TCNT1;
    OCR1A = opened + open;
    TIFR1 = _BV(OCF1A);
    TCCR1C = _BV(FOC1A);
    TCCR1A = _BV(COM1A1); /* the next match clears it */
    is_open = true;
    TIMSK1 |= _BV(OCIE1A);
    return opened;
}

/* The hardware has already shut the valve; update the state. */
ISR(TIMER1_COMPA_vect) {
    TCCR1A = 0;
    TIMSK1 &= ~_BV(OCIE1A);
    is_open = false;
}

bool valve_pulse(uint16_t open) {
    bool allowed = false;
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE) {
        allowed = open > 0 && open <= MAX_OPEN_TICKS && !is_open;
        if (allowed) open_now(open);
    }
    return allowed;
}

void valve_shut(void) {
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE) {
        TCCR1A = _BV(COM1A1);
        TCCR1C = _BV(FOC1A); /* a forced match clears the pin before the timer lets it go */
        TCCR1A = 0;
        TIMSK1 &= ~_BV(OCIE1A);
        is_open = false;
    }
}

bool valve_is_open(void) { return is_open; }

bool valve_arm(uint16_t request, uint16_t open, uint16_t hold_ms) {
    if (open == 0 || open > MAX_OPEN_TICKS || hold_ms == 0 || hold_ms > MAX_HOLD_MS)
        return false;
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE) {
        if (request != fired_request) {
            armed_request = request;
            armed_open = open;
            hold_left_ms = hold_ms;
        }
    }
    return true;
}

void valve_disarm(void) {
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE) { armed_open = 0; }
}

void valve_tick(void) {
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE) {
        if (hold_left_ms > 0)
            hold_left_ms--;
        else
            armed_open = 0;
    }
}

armed_t valve_armed(void) {
    armed_t armed;
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE) {
        armed = (armed_t){fired_request, armed_open, armed_open ? hold_left_ms : 0};
    }
    return armed;
}

void valve_lick(uint16_t lick) {
    if (armed_open == 0 || is_open) return;
    uint16_t opened = open_now(armed_open);
    last = (fired_t){clock_at(lick), armed_request, armed_open, opened - lick};
    fired_request = armed_request;
    armed_open = 0;
    unsent = true;
}

bool valve_fired(fired_t *fired) {
    bool is_new = false;
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE) {
        is_new = unsent;
        unsent = false;
        *fired = last;
    }
    return is_new;
}
