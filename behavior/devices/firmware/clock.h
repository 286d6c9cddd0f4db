/* Time since reset, in ticks of 4 us and in Harp format: seconds and steps of 32 us. */
#ifndef CLOCK_H
#define CLOCK_H

#include "board.h"

void clock_begin(void);

/* The time (ticks) of a value of Timer 1 captured less than half a period (131 ms) ago; interrupts
 * must be off. */
uint32_t clock_at(uint16_t timer);

/* The time now; interrupts must be off. */
uint32_t clock_now(void);

/* The time now; interrupts may be on. */
uint32_t clock_read(void);

/* Milliseconds since reset, modulo 256: for short waits. */
extern volatile uint8_t clock_ms;

/* True once for each millisecond that has passed. */
bool clock_ticked(void);

/* Convert a time within a second of now to Harp format. */
void clock_stamp(uint32_t ticks, uint32_t *seconds, uint16_t *steps);

#endif
