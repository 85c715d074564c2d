/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines with the simulated time and the host whose turn it is; and luck that follows from the seed (uuid_random).
 */
#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "sim_daemon.h"

#define KEEP 6000

static struct {
    bool verbose;
    char *lines[KEEP];
    size_t n;
} book;

/* The linker sends all callers here (--wrap). */
void __wrap_log_write(enum log_level level, const char *module, const char *fmt, ...) _printf_(3, 4);
bool __wrap_log_limit_pass(struct log_limit *l, unsigned burst, uint64_t interval_ms);
struct uuid __wrap_uuid_random(void);

void sim_log_init(bool verbose) {
    book.verbose = verbose;
}

void sim_log_done(void) {
    for (size_t i = 0; i < KEEP; i++)
        free(TAKE(book.lines[i]));
    book.n = 0;
}

static void add(char *line) {
    if (book.verbose)
        (void)puts(line);
    free(book.lines[book.n % KEEP]);
    book.lines[book.n++ % KEEP] = line;
}

void sim_log_dump(void) {
    if (book.verbose)
        return;
    size_t first = book.n > KEEP ? book.n - KEEP : 0;
    for (size_t i = first; i < book.n; i++)
        (void)puts(book.lines[i % KEEP]);
}

static char *vline(const char *who, const char *what, const char *fmt, va_list ap) {
    char text[2000];
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    uint64_t ms = sim_now_ms() - LOOP_SIM_START_MS;
    return strf("%5u.%03u %-4s %s%s", (unsigned)(ms / 1000), (unsigned)(ms % 1000), who, what, text);
}

void sim_say(const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    add(vline("====", "", fmt, ap));
    va_end(ap);
}

void __wrap_log_write(enum log_level level, const char *module, const char *fmt, ...) {
    static const char *const names[] = {"ERR ", "WARN ", "", "", ""};
    const struct loop *running = loop_sim_running(sim->clock);
    const char *who = "-";
    for (unsigned i = 0; i < sim->n_hosts; i++)
        if (sim->hosts[i].daemon && sim->hosts[i].daemon->loop == running)
            who = sim->hosts[i].name;
    va_list ap;
    va_start(ap, fmt);
    add(vline(who, names[level], fmt, ap));
    va_end(ap);
}

bool __wrap_log_limit_pass(struct log_limit *l, unsigned burst, uint64_t interval_ms) {
    return true;
}

struct uuid __wrap_uuid_random(void) {
    struct uuid u;
    for (unsigned i = 0; i < 2; i++) {
        uint64_t luck = loop_random(sim->loop);
        memcpy(u.b + 8 * i, &luck, sizeof(luck));
    }
    u.b[6] = (uint8_t)((u.b[6] & 0x0f) | 0x40);
    u.b[8] = (u.b[8] & 0x3f) | 0x80;
    return u;
}
