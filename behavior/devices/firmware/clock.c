/* Timer 1 runs freely and dates all events; its overflows are counted. Timer 2 makes milliseconds;
 * it reloads itself, so that a late interrupt does not make the clock slow. */
#include "clock.h"

#include <avr/interrupt.h>
#include <util/atomic.h>

volatile uint8_t clock_ms;
static volatile uint16_t periods;
static uint8_t seen_ms;
static uint32_t second_began, seconds_so_far;

void clock_begin(void) {
    TCCR1A = 0;
    TCCR1B = _BV(CS11) | _BV(CS10); /* 16 MHz / 64 */
    TIMSK1 = _BV(TOIE1);
    TCCR2A = _BV(WGM21); /* count to OCR2A, then restart */
    OCR2A = TICKS_PER_MS - 1;
    TCCR2B = _BV(CS22); /* 16 MHz / 64 */
    TIMSK2 = _BV(OCIE2A);
}

ISR(TIMER1_OVF_vect) { periods++; }

ISR(TIMER2_COMPA_vect) { clock_ms++; }

uint32_t clock_at(uint16_t timer) {
    uint16_t current = TCNT1; /* before the flag: an overflow in between is then not counted yet */
    uint16_t high = periods;
    if (TIFR1 & _BV(TOV1)) {
        /* an overflow is not counted yet: times captured after it belong to the new period */
        if (timer < 0x8000) high++;
    } else if (timer >= 0x8000 && current < 0x8000) {
        high--; /* it was captured before an overflow that is already counted */
    }
    return ((uint32_t)high << 16) | timer;
}

uint32_t clock_now(void) { return clock_at(TCNT1); }

uint32_t clock_read(void) {
    uint32_t now;
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE) { now = clock_now(); }
    return now;
}

bool clock_ticked(void) {
    if (seen_ms == clock_ms) return false;
    seen_ms++;
    return true;
}

void clock_stamp(uint32_t ticks, uint32_t *seconds, uint16_t *steps) {
    /* no division, which would take 0.2 ms: the start of the current second is stored. Ticks wrap
     * after 4.8 hours, which does not affect their differences. */
    int32_t since = (int32_t)(ticks - second_began);
    while (since >= (int32_t)TICKS_PER_S) {
        second_began += TICKS_PER_S;
        seconds_so_far++;
        since -= TICKS_PER_S;
    }
    bool before = since < 0; /* the event was queued before the current second began */
    *seconds = before ? seconds_so_far - 1 : seconds_so_far;
    *steps = (uint16_t)((before ? since + (int32_t)TICKS_PER_S : since) / 8);
}
