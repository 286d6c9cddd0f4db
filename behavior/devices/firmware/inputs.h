/* The lick sensor, three lines and the encoder: what changes is timed, and kept until it is told. */
#ifndef INPUTS_H
#define INPUTS_H

#include "board.h"

typedef struct {
    uint32_t at; /* ticks */
    uint8_t state; /* all inputs after the change: bit 0 the lick sensor, 1-3 the lines */
} change_t;

void inputs_begin(void);

/* The oldest change that was not told yet. */
bool inputs_changed(change_t *change);

/* Whether there is none. */
bool inputs_are_idle(void);

uint8_t inputs_state(void);

/* How many changes were lost because too many came at once. */
uint16_t inputs_lost(void);

/* The encoder's count, all four edges of a cycle, modulo 65536. */
int16_t inputs_encoder(void);

#endif
