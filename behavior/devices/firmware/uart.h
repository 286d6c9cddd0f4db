/* The serial line to the host: 1 Mbaud, by interrupts both ways. */
#ifndef UART_H
#define UART_H

#include "board.h"

void uart_begin(void);

/* The next byte from the host, if there is one. */
bool uart_take(uint8_t *byte);

/* Whether there is no byte to take. */
bool uart_is_idle(void);

/* Send a byte; waits while the buffer (256 bytes, 2.6 ms) is full. */
void uart_put(uint8_t byte);

#endif
