/* Interrupts date each change and queue it; the main loop empties the queue. */
#include "inputs.h"

#include <avr/interrupt.h>
#include <util/atomic.h>

#include "clock.h"
#include "valve.h"

#define QUEUE 32 /* a power of two */
static volatile change_t queue[QUEUE];
static volatile uint8_t put, taken, state;
static volatile uint16_t lost, encoder;
static uint8_t phase;

void inputs_begin(void) {
    TCCR1B |= _BV(ICNC1) | _BV(ICES1); /* an edge is four equal samples; rising first */
    TIFR1 = _BV(ICF1);
    TIMSK1 |= _BV(ICIE1);
    PCMSK1 = LINES;
    PCICR = _BV(PCIE1);
    EICRA = _BV(ISC00) | _BV(ISC10); /* both encoder lines, every change */
    EIMSK = _BV(INT0) | _BV(INT1);
    PORTD |= _BV(ENCODER_A) | _BV(ENCODER_B); /* pull-ups: encoders have open collectors */
    phase = (PIND >> ENCODER_A) & 3;
    state = (uint8_t)((PINC & LINES) << 1);
}

static void queue_change(uint32_t at) {
    uint8_t next = (put + 1) & (QUEUE - 1);
    if (next == taken) {
        lost++;
        return;
    }
    queue[put].at = at;
    queue[put].state = state;
    put = next;
}

static void lick_changed(uint16_t at, bool up) {
    state = up ? state | 1 : state & ~1;
    queue_change(clock_at(at));
}

ISR(TIMER1_CAPT_vect) {
    uint16_t at = ICR1;
    bool up = TCCR1B & _BV(ICES1);
    if (up) valve_lick(at); /* the valve first: nothing may delay the water */
    TCCR1B ^= _BV(ICES1);
    TIFR1 = _BV(ICF1);
    lick_changed(at, up);
    /* it may have changed back before the other edge was selected: no capture reports that */
    if (!(PINB & _BV(LICK)) == up && !(TIFR1 & _BV(ICF1))) {
        TCCR1B ^= _BV(ICES1);
        TIFR1 = _BV(ICF1);
        lick_changed(TCNT1, !up);
    }
}

ISR(PCINT1_vect) {
    uint16_t at = TCNT1;
    state = (uint8_t)((state & 1) | ((PINC & LINES) << 1));
    queue_change(clock_at(at));
}

/* From the last phase to this one: a step forward, back, or none (also if a phase was missed). */
static void encoder_changed(void) {
    static const int8_t steps[16] = {0, 1, -1, 0, -1, 0, 0, 1, 1, 0, 0, -1, 0, -1, 1, 0};
    uint8_t now = (PIND >> ENCODER_A) & 3;
    encoder += (uint16_t)steps[phase << 2 | now];
    phase = now;
}

ISR(INT0_vect) { encoder_changed(); }
ISR(INT1_vect, ISR_ALIASOF(INT0_vect));

bool inputs_changed(change_t *change) {
    bool is_new = false;
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE) {
        if (put != taken) {
            change->at = queue[taken].at;
            change->state = queue[taken].state;
            taken = (taken + 1) & (QUEUE - 1);
            is_new = true;
        }
    }
    return is_new;
}

bool inputs_are_idle(void) { return put == taken; }

uint8_t inputs_state(void) { return state; }

uint16_t inputs_lost(void) {
    uint16_t now;
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE) { now = lost; }
    return now;
}

int16_t inputs_encoder(void) {
    uint16_t now;
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE) { now = encoder; }
    return (int16_t)now;
}
