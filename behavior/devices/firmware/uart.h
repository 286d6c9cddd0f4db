/* The serial line to the host: 1 Mbaud, with interrupts in both directions. */
#ifndef UART_H
#define UART_H

#include "board.h"

void uart_begin(void);

/* Get the next byte from the host; false if there is none. */
bool uart_take(uint8_t *byte);

/* True if there is none. */
bool uart_is_idle(void);

/* Send a byte; waits while the buffer (256 bytes, 2.6 ms) is full. */
void uart_put(uint8_t byte);

#endif
