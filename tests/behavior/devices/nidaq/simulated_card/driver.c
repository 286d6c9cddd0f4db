/* A fake NI-DAQmx driver library: enough of its C interface for one lick, one pulse, one output.
   It writes each act to standard error; the lick line changes twice, 1 s and 1.02 s after start.
   With FAKE_HANGS_S set, the call that reads the encoder hangs from FAKE_HANGS_S after the start on;
   with FAKE_HANGS_AFTER_PULSE set, it hangs once a pulse has begun. */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct { char name[64], channel[64]; int changes, latch, next; double high_s; } Task;
static Task tasks[16];
static int made, pulses;
static char last[64];
static struct timespec began;

static double passed(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (now.tv_sec - began.tv_sec) + (now.tv_nsec - began.tv_nsec) / 1e9;
}
static int seen(void) { return (passed() > 1.0) + (passed() > 1.02); }
static int32_t done(const char *act, Task *task) {
  fprintf(stderr, "%s %s\n", act, task->name);
  return 0;
}
static int32_t channel(Task *task, const char *physical) {
  snprintf(task->channel, 64, "%s", physical);
  snprintf(last, 64, "%s", physical);
  return done("channel", task);
}
static int32_t text(const char *from, char *to, uint32_t size) {
  if (!to || !size) return (int32_t)strlen(from) + 1;
  snprintf(to, size, "%s", from);
  return 0;
}

int32_t DAQmxGetSystemInfoAttribute(int32_t a, uint32_t *v) {
  *v = a == 0x1272 ? 25 : a == 0x1923 ? 5 : 0;
  return 0;
}
int32_t DAQmxCreateTask(const char *name, void **task) {
  if (made == 16) return -200000;
  Task *t = &tasks[made++];
  snprintf(t->name, 64, "%s", name);
  *task = t;
  return done("create", t);
}
int32_t DAQmxClearTask(Task *t) { return done("clear", t); }
int32_t DAQmxStopTask(Task *t) { return 0; }
int32_t DAQmxTaskControl(Task *t, int32_t action) { return done("control", t); }
int32_t DAQmxStartTask(Task *t) {
  if (t->latch) clock_gettime(CLOCK_MONOTONIC, &began);
  if (t->high_s > 0) pulses += fprintf(stderr, "open %.1f ms\n", t->high_s * 1e3) > 0;
  return 0;
}
int32_t DAQmxGetTaskAttribute(Task *t, int32_t a, char *v, uint32_t size) {
  return text(a == 0x1276 ? t->name : t->channel, v, size);
}
int32_t DAQmxInternalGetLastCreatedChan(char *v, uint32_t size) { return text(last, v, size); }
int32_t DAQmxCreateDIChan(Task *t, const char *lines, const char *n, int32_t g) {
  return channel(t, lines);
}
int32_t DAQmxCreateDOChan(Task *t, const char *lines, const char *n, int32_t g) {
  return channel(t, lines);
}
int32_t DAQmxCreateCICountEdgesChan(Task *t, const char *c, const char *n, int32_t edge,
                                    uint32_t initial, int32_t direction) {
  return channel(t, c);
}
int32_t DAQmxCreateCILinEncoderChan(Task *t, const char *c, const char *n, int32_t decoding,
                                    uint32_t z, double zv, int32_t zp, int32_t units, double dist,
                                    double initial, const char *scale) {
  return channel(t, c);
}
int32_t DAQmxCreateCOPulseChanTime(Task *t, const char *c, const char *n, int32_t units,
                                   int32_t idle, double delay, double low, double high) {
  t->high_s = high;
  return channel(t, c);
}
int32_t DAQmxCfgImplicitTiming(Task *t, int32_t mode, uint64_t count) {
  return mode == 10178 && count == 1 ? 0 : -200077;
}
int32_t DAQmxCfgChangeDetectionTiming(Task *t, const char *up, const char *down, int32_t mode,
                                      uint64_t count) {
  t->changes = 1;
  return 0;
}
int32_t DAQmxCfgSampClkTiming(Task *t, const char *source, double rate, int32_t edge, int32_t mode,
                              uint64_t count) {
  t->latch = strstr(source, "ChangeDetectionEvent") != 0;
  return 0;
}
int32_t DAQmxSetChanAttribute(Task *t, const char *c, int32_t a, ...) {
  va_list rest;
  va_start(rest, a);
  if (a == 0x18BA) t->high_s = va_arg(rest, double);
  va_end(rest);
  return 0;
}
int32_t DAQmxGetChanAttribute(Task *t, const char *c, int32_t a, uint32_t *v) {
  *v = a == 0x148 ? (uint32_t)(passed() * 1e5) : 0;
  return 0;
}
int32_t DAQmxGetReadAttribute(Task *t, int32_t a, uint32_t *v) {
  *v = a == 0x1223 ? (uint32_t)(seen() - t->next) : 0;
  return 0;
}
int32_t DAQmxReadDigitalScalarU32(Task *t, double timeout, uint32_t *v, void *r) {
  *v = 0;
  return 0;
}
int32_t DAQmxReadDigitalU32(Task *t, int32_t n, double timeout, uint32_t fill, uint32_t *v,
                            uint32_t size, int32_t *read, void *r) {
  for (int i = 0; i < n; i++) v[i] = (t->next++ % 2) ? 0 : 1;
  *read = n;
  return 0;
}
int32_t DAQmxReadCounterU32Ex(Task *t, int32_t n, double timeout, uint32_t fill, uint32_t *v,
                              uint32_t size, int32_t *read, void *r) {
  for (int i = 0; i < n; i++) v[i] = (t->next++ % 2) ? 102000 : 100000;
  *read = n;
  return 0;
}
int32_t DAQmxReadCounterScalarF64(Task *t, double timeout, double *v, void *r) {
  const char *hangs_s = getenv("FAKE_HANGS_S");
  while (hangs_s && passed() > atof(hangs_s)) pause();
  while (pulses && getenv("FAKE_HANGS_AFTER_PULSE")) pause();
  *v = -42.0;
  return 0;
}
int32_t DAQmxReadCounterScalarU32(Task *t, double timeout, uint32_t *v, void *r) {
  *v = 7;
  return 0;
}
int32_t DAQmxWriteDigitalLines(Task *t, int32_t n, uint32_t start, double timeout, uint32_t layout,
                               const uint8_t *v, int32_t *written, void *r) {
  fprintf(stderr, "%s %s\n", v[0] ? "up" : "down", t->channel);
  *written = 1;
  return 0;
}
int32_t DAQmxGetExtendedErrorInfo(char *v, uint32_t size) { return text("fake", v, size); }
int32_t DAQmxGetErrorString(int32_t e, char *v, uint32_t size) { return text("fake", v, size); }
int32_t DAQmxSetRuntimeEnvironment(const char *e, const char *v, const char *a, const char *b) {
  return 0;
}
