/* Two ring buffers between the interrupts and the main loop, each written by one side only. */
#include "uart.h"

#include <avr/interrupt.h>

#define IN 64 /* a power of two */
static volatile uint8_t in[IN], in_put, in_taken;
static volatile uint8_t out[256], out_put, out_taken;

void uart_begin(void) {
    UCSR0A = _BV(U2X0);
    UBRR0 = 1; /* 16 MHz / 8 / (1 + 1) = 1 Mbaud */
    UCSR0C = _BV(UCSZ01) | _BV(UCSZ00);
    UCSR0B = _BV(RXEN0) | _BV(TXEN0) | _BV(RXCIE0);
}

ISR(USART_RX_vect) {
    uint8_t byte = UDR0, next = (in_put + 1) & (IN - 1);
    if (next == in_taken) return; /* full: the frame fails its checksum, and is repeated */
    in[in_put] = byte;
    in_put = next;
}

ISR(USART_UDRE_vect) {
    if (out_taken == out_put)
        UCSR0B &= ~_BV(UDRIE0);
    else
        UDR0 = out[out_taken++];
}

bool uart_is_idle(void) { return in_taken == in_put; }

bool uart_take(uint8_t *byte) {
    if (uart_is_idle()) return false;
    *byte = in[in_taken];
    in_taken = (in_taken + 1) & (IN - 1);
    return true;
}

void uart_put(uint8_t byte) {
    while ((uint8_t)(out_put + 1) == out_taken)
        ;
    out[out_put] = byte;
    out_put++;
    UCSR0B |= _BV(UDRIE0);
}
