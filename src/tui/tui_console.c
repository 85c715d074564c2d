/* SPDX-License-Identifier: Apache-2.0 */
#include "tui/tui_console.h"

#include <signal.h>
#include <stdio.h>

#include "loop/worker.h"
#include "model/model.h"
#include "tui/tui_disk.h"
#include "tui/tui_draw.h"
#include "tui/tui_pool.h"
#include "tui/tui_work.h"
#include "wire/http_client.h"

#define ROUND_MS 2000
#define LATE_MS 6000 /* an answer of the daemon that takes longer is late, and its disk is shown instead */
#define N_THREADS 4  /* disk, LLDP, daemon, an action: none waits for another */

struct look_disk {
    struct tui_console *t;
    struct tui_lldp lldp;
    struct tui_disk *disk;
};

struct look_pool {
    struct tui_console *t;
    char host_uuid[40];
    struct tui_pool *pool;
    char *trouble; /* "!..." when it answers with an error */
};

struct look_lldp {
    struct tui_console *t;
    struct tui_lldp lldp;
};

struct tui_console {
    struct loop *loop;
    struct worker *worker;
    struct loop_source *timer;
    struct tui_places places;
    struct tui_state state;
    struct tui_disk *disk;
    struct tui_pool *pool;
    char *pool_trouble;
    struct tui_lldp lldp;
    struct client *client; /* belongs to the job that asks the daemon */
    bool is_asking_disk, is_asking_pool, is_asking_lldp;
    uint64_t asked_pool_ms;
    struct tui_work *work; /* lent to the worker while it runs */
    volatile sig_atomic_t interrupt_looks, interrupt_work;
    unsigned n_interrupts;
    bool is_ending;
};

/* ---- looking ---- */
static void run_disk(void *data) {
    struct look_disk *l = data;
    l->disk = tui_disk_read(&l->t->places, &l->lldp);
}

static void run_lldp(void *data) {
    struct look_lldp *l = data;
    l->lldp.n = lldp_read(l->lldp.items);
}

static struct tui_pool *ask_pool(struct client **c, const char *host_uuid, const volatile sig_atomic_t *interrupt,
                                 char **ret_trouble) {
    struct client_config config = {.interrupt = interrupt};
    struct error *e = NULL;
    if (!*c)
        *c = client_open(&config, &e);
    struct tui_pool *p = *c ? tui_pool_read(*c, host_uuid, &e) : NULL;
    if (p)
        return p;
    bool is_silent = error_is(e, ERR_WIRE_CONNECT);
    const struct error_def *def = model_error_by_code(error_code(e));
    size_t last = error_n_params(e);
    *ret_trouble = is_silent ? xstrdup(error_param(e, last ? last - 1 : 0))
                             : strf("!%s%s%s", def ? def->text : error_code(e), last ? " " : "", error_param(e, 0));
    error_free(e);
    client_free(*c); /* the next look connects anew */
    *c = NULL;
    return NULL;
}

static void run_pool(void *data) {
    struct look_pool *l = data;
    l->pool = ask_pool(&l->t->client, l->host_uuid, &l->t->interrupt_looks, &l->trouble);
}

static unsigned late_s(struct tui_console *t) {
    uint64_t since = t->is_asking_pool ? loop_now_ms(t->loop) - t->asked_pool_ms : 0;
    return since >= LATE_MS ? (unsigned)(since / 1000) : 0;
}

static struct tui_facts facts_of(struct tui_console *t) {
    return (struct tui_facts){.disk = t->disk, .pool = t->pool, .pool_trouble = t->pool_trouble, .late_s = late_s(t)};
}

static void draw(struct tui_console *t) {
    struct tui_facts f = facts_of(t);
    unsigned rows, columns;
    if (t->is_ending)
        return;
    tui_draw_size(&rows, &columns);
    struct tui_frame frame = tui_frame_make(&t->state, &f, rows, columns);
    tui_draw_frame(&frame);
    tui_frame_done(&frame);
}

static void done_lldp(void *data) {
    struct look_lldp *l = data;
    l->t->lldp = l->lldp;
    l->t->is_asking_lldp = false;
    free(l);
}

static void done_pool(void *data) {
    struct look_pool *l = data;
    struct tui_console *t = l->t;
    tui_pool_free(t->pool);
    free(t->pool_trouble);
    t->pool = l->pool;
    t->pool_trouble = l->trouble;
    t->is_asking_pool = false;
    free(l);
    draw(t);
}

static void look_at_pool(struct tui_console *t) {
    if (t->is_asking_pool)
        return;
    struct look_pool *l = xnew0(struct look_pool);
    l->t = t;
    str_copy(l->host_uuid, sizeof(l->host_uuid), t->disk ? t->disk->host_uuid : "");
    t->is_asking_pool = true;
    t->asked_pool_ms = loop_now_ms(t->loop);
    worker_submit(t->worker, "pool", run_pool, done_pool, l);
}

static void done_disk(void *data) {
    struct look_disk *l = data;
    struct tui_console *t = l->t;
    bool is_first = !t->disk;
    tui_disk_free(t->disk);
    t->disk = l->disk;
    t->is_asking_disk = false;
    free(l);
    if (is_first && !t->is_ending)
        look_at_pool(t); /* the disk says which host this is */
    draw(t);
}

static void look(struct tui_console *t) {
    if (!t->is_asking_lldp) {
        struct look_lldp *l = xnew0(struct look_lldp);
        l->t = t;
        t->is_asking_lldp = true;
        worker_submit(t->worker, "lldp", run_lldp, done_lldp, l);
    }
    if (!t->is_asking_disk) {
        struct look_disk *l = xnew0(struct look_disk);
        l->t = t;
        l->lldp = t->lldp;
        t->is_asking_disk = true;
        worker_submit(t->worker, "disk", run_disk, done_disk, l);
    }
    if (t->disk)
        look_at_pool(t);
}

static void on_timer(struct loop_source *s, void *userdata) {
    struct tui_console *t = userdata;
    loop_timer_set(s, ROUND_MS);
    look(t);
    if (late_s(t))
        draw(t);
}

/* ---- doing ---- */
static void run_prepare(void *data) {
    struct tui_work *w = data;
    w->action->prepare(w);
}

static void run_action(void *data) {
    struct tui_work *w = data;
    w->action->run(w);
}

/* One console per program: jobs need no way back of their own. */
static struct tui_console *the_console;

static void end_work(void (*told)(struct tui_state *s, struct tui_work *w), struct tui_work *w) {
    struct tui_console *t = the_console;
    told(&t->state, w);
    tui_work_free(w);
    t->work = NULL;
    if (t->is_ending)
        return;
    look(t);
    draw(t);
}

static void done_prepare(void *data) {
    end_work(tui_state_prepared, data);
}

static void done_action(void *data) {
    end_work(tui_state_ran, data);
}

static void start_work(struct tui_console *t, bool is_prepare) {
    struct tui_facts f = facts_of(t);
    struct tui_work *w = tui_work_new(t->state.action, &f);
    memcpy(w->values, t->state.values, sizeof(w->values));
    w->is_forced = t->state.has_blockers;
    w->interrupt = &t->interrupt_work;
    t->interrupt_work = 0;
    t->n_interrupts = 0;
    t->work = w;
    worker_submit(t->worker, "work", is_prepare ? run_prepare : run_action, is_prepare ? done_prepare : done_action, w);
}

/* ---- keys ---- */
static void quit(struct tui_console *t) {
    loop_quit(t->loop, 0);
}

static void on_key(struct tui_console *t, enum tui_key key, char c) {
    struct tui_facts f = facts_of(t);
    if (key == TUI_KEY_REDRAW) {
        tui_draw_again();
        return;
    }
    switch (tui_state_key(&t->state, &f, key, c)) {
    case TUI_NOTHING:
        break;
    case TUI_QUIT:
        quit(t);
        break;
    case TUI_REFRESH:
        look(t);
        break;
    case TUI_PREPARE:
        start_work(t, /* is_prepare= */ true);
        break;
    case TUI_RUN:
        start_work(t, /* is_prepare= */ false);
        break;
    case TUI_INTERRUPT:
        t->interrupt_work = 1;
        if (++t->n_interrupts > 1) { /* it does not heed: the program that it runs goes on by itself */
            tui_draw_end();
            _exit(1);
        }
        break;
    }
}

static void on_input(struct loop_source *s, int fd, unsigned events, void *userdata) {
    struct tui_console *t = userdata;
    enum tui_key key;
    char c;
    if (events & LOOP_HANGUP) {
        quit(t);
        return;
    }
    while ((key = tui_draw_key(&c)) != TUI_KEY_NONE)
        on_key(t, key, c);
    draw(t);
}

static void on_signal(struct loop_source *s, int signo, void *userdata) {
    struct tui_console *t = userdata;
    if (signo == SIGWINCH)
        tui_draw_resize();
    else if (signo == SIGINT)
        on_key(t, TUI_KEY_INTERRUPT, 0);
    else
        quit(t);
    draw(t);
}

int tui_console_run(void) {
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH};
    struct loop_source *sources[ARRAY_SIZE(signals)];
    struct tui_console t = {.loop = loop_new(), .places = tui_places()};
    the_console = &t;
    tui_state_init(&t.state);
    for (unsigned i = 0; i < ARRAY_SIZE(signals); i++) /* before any thread, which would take them */
        sources[i] = loop_add_signal(t.loop, signals[i], on_signal, &t);
    if (!tui_draw_begin()) {
        const char *term = getenv("TERM");
        fprintf(stderr, "muster-console: a terminal '%s' is not known here; try TERM=vt100\n", str_or_empty(term));
        return 1;
    }
    atexit(tui_draw_end);
    t.worker = worker_new(t.loop, N_THREADS);
    struct loop_source *input = loop_add_fd(t.loop, STDIN_FILENO, LOOP_READ, on_input, &t);
    t.timer = loop_add_timer(t.loop, ROUND_MS, on_timer, &t);
    look(&t);
    draw(&t);
    if (input)
        loop_run(t.loop);
    t.is_ending = true;
    t.interrupt_looks = t.interrupt_work = 1;
    tui_draw_end();
    worker_free(t.worker);
    client_free(t.client);
    loop_source_free(input);
    loop_source_free(t.timer);
    for (unsigned i = 0; i < ARRAY_SIZE(signals); i++)
        loop_source_free(sources[i]);
    loop_free(t.loop);
    tui_state_done(&t.state);
    tui_disk_free(t.disk);
    tui_pool_free(t.pool);
    free(t.pool_trouble);
    return 0;
}

static volatile sig_atomic_t is_out_of_time;

static void on_alarm(int signo) {
    is_out_of_time = 1;
}

int tui_console_dump(unsigned screen, unsigned width) {
    struct tui_places places = tui_places();
    struct tui_lldp lldp = {.n = 0};
    struct client *client = NULL;
    char *trouble = NULL;
    struct sigaction alarm_action = {.sa_handler = on_alarm}; /* without SA_RESTART: a read is broken off */
    sigaction(SIGALRM, &alarm_action, NULL);
    alarm(LATE_MS / 1000);
    lldp.n = lldp_read(lldp.items);
    struct tui_disk *disk = tui_disk_read(&places, &lldp);
    is_out_of_time = 0;
    alarm(LATE_MS / 1000);
    struct tui_pool *pool = ask_pool(&client, disk->host_uuid, &is_out_of_time, &trouble);
    struct tui_facts f = {.disk = disk, .pool = pool, .pool_trouble = trouble};
    if (!pool && is_out_of_time)
        f.late_s = LATE_MS / 1000;
    struct tui_page p = tui_page_new(width);
    tui_screen_page(&tui_screens[screen], &f, /* selected= */ -1, &p);
    for (size_t i = 0; i < p.n; i++)
        printf("%s\n", p.lines[i].text);
    tui_page_done(&p);
    client_free(client);
    tui_pool_free(pool);
    tui_disk_free(disk);
    free(trouble);
    return fflush(stdout) == 0 ? 0 : 1;
}
