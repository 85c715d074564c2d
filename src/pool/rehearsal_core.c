/* SPDX-License-Identifier: Apache-2.0 */
#include "pool/rehearsal_core.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/str.h"

static const enum rehearsal_code codes[] = {REHEARSAL_NOT_DONE,     REHEARSAL_CONFIG_DAMAGED,
                                            REHEARSAL_NO_CONFIG,    REHEARSAL_CHANGE_PENDING,
                                            REHEARSAL_BOOT_PROBLEM, REHEARSAL_DIFFERS,
                                            REHEARSAL_BOOT_FAILS,   REHEARSAL_NOT_AS_WANTED,
                                            REHEARSAL_RESET,        REHEARSAL_NO_WAY,
                                            REHEARSAL_LEG,          REHEARSAL_COORDINATOR,
                                            REHEARSAL_CERTIFICATE,  REHEARSAL_CLOCK,
                                            REHEARSAL_DISK,         REHEARSAL_IDENTITY,
                                            REHEARSAL_DATABASE,     REHEARSAL_MAJORITY,
                                            REHEARSAL_ALONE,        REHEARSAL_OTHER_AWAY,
                                            REHEARSAL_PROGRAM,      REHEARSAL_UNIT};

const enum rehearsal_code *rehearsal_codes(size_t *ret_n) {
    *ret_n = ARRAY_SIZE(codes);
    return codes;
}

const char *rehearsal_code_text(enum rehearsal_code c, char text[static REHEARSAL_CODE_SIZE]) {
    (void)snprintf(text, REHEARSAL_CODE_SIZE, "MUSTER-R%u", (unsigned)c);
    return text;
}

void rehearsal_verdicts_done(struct rehearsal_verdicts *v) {
    for (size_t i = 0; i < v->n; i++) {
        free(v->items[i].text);
        free(v->items[i].cure);
    }
    free(v->items);
    *v = (struct rehearsal_verdicts){0};
}

/* ---- making verdicts ---- */

struct judge {
    const struct rehearsal_facts *f;
    struct rehearsal_verdicts *v;
};

enum weight { WARNING, BLOCKER };

_printf_(5, 6) static void say(struct judge *j, enum rehearsal_code code, enum weight weight, const char *cure,
                               const char *format, ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    j->v->items = xrealloc(j->v->items, (j->v->n + 1) * sizeof(*j->v->items));
    j->v->items[j->v->n++] = (struct rehearsal_verdict){
        .code = code, .is_blocker = weight == BLOCKER, .text = xstrdup(text), .cure = xstrdup(cure)};
    j->v->n_blockers += weight == BLOCKER;
}

static const char *host(const struct judge *j) {
    return str_empty(j->f->host) ? "this host" : j->f->host;
}

/* Without its full stop: the sentence goes on. */
static int sentence_size(const char *text) {
    size_t n = strlen(text);
    return (int)(n && text[n - 1] == '.' ? n - 1 : n);
}

/* What the daemon has in memory is written to the disk once more. */
static char *repair(const struct judge *j) {
    return strf("xe host-reboot-check host=%s repair=true, which writes it anew",
                str_empty(j->f->host_uuid) ? host(j) : j->f->host_uuid);
}

/* ---- the network of the next boot ---- */

static void judge_reset(struct judge *j) {
    const struct rehearsal_facts *f = j->f;
    if (!str_empty(f->reset_problem)) {
        say(j, REHEARSAL_RESET, WARNING,
            "remove that file on the host, or write what was meant with: muster-netboot reset --at-boot",
            "Host '%s': %s", host(j), f->reset_problem);
    } else if (!str_empty(f->reset_path)) {
        _cleanup_free_ char *cure =
            strf("remove '%s' on the host when that is not meant; when it is, restart the host with force=true",
                 f->reset_path);
        say(j, REHEARSAL_RESET, BLOCKER, cure,
            "Host '%s': its next boot resets its network, as '%s' asks: it will be %s, without bonds and VLANs beside "
            "it",
            host(j), f->reset_path, str_or_empty(f->reset_words));
    }
}

static void judge_boot(struct judge *j) {
    const struct rehearsal_facts *f = j->f;
    _cleanup_free_ char *cure = repair(j);
    if (!str_empty(f->program))
        say(j, REHEARSAL_PROGRAM, BLOCKER, "install the package of this host again, then run the check once more",
            "Host '%s': muster-netboot, which builds its network at boot, cannot be run: %s", host(j), f->program);
    else if (!str_empty(f->not_done))
        say(j, REHEARSAL_NOT_DONE, BLOCKER, "run 'muster-netboot rehearse' on the host and mend what it says",
            "Host '%s': its next boot could not be rehearsed: %s", host(j), f->not_done);
    if (!str_empty(f->no_config))
        say(j, REHEARSAL_NO_CONFIG, BLOCKER, cure, "Host '%s': it would boot without a network: %s", host(j),
            f->no_config);
    else if (!str_empty(f->config_error))
        say(j, REHEARSAL_CONFIG_DAMAGED, BLOCKER, cure, "%s; it would boot with the one before", f->config_error);
    if (f->is_pending || f->is_changing)
        say(j, REHEARSAL_CHANGE_PENDING, BLOCKER,
            "wait for its end, a minute at most, or take it back with: muster-netboot revert",
            "Host '%s': a network change is in progress; a restart now would take it back", host(j));
    judge_reset(j);
    for (unsigned i = 0; i < f->n_problems; i++)
        say(j, REHEARSAL_BOOT_PROBLEM, f->problems[i].is_management && !f->problems[i].is_less ? BLOCKER : WARNING,
            str_or_empty(f->problems[i].cure), "%.*s", sentence_size(f->problems[i].text), f->problems[i].text);
    for (unsigned i = 0; i < f->n_differences && !f->is_changing; i++) {
        const struct rehearsal_note *d = &f->differences[i];
        say(j, REHEARSAL_DIFFERS, d->is_management && !d->is_less ? BLOCKER : WARNING,
            d->is_less
                ? "make it through the pool, or do without it"
                : "end what changes it by hand and run: muster-netboot verify, or make the change through the pool",
            "Host '%s': %s", host(j), d->text);
    }
    if (!str_empty(f->boot_failure))
        say(j, REHEARSAL_BOOT_FAILS, BLOCKER, "run 'muster-netboot rehearse' on the host and mend what it says",
            "Host '%s': the boot of its network was tried and failed: %s", host(j), f->boot_failure);
    else if (!str_empty(f->scratch_error))
        say(j, REHEARSAL_NOT_DONE, WARNING, "none is needed: the boot was planned, and only not tried",
            "Host '%s': the boot could not be tried in a namespace of its own: %s", host(j), f->scratch_error);
    if (!str_empty(f->wanted_diff) && !f->is_changing)
        say(j, REHEARSAL_NOT_AS_WANTED, WARNING,
            "look at host-param-get param-name=network-text, mend what it says and make the change again",
            "Host '%s': the pool wants another network of it than it has and would boot with: %s", host(j),
            f->wanted_diff);
    if (!str_empty(f->unit))
        say(j, REHEARSAL_UNIT, BLOCKER,
            "run on the host: systemctl enable muster-netboot muster-netboot-verify musterd",
            "Host '%s': nothing would start its network at boot: %s", host(j), f->unit);
}

/* ---- paths ---- */

static void judge_paths(struct judge *j) {
    const struct rehearsal_facts *f = j->f;
    if (f->has_live_peer && !f->control_passes)
        say(j, REHEARSAL_NO_WAY, BLOCKER,
            "look at the cables and switch ports of its management legs: xe host-param-get "
            "param-name=faults names them",
            "Host '%s': no leg of its management network carries 1500 bytes to any host of the pool, so it would not "
            "be "
            "heard",
            host(j));
    for (unsigned i = 0; i < f->n_legs; i++)
        say(j, REHEARSAL_LEG, f->legs[i].is_management && !f->legs[i].is_less ? BLOCKER : WARNING,
            str_or_empty(f->legs[i].cure), "%.*s", sentence_size(f->legs[i].text), f->legs[i].text);
    if (!f->is_coordinator && !f->coordinator_answers)
        say(j, REHEARSAL_COORDINATOR, BLOCKER,
            "bring the coordinator back, or run on a host that lives: xe pool-emergency-transition-to-master",
            "Host '%s': the coordinator%s%s%s does not answer it, so it would wait for it after the restart", host(j),
            str_empty(f->coordinator) ? "" : " '", str_or_empty(f->coordinator), str_empty(f->coordinator) ? "" : "'");
}

/* ---- trust and time ---- */

static void judge_certificate(struct judge *j) {
    const struct rehearsal_facts *f = j->f;
    _cleanup_free_ char *cure =
        strf("xe host-refresh-server-certificate host=%s", str_empty(f->host_uuid) ? host(j) : f->host_uuid);
    char day[32] = "";
    struct tm tm;
    time_t t = (time_t)f->not_after;
    if (gmtime_r(&t, &tm))
        (void)strftime(day, sizeof(day), "%Y-%m-%d %H:%M UTC", &tm);
    if (!str_empty(f->certificate_error))
        say(j, REHEARSAL_CERTIFICATE, BLOCKER, cure, "Host '%s': its certificate cannot be used: %s", host(j),
            f->certificate_error);
    else if (f->not_after && f->now >= f->not_after)
        say(j, REHEARSAL_CERTIFICATE, BLOCKER, cure, "Host '%s': its certificate has expired, on %s", host(j), day);
    else if (f->not_after && f->now < f->not_before)
        say(j, REHEARSAL_CERTIFICATE, BLOCKER, "set its clock by NTP: chronyc makestep",
            "Host '%s': its certificate is not valid yet, so its clock is behind", host(j));
    else if (f->not_after && f->not_after - f->now < REHEARSAL_CERTIFICATE_WARN_S)
        say(j, REHEARSAL_CERTIFICATE, f->not_after - f->now < REHEARSAL_CERTIFICATE_MIN_S ? BLOCKER : WARNING, cure,
            "Host '%s': its certificate expires on %s", host(j), day);
}

static void judge_clock(struct judge *j) {
    const struct rehearsal_facts *f = j->f;
    int64_t away = f->skew_ms < 0 ? -f->skew_ms : f->skew_ms;
    if (f->clock_known && away > REHEARSAL_CLOCK_WARN_MS)
        say(j, REHEARSAL_CLOCK, away > REHEARSAL_CLOCK_MAX_MS ? BLOCKER : WARNING,
            "set the clocks of both hosts by NTP: chronyc makestep",
            "Host '%s': its clock is %lld s %s that of the coordinator", host(j), (long long)(away / 1000),
            f->skew_ms > 0 ? "behind" : "ahead of");
}

/* ---- the disk ---- */

static void judge_disk(struct judge *j) {
    const struct rehearsal_facts *f = j->f;
    const char *disk = str_or_empty(f->disk);
    if (f->disk_known && f->is_read_only)
        say(j, REHEARSAL_DISK, BLOCKER,
            "look at the kernel's log for errors of the disk, then mount it for writing again",
            "Host '%s': the disk with '%s' cannot be written", host(j), disk);
    else if (f->disk_known && (f->free_bytes < REHEARSAL_DISK_MIN_BYTES || f->free_inodes < REHEARSAL_INODES_MIN))
        say(j, REHEARSAL_DISK, BLOCKER, "make room, for example with: journalctl --vacuum-size=100M, and in /var/log",
            "Host '%s': the disk with '%s' is full, %llu MiB and %llu files are left", host(j), disk,
            (unsigned long long)(f->free_bytes >> 20), (unsigned long long)f->free_inodes);
    else if (f->disk_known && f->free_bytes < REHEARSAL_DISK_WARN_BYTES)
        say(j, REHEARSAL_DISK, WARNING, "make room, for example with: journalctl --vacuum-size=100M, and in /var/log",
            "Host '%s': the disk with '%s' is nearly full, %llu MiB are left", host(j), disk,
            (unsigned long long)(f->free_bytes >> 20));
    _cleanup_free_ char *cure = repair(j);
    if (!str_empty(f->identity_error))
        say(j, REHEARSAL_IDENTITY, BLOCKER, cure,
            "Host '%s': the file that says who it is and where its pool is cannot be used: %s", host(j),
            f->identity_error);
    if (!str_empty(f->database_error)) /* with other votes it would be set aside, and the host given its vote anew */
        say(j, REHEARSAL_DATABASE, f->n_voters_live > 1 ? WARNING : BLOCKER, cure,
            "Host '%s': its file of the pool database is damaged: %s", host(j), f->database_error);
}

/* ---- the others ---- */

/*
 * A voter that goes down in order gives its vote up first, which takes a majority of the present voters; those that are
 * left then need a majority of their own.
 */
static bool majority_stays(const struct rehearsal_facts *f) {
    if (!f->is_voter)
        return true;
    if (f->n_voters <= 1)
        return true; /* it keeps the data, and there is nobody else to spare it */
    return (f->n_voters_live - 1) * 2 > f->n_voters - 1;
}

static void judge_pool(struct judge *j) {
    const struct rehearsal_facts *f = j->f;
    const char *away = str_empty(f->away_voters) ? "" : f->away_voters;
    _cleanup_free_ char *back =
        strf("bring %s%s%s back%s", *away ? "'" : "", *away ? away : "the other voters", *away ? "'" : "",
             f->can_replace ? ", or wait until another host has taken the vote (5 minutes)" : "");
    if (f->n_hosts > 1 && !f->has_majority_now)
        say(j, REHEARSAL_MAJORITY, BLOCKER, back,
            "Host '%s': the pool database has no majority now, so the host could not be ready after the restart",
            host(j));
    else if (!majority_stays(f))
        say(j, REHEARSAL_MAJORITY, BLOCKER, back,
            "Host '%s': of %u hosts with a vote %s%s%s away already; without this one the pool database would have no "
            "majority and the pool could not be changed",
            host(j), f->n_voters, *away ? "'" : "some", away, *away ? "' is" : " are");
    if (f->n_hosts > 1 && f->n_other_live == 0)
        say(j, REHEARSAL_ALONE, WARNING, "bring the other hosts back first",
            "Host '%s': no other host of the pool lives, so there is no pool until it is back", host(j));
    else if (f->n_hosts > 1 && f->is_coordinator)
        say(j, REHEARSAL_ALONE, WARNING,
            "hand the pool to another host first: xe pool-designate-new-master host-uuid=<uuid>",
            "Host '%s': it coordinates the pool, which cannot be changed until it is back", host(j));
    if (!str_empty(f->away_hosts))
        say(j, REHEARSAL_OTHER_AWAY, WARNING, "wait until they are ready, so that only one host is away at a time",
            "Host '%s': not ready now: %s", host(j), f->away_hosts);
}

static int compare(const void *a, const void *b) {
    const struct rehearsal_verdict *x = a, *y = b;
    if (x->is_blocker != y->is_blocker)
        return x->is_blocker ? -1 : 1;
    return (int)x->code - (int)y->code;
}

void rehearsal_judge(const struct rehearsal_facts *f, struct rehearsal_verdicts *ret) {
    struct judge j = {f, ret};
    *ret = (struct rehearsal_verdicts){0};
    judge_boot(&j);
    judge_paths(&j);
    judge_certificate(&j);
    judge_clock(&j);
    judge_disk(&j);
    judge_pool(&j);
    if (ret->n)
        qsort(ret->items, ret->n, sizeof(*ret->items), compare);
}

char *rehearsal_line(const struct rehearsal_verdict *v) {
    char code[REHEARSAL_CODE_SIZE];
    rehearsal_code_text(v->code, code);
    return *v->cure ? strf("%s: %s; cure: %s", code, v->text, v->cure) : strf("%s: %s", code, v->text);
}
