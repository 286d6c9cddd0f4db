/* The lick sensor, three lines and the encoder: changes are dated and queued for sending. */
#ifndef INPUTS_H
#define INPUTS_H

#include "board.h"

typedef struct {
    uint32_t at; /* ticks */
    uint8_t state; /* all inputs after the change: bit 0 the lick sensor, 1-3 the lines */
} change_t;

void inputs_begin(void);

/* Get the oldest change that was not returned yet; false if there is none. */
bool inputs_changed(change_t *change);

/* True if there is none. */
bool inputs_are_idle(void);

uint8_t inputs_state(void);

/* Number of changes lost because the queue was full. */
uint16_t inputs_lost(void);

/* The encoder's count, four for each cycle, modulo 65536. */
int16_t inputs_encoder(void);

#endif
