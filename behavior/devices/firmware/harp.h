/* Frames of the Harp binary protocol (8 bit): harp-tech.org/protocol/BinaryProtocol-8bit.html */
#ifndef HARP_H
#define HARP_H

#include "board.h"

enum { READ = 1, WRITE = 2, EVENT = 3, REFUSED = 8 };
enum { U8 = 0x01, U16 = 0x02, U32 = 0x04, S16 = 0x82 };

typedef struct {
    uint8_t kind, reg, type, size; /* size: bytes of payload, without the time stamp */
    const uint8_t *payload;
} frame_t;

/* Get the next whole frame from the host, if there is one. Other bytes are skipped one by one. */
bool harp_take(frame_t *frame);

/* Send a frame with a time stamp (ticks). */
void harp_send(uint8_t kind, uint8_t reg, uint8_t type, uint32_t at, const void *payload,
               uint8_t size);

#endif
