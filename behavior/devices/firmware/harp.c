/* A frame: kind, length of the rest, register, port, type, payload, sum of all bytes before it. */
#include "harp.h"

#include <string.h>

#include "clock.h"
#include "uart.h"

#define HEAD 5
#define TIME 6
#define TIMED 0x10
#define PORT 0xFF
#define LONGEST 32 /* longest frame accepted; the host sends 18 bytes at most */
#define GAP_MS 10 /* after a pause of this length the rest of a frame will not come */

static uint8_t bytes[LONGEST], count, used, last_ms;

static bool could_be_frame(void) {
    if (count >= 1 && bytes[0] != READ && bytes[0] != WRITE) return false;
    return count < 2 || (bytes[1] >= HEAD - 1 && bytes[1] <= LONGEST - 2);
}

static bool sum_is_right(uint8_t size) {
    uint8_t sum = 0;
    for (uint8_t i = 0; i < size - 1; i++) sum += bytes[i];
    return sum == bytes[size - 1];
}

static void drop(uint8_t n) {
    count -= n;
    memmove(bytes, bytes + n, count);
}

/* Size of the frame at the start of the bytes; 0 if there is none yet. */
static uint8_t whole(void) {
    while (count > 0) {
        if (could_be_frame()) {
            uint8_t size = bytes[1] + 2;
            if (count < 2 || count < size) return 0;
            uint8_t head = bytes[4] & TIMED ? HEAD + TIME : HEAD;
            if (size > head && sum_is_right(size)) return size;
        }
        drop(1);
    }
    return 0;
}

bool harp_take(frame_t *frame) {
    uint8_t byte;
    drop(used); /* the frame returned before */
    used = whole();
    while (used == 0 && uart_take(&byte)) {
        if ((uint8_t)(clock_ms - last_ms) > GAP_MS) count = 0;
        last_ms = clock_ms;
        bytes[count++] = byte;
        used = whole();
    }
    if (used == 0) return false;
    uint8_t head = bytes[4] & TIMED ? HEAD + TIME : HEAD;
    *frame = (frame_t){bytes[0], bytes[2], bytes[4] & ~TIMED, used - 1 - head, bytes + head};
    return true;
}

void harp_send(uint8_t kind, uint8_t reg, uint8_t type, uint32_t at, const void *payload,
               uint8_t size) {
    uint32_t seconds;
    uint16_t steps;
    clock_stamp(at, &seconds, &steps);
    uint8_t head[HEAD + TIME] = {kind, HEAD + TIME + size - 1, reg, PORT, type | TIMED};
    memcpy(head + HEAD, &seconds, sizeof seconds); /* the AVR is little-endian, as Harp is */
    memcpy(head + HEAD + sizeof seconds, &steps, sizeof steps);
    uint8_t sum = 0;
    for (uint8_t i = 0; i < sizeof head; i++) {
        sum += head[i];
        uart_put(head[i]);
    }
    for (uint8_t i = 0; i < size; i++) {
        sum += ((const uint8_t *)payload)[i];
        uart_put(((const uint8_t *)payload)[i]);
    }
    uart_put(sum);
}
