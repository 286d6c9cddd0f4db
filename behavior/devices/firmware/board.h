/* The board: an ATmega328P at 16 MHz (Arduino Uno, Nano or similar), its pins and limits.
 *
 *   lick sensor   PB0 (D8)   Timer 1 input capture: the edge is timed by hardware
 *   valve         PB1 (D9)   Timer 1 output compare: the hardware shuts it, whatever the code does
 *   encoder A, B  PD2, PD3 (D2, D3)
 *   lines 1-3     PC0-PC2 (A0-A2)   inputs, for example frame clock, photodiode, camera
 *   outputs 0-2   PD4-PD6 (D4-D6)
 *   host          PD0, PD1 (USB serial)   1 Mbaud, 8N1
 *
 * During a reset all pins float: a resistor from PB1 to ground keeps the valve shut.
 */
#ifndef BOARD_H
#define BOARD_H

#include <avr/io.h>
#include <stdbool.h>
#include <stdint.h>

#define VERSION_MAJOR 1
#define VERSION_MINOR 0

#define TICKS_PER_MS 250u /* Timer 1 counts in ticks of 4 us */
#define TICKS_PER_S 250000ul

/* Longest pulse (150 ms). It is shorter than one period of Timer 1 (262 ms), so that a single
 * compare match, set up before the valve opens, shuts it. */
#define MAX_OPEN_TICKS (150u * TICKS_PER_MS)
/* Longest time for which a reward stays armed without renewal by the host. */
#define MAX_HOLD_MS 1000u
/* After this time without a frame from the host, everything is disarmed, shut and lowered. */
#define SILENT_MS 500u

#define LICK PB0
#define VALVE PB1
#define ENCODER_A PD2
#define ENCODER_B PD3
#define LINES (_BV(PC0) | _BV(PC1) | _BV(PC2))
#define OUTPUTS (_BV(PD4) | _BV(PD5) | _BV(PD6))

#endif
