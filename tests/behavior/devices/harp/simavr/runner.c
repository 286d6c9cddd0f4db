/* Runs the firmware in simavr in real time, with its serial line on a pty and its pins on stdio.
 *
 * In:   "at US PIN LEVEL"  put an input (B0) to a level, US microseconds from now
 *       "wheel N"          turn the encoder by N counts, one every 40 us
 *       "echo N"           print N: all that happened before was printed before
 *       "hang"             the firmware's code stops for good, with its interrupts
 *       "freeze 0|1"       the board stops, and its clock with it
 *       "loop 0|1"         the valve's pin is wired to the lick sensor's
 *       "mute 0|1"         what the board sends is lost on the way
 *       "quit"
 * Out:  "pty PATH NS": the host's monotonic time of cycle 0; then for each change of a watched pin
 *       "edge NAME LEVEL CYCLE", "turned" when the wheel has, "echo N"
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <simavr/avr_ioport.h>
#include <simavr/avr_uart.h>
#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define HZ 16000000ull
#define CYCLES_PER_US 16
#define SLICE_NS 500000
#define TCCR1A 0x80
#define TCCR1C 0x82
#define FOC1A 0x80
#define WHEEL_STEP_CYCLES (40 * CYCLES_PER_US)

static avr_t *avr;
static int host;
static avr_irq_t *serial_in;
static int may_take = 1; /* the UART's buffer has room */
static uint8_t from_host[65536], to_host[65536];
static unsigned put, taken, waiting;
static int frozen, muted, looped;
static long wheel_left;
static unsigned wheel_phase = 2; /* both lines high: at rest the board's pull-ups raise them */

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static avr_irq_t *pin(char port, int bit) {
    return avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ(port), bit);
}

/* -- the serial line ------------------------------------------------------------------------- */

static void feed(void) {
    while (may_take && taken != put) avr_raise_irq(serial_in, from_host[taken++ & 65535]);
}

static void on_room(avr_irq_t *irq, uint32_t value, void *param) {
    (void)irq, (void)value, (void)param;
    may_take = 1;
    feed();
}

static void on_full(avr_irq_t *irq, uint32_t value, void *param) {
    (void)irq, (void)value, (void)param;
    may_take = 0;
}

static void on_byte(avr_irq_t *irq, uint32_t value, void *param) {
    (void)irq, (void)param;
    if (waiting < sizeof to_host) to_host[waiting++] = value;
}

static void open_serial(uint64_t began) {
    int device;
    char name[128];
    struct termios raw;
    uint32_t flags = 0; /* without this simavr echoes what is sent and polls slowly */
    if (openpty(&host, &device, name, NULL, NULL)) exit(3);
    tcgetattr(device, &raw);
    cfmakeraw(&raw);
    tcsetattr(device, TCSANOW, &raw);
    fcntl(host, F_SETFL, O_NONBLOCK); /* `device` stays open: the pty outlives its users */
    avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);
    serial_in = avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_INPUT);
    avr_irq_register_notify(
        avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUTPUT), on_byte, NULL);
    avr_irq_register_notify(
        avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUT_XON), on_room, NULL);
    avr_irq_register_notify(
        avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUT_XOFF), on_full, NULL);
    printf("pty %s %llu\n", name, (unsigned long long)began);
}

/* -- the pins -------------------------------------------------------------------------------- */

static void on_edge(avr_irq_t *irq, uint32_t value, void *param) {
    (void)irq;
    printf("edge %s %u %llu\n", (const char *)param, value, (unsigned long long)avr->cycle);
}

static void watch(char port, int bit, const char *name) {
    avr_irq_register_notify(pin(port, bit), on_edge, (void *)name);
}

/* simavr does not know the forced compare match (FOC1A) that opens and shuts the valve by command. */
static void force_match(avr_t *a, avr_io_addr_t address, uint8_t value, void *param) {
    uint8_t on_match = avr->data[TCCR1A] >> 6; /* COM1A: 2 clears the pin, 3 sets it */
    (void)a, (void)address, (void)param;
    if (value & FOC1A && on_match >= 2) avr_raise_irq(pin('B', 1), on_match == 3);
}

struct change {
    char port;
    int bit, level;
};

static avr_cycle_count_t change_pin(avr_t *a, avr_cycle_count_t when, void *param) {
    struct change *change = param;
    (void)a, (void)when;
    avr_raise_irq(pin(change->port, change->bit), change->level);
    free(change);
    return 0;
}

static void change_later(unsigned long us, struct change change) {
    struct change *kept = malloc(sizeof change);
    *kept = change;
    avr_cycle_timer_register(avr, us * CYCLES_PER_US + 1, change_pin, kept);
}

static void on_valve(avr_irq_t *irq, uint32_t value, void *param) {
    (void)irq, (void)param;
    if (looped) change_later(0, (struct change){'B', 0, value});
}

static avr_cycle_count_t turn_wheel(avr_t *a, avr_cycle_count_t when, void *param) {
    (void)a, (void)param;
    if (wheel_left == 0) {
        printf("turned\n");
        return 0;
    }
    int step = wheel_left > 0 ? 1 : -1;
    wheel_left -= step;
    wheel_phase = (wheel_phase + step) & 3;
    avr_raise_irq(pin('D', 2), wheel_phase == 1 || wheel_phase == 2);
    avr_raise_irq(pin('D', 3), wheel_phase >= 2);
    return when + WHEEL_STEP_CYCLES;
}

/* Go to a jump to itself, in flash that the firmware leaves free, with interrupts off. */
static void hang(void) {
    const avr_flashaddr_t at = avr->flashend - 1;
    avr->flash[at] = 0xFF;
    avr->flash[at + 1] = 0xCF;
    avr->pc = at;
    avr->sreg[S_I] = 0;
    avr->state = cpu_Running;
}

static int obey(const char *line) {
    struct change change;
    unsigned long us;
    long counts;
    if (!strncmp(line, "echo ", 5)) {
        puts(line);
    } else if (sscanf(line, "at %lu %c%d %d", &us, &change.port, &change.bit, &change.level) == 4) {
        change_later(us, change);
    } else if (sscanf(line, "wheel %ld", &counts) == 1) {
        avr_cycle_timer_cancel(avr, turn_wheel, NULL);
        avr_cycle_timer_register(avr, WHEEL_STEP_CYCLES, turn_wheel, NULL);
        wheel_left += counts;
    } else if (!strcmp(line, "hang")) {
        hang();
    } else if (sscanf(line, "freeze %d", &frozen) != 1 && sscanf(line, "mute %d", &muted) != 1 &&
               sscanf(line, "loop %d", &looped) != 1) {
        return strcmp(line, "quit");
    }
    return 1;
}

/* -- time ------------------------------------------------------------------------------------ */

static void no_wait(avr_t *a, avr_cycle_count_t cycles) { (void)a, (void)cycles; }

static void run_until(uint64_t cycle) {
    while (avr->cycle < cycle) {
        int state = avr_run(avr);
        if (state == cpu_Done || state == cpu_Crashed) exit(4);
    }
}

static void send_bytes(void) {
    unsigned sent = 0;
    while (sent < waiting && !muted) {
        ssize_t n = write(host, to_host + sent, waiting - sent);
        if (n <= 0) break; /* nobody reads: the rest is lost, as on a wire */
        sent += n;
    }
    waiting = 0;
}

static int take_lines(void) {
    static char lines[65536];
    static size_t count;
    ssize_t n = read(0, lines + count, sizeof lines - 1 - count);
    if (n <= 0) return 0;
    count += n;
    lines[count] = 0;
    char *line = lines, *end;
    while ((end = strchr(line, '\n'))) {
        *end = 0;
        if (!obey(line)) return 0;
        line = end + 1;
    }
    count -= line - lines;
    memmove(lines, line, count);
    return 1;
}

static void take_bytes(void) {
    uint8_t bytes[256];
    ssize_t n = read(host, bytes, sizeof bytes);
    for (ssize_t i = 0; i < n; i++) from_host[put++ & 65535] = bytes[i];
    feed();
}

int main(int count, char **arguments) {
    elf_firmware_t firmware = {0};
    if (count < 2 || elf_read_firmware(arguments[1], &firmware)) return 2;
    avr = avr_make_mcu_by_name("atmega328p");
    avr_init(avr);
    avr_load_firmware(avr, &firmware);
    avr->frequency = HZ;
    avr->log = LOG_NONE;
    avr->sleep = no_wait;
    uint64_t last = now_ns(), passed_ns = 0;
    open_serial(last);
    avr_register_io_write(avr, TCCR1C, force_match, NULL);
    watch('B', 1, "valve");
    avr_irq_register_notify(pin('B', 1), on_valve, NULL);
    watch('B', 0, "lick");
    watch('C', 0, "line1");
    watch('C', 1, "line2");
    watch('D', 4, "output0");
    watch('D', 5, "output1");
    watch('D', 6, "output2");
    fflush(stdout);
    for (;;) {
        struct pollfd sources[] = {{host, POLLIN, 0}, {0, POLLIN, 0}};
        struct timespec slice = {0, SLICE_NS};
        ppoll(sources, 2, &slice, NULL);
        uint64_t now = now_ns();
        if (!frozen) passed_ns += now - last;
        last = now;
        run_until(passed_ns * CYCLES_PER_US / 1000);
        send_bytes();
        /* only then: it receives nothing before it was sent, also after this process had to wait */
        if (sources[1].revents && !take_lines()) return 0;
        if (sources[0].revents & POLLIN && !frozen) take_bytes();
        fflush(stdout);
    }
}
