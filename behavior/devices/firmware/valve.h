/* The valve, and the one reward that can be armed. No call opens it for over MAX_OPEN_TICKS. */
#ifndef VALVE_H
#define VALVE_H

#include "board.h"

void valve_begin(void);

/* Open it now for so many ticks of 4 us, if it is shut and they are allowed; returns whether. */
bool valve_pulse(uint16_t open);

/* Shut it now, whatever it was doing. */
void valve_shut(void);

bool valve_is_open(void);

/* Open it once, for so many ticks, at the next lick within hold_ms. The same wish again only holds it for
 * longer; a wish that was fired never arms again. Returns whether it was allowed. */
bool valve_arm(uint16_t wish, uint16_t open, uint16_t hold_ms);

void valve_disarm(void);

/* A millisecond has passed. */
void valve_tick(void);

/* What is armed (open 0: nothing), and the wish that was fired last. */
typedef struct {
    uint16_t fired_wish, open, hold_ms;
} armed_t;
armed_t valve_armed(void);

/* A lick at `lick` (Timer 1): called by the capture interrupt, before anything else. */
void valve_lick(uint16_t lick);

/* What was fired and has not been told yet. */
typedef struct {
    uint32_t lick; /* ticks */
    uint16_t wish, open, delay; /* ticks open, and from the lick until it was */
} fired_t;
bool valve_fired(fired_t *fired);

#endif
