/* The valve and the one reward that can be armed. No call opens it for over MAX_OPEN_TICKS. */
#ifndef VALVE_H
#define VALVE_H

#include "board.h"

void valve_begin(void);

/* Open it now, for a number of 4 us ticks; false if it is open already or that is too long. */
bool valve_pulse(uint16_t open);

/* Shut it now, even in the middle of a pulse. */
void valve_shut(void);

bool valve_is_open(void);

/* Open it once, for a number of ticks, at the next lick within hold_ms. A repeated request only
 * extends the time; a request that has fired never arms again. False if it is refused. */
bool valve_arm(uint16_t request, uint16_t open, uint16_t hold_ms);

void valve_disarm(void);

/* Call once each millisecond. */
void valve_tick(void);

/* What is armed (open 0: nothing), and the request that fired last. */
typedef struct {
    uint16_t fired_request, open, hold_ms;
} armed_t;
armed_t valve_armed(void);

/* A lick at `lick` (Timer 1); the capture interrupt calls it before anything else. */
void valve_lick(uint16_t lick);

/* Get the reward that fired and was not returned yet; false if there is none. */
typedef struct {
    uint32_t lick; /* ticks */
    uint16_t request, open, delay; /* ticks open, and ticks from the lick to the opening */
} fired_t;
bool valve_fired(fired_t *fired);

#endif
