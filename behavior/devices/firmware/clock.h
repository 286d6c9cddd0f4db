/* Time since reset in ticks of 4 us, and as Harp tells it: seconds, and steps of 32 us. */
#ifndef CLOCK_H
#define CLOCK_H

#include "board.h"

void clock_begin(void);

/* The whole time of a moment that Timer 1 caught, less than half a turn (131 ms) ago; interrupts
 * are off. */
uint32_t clock_at(uint16_t timer);

/* Now; interrupts are off. */
uint32_t clock_now(void);

/* Now; interrupts may be on. */
uint32_t clock_read(void);

/* Milliseconds since reset, modulo 256: for short waits. */
extern volatile uint8_t clock_ms;

/* Whether a millisecond has passed since the last time this was true. */
bool clock_ticked(void);

/* Seconds and steps of 32 us at a time no more than a second from now. */
void clock_stamp(uint32_t ticks, uint32_t *seconds, uint16_t *steps);

#endif
