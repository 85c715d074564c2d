/* SPDX-License-Identifier: Apache-2.0 */
/* The things that happen: each draws whom, how and for how long from the story's luck, and undoes itself. */
#include <stdio.h>
#include <string.h>

#include "sim_checks.h"
#include "sim_story.h"

static struct {
    const char *only;
    uint64_t mask;       /* of the table: what this seed plays */
    unsigned generation; /* what was to end later is void once everything was healed */
} acts;

uint64_t story_luck(uint64_t below) {
    return below ? loop_sim_random(sim->clock) % below : 0;
}

static unsigned ms_between(unsigned least, unsigned most) {
    return least + (unsigned)story_luck(most - least + 1);
}

/* ---- undoing ---- */
struct undo {
    struct loop_source *timer;
    unsigned generation, a, b;
    void (*fn)(unsigned a, unsigned b);
};

static void on_undo(struct loop_source *t, void *userdata) {
    struct undo *u = userdata;
    loop_source_free(t);
    if (u->generation == acts.generation)
        u->fn(u->a, u->b);
    free(u);
}

static void undo_after(unsigned ms, void (*fn)(unsigned a, unsigned b), unsigned a, unsigned b) {
    struct undo *u = xnew0(struct undo);
    *u = (struct undo){.generation = acts.generation, .a = a, .b = b, .fn = fn};
    u->timer = loop_add_timer(sim->loop, ms, on_undo, u);
}

static struct sim_host *any_host(void) {
    return &sim->hosts[story_luck(sim->n_hosts)];
}

static void touched(unsigned a, unsigned b) {
    checks_note_fault(a);
    checks_note_fault(b);
}

/* ---- hosts ---- */
static void power_on(unsigned a, unsigned b) {
    sim_say("power of h%u is back", a);
    sim_power_on(&sim->hosts[a]);
    checks_note_fault(a);
}

static bool act_power(void) {
    struct sim_host *h = any_host();
    if (!h->powered)
        return false;
    unsigned ms = ms_between(1000, 45000);
    sim_say("power of %s is cut for %u ms", h->name, ms);
    sim_power_cut(h);
    checks_note_fault(h->i);
    undo_after(ms, power_on, h->i, 0);
    return true;
}

/* The electricity of the room: several at once. */
static bool act_blackout(void) {
    unsigned ms = ms_between(1000, 8000);
    sim_say("power of all is cut for %u ms and more", ms);
    for (unsigned i = 0; i < sim->n_hosts; i++)
        if (sim->hosts[i].powered) {
            sim_power_cut(&sim->hosts[i]);
            undo_after(ms + ms_between(0, 15000), power_on, i, 0);
        }
    checks_note_all();
    return true;
}

static void daemon_on(unsigned a, unsigned b) {
    sim_daemon_start(&sim->hosts[a]);
}

static bool act_daemon(void) {
    struct sim_host *h = any_host();
    if (!h->daemon)
        return false;
    sim_say("daemon of %s is killed", h->name);
    sim_daemon_kill(h);
    checks_note_fault(h->i);
    undo_after(ms_between(100, 3000), daemon_on, h->i, 0);
    return true;
}

static bool act_database(void) {
    struct sim_host *h = any_host();
    if (h->server->mode == SERVER_DOWN)
        return false;
    sim_say("database server of %s is killed", h->name);
    server_stop(h->server);
    checks_note_fault(h->i);
    return true;
}

static bool act_reboot(void) {
    struct sim_host *h = any_host();
    if (!h->daemon || h->daemon->going_down || !host_is_ready(h))
        return false;
    sim_say("%s is rebooted", h->name);
    checks_note_fault(h->i);
    sim_reboot(h);
    return true;
}

static void goes_on(unsigned a, unsigned b) {
    checks_note_stall(a);
}

static bool act_stall(void) {
    struct sim_host *h = any_host();
    unsigned ms = ms_between(300, 9000);
    if (!h->daemon)
        return false;
    sim_say("%s stands still for %u ms", h->name, ms);
    sim_stall(h, ms);
    checks_note_stall(h->i);
    undo_after(ms, goes_on, h->i, 0);
    return true;
}

static void speed_up(unsigned a, unsigned b) {
    sim->hosts[a].slow_ms = 0;
    checks_note_fault(a);
}

static bool act_slow(void) {
    struct sim_host *h = any_host();
    h->slow_ms = ms_between(50, 1500);
    sim_say("disk of %s is slow (%u ms)", h->name, h->slow_ms);
    checks_note_fault(h->i);
    undo_after(ms_between(5000, 30000), speed_up, h->i, 0);
    return true;
}

static void disk_free(unsigned a, unsigned b) {
    sim->hosts[a].disk_full = false;
}

static bool act_disk_full(void) {
    struct sim_host *h = any_host();
    sim_say("disk of %s is full", h->name);
    h->disk_full = true;
    undo_after(ms_between(2000, 20000), disk_free, h->i, 0);
    return true;
}

static bool act_clock(void) {
    struct sim_host *h = any_host();
    h->wall_offset_ms = (int64_t)story_luck(1200000) - 600000;
    sim_say("clock of %s jumps to %+lld ms", h->name, (long long)h->wall_offset_ms);
    if (h->daemon)
        loop_set_wall_offset_ms(h->daemon->loop, h->wall_offset_ms);
    return true;
}

/* ---- ways ---- */
static void way_mend(unsigned a, unsigned b) {
    sim->path[a][b] = (struct sim_path){0};
    touched(a, b);
}

static void way_cut(unsigned a, unsigned b, unsigned ms) {
    sim->path[a][b].cut = true;
    touched(a, b);
    undo_after(ms, way_mend, a, b);
}

static bool act_partition(void) {
    unsigned ms = ms_between(2000, 50000), side = (unsigned)story_luck((1u << sim->n_hosts) - 2) + 1;
    sim_say("the network falls apart for %u ms: hosts of mask %x here", ms, side);
    for (unsigned a = 0; a < sim->n_hosts; a++)
        for (unsigned b = 0; b < sim->n_hosts; b++)
            if (((side >> a) & 1) != ((side >> b) & 1))
                way_cut(a, b, ms);
    return true;
}

static bool act_isolate(void) {
    unsigned a = any_host()->i, ms = ms_between(1000, 40000);
    sim_say("h%u is cut off for %u ms", a, ms);
    for (unsigned b = 0; b < sim->n_hosts; b++)
        if (a != b) {
            way_cut(a, b, ms);
            way_cut(b, a, ms);
        }
    return true;
}

static bool act_one_way(void) {
    unsigned a = any_host()->i, b = any_host()->i, ms = ms_between(1000, 40000);
    if (a == b)
        return false;
    sim_say("nothing passes from h%u to h%u for %u ms", a, b, ms);
    way_cut(a, b, ms);
    return true;
}

static bool act_loss(void) {
    unsigned ms = ms_between(5000, 30000);
    for (unsigned a = 0; a < sim->n_hosts; a++)
        for (unsigned b = 0; b < sim->n_hosts; b++)
            if (a != b && !story_luck(3)) {
                sim->path[a][b].loss = ms_between(20, 300);
                sim->path[a][b].delay_us = (unsigned)story_luck(200000);
                touched(a, b);
                undo_after(ms, way_mend, a, b);
            }
    sim_say("the network is bad for %u ms", ms);
    return true;
}

static void limit_gone(unsigned a, unsigned b) {
    struct sim_host *h = &sim->hosts[a];
    sim_say("the switch port of h%u passes everything again", a);
    h->limit_out = h->limit_in = SIM_MTU;
    h->limited_since_ms = 0;
}

/* A switch port with another MTU, in one direction or in both: what the pool says to itself fits through. */
static bool act_limit(void) {
    struct sim_host *h = any_host();
    unsigned ms = ms_between(5000, 60000), which = (unsigned)story_luck(3);
    if (h->limited_since_ms)
        return false;
    sim_say("the switch port of %s passes 1500 bytes only%s for %u ms", h->name,
            which == 0   ? ", from it"
            : which == 1 ? ", to it"
                         : "",
            ms);
    h->limited_since_ms = sim_now_ms();
    h->limit_out = which == 1 ? SIM_MTU : 1500;
    h->limit_in = which == 0 ? SIM_MTU : 1500;
    undo_after(ms, limit_gone, h->i, 0);
    return true;
}

/* ---- the operator ---- */
static void on_led(const struct error *error, void *userdata) {
    struct error *e = error ? error_dup(error) : NULL;
    sim_say("change of the coordinator: %s", e ? error_text(e) : "done");
    error_free(e);
}

static bool act_coordinator(void) {
    struct sim_host *c = truth_coordinator(), *h = any_host();
    if (!c || c == h || !host_is_of_pool(h))
        return false;
    sim_say("operator: %s shall coordinate instead of %s", h->name, c->name);
    checks_note_all();
    pool_set_coordinator(c->daemon->pool, sim_uuid_of(h), on_led, NULL);
    return true;
}

/* The coordinator is off, a majority of the votes is not: a member is told to lead. */
static bool act_emergency(void) {
    const struct server *leader = truth_leader();
    struct sim_host *h = any_host();
    struct uuid master;
    if (!leader || truth_coordinator() || !host_is_of_pool(h) || !db_get_status(h->daemon->db).has_quorum ||
        !uuid_parse(
            str_or_empty(json_string_value(json_array_get(json_object_get(truth_pool_row(leader), "master"), 1))),
            &master))
        return false;
    for (unsigned i = 0; i < sim->n_hosts; i++)
        if (sim->hosts[i].daemon && uuid_eq(sim_uuid_of(&sim->hosts[i]), &master))
            return false;
    sim_say("operator: emergency transition to %s", h->name);
    checks_note_all();
    pool_emergency(h->daemon->pool, NULL, on_led, NULL);
    return true;
}

static bool act_eject(void) {
    struct sim_host *h = any_host();
    return host_is_ready(h) && host_is_of_pool(h) && sim->n_hosts > 2 && operator_eject(h);
}

static bool act_gather(void) {
    (void)operator_gather();
    return true;
}

static bool act_write(void) {
    struct sim_host *h = any_host(), *c = truth_coordinator();
    writes_try(c && story_luck(4) ? c : h);
    return true;
}

static const struct act {
    const char *name;
    unsigned weight;
    bool (*fn)(void);
} table[] = {{"write", 40, act_write},
             {"power", 8, act_power},
             {"daemon", 8, act_daemon},
             {"database", 5, act_database},
             {"reboot", 6, act_reboot},
             {"stall", 5, act_stall},
             {"slow", 4, act_slow},
             {"clock", 3, act_clock},
             {"partition", 5, act_partition},
             {"isolate", 6, act_isolate},
             {"one-way", 6, act_one_way},
             {"loss", 5, act_loss},
             {"coordinator", 4, act_coordinator},
             {"emergency", 4, act_emergency},
             {"eject", 2, act_eject},
             {"gather", 6, act_gather},
             {"blackout", 1, act_blackout},
             {"disk-full", 2, act_disk_full},
             {"limit", 6, act_limit}};

void story_acts(void) {
    for (unsigned i = 0; i < ARRAY_SIZE(table); i++)
        (void)printf("%s\n", table[i].name);
}

void acts_init(const char *only) {
    acts.only = only;
    /* Every other seed plays half of the acts, and those more often: a pair of rare ones meets there. */
    acts.mask = story_luck(2) ? UINT64_MAX : loop_sim_random(sim->clock) | 1;
    acts.generation++;
}

static bool is_wanted(const struct act *a) {
    if (!acts.only)
        return acts.mask >> (a - table) & 1;
    _cleanup_strv_ struct strv names = {0};
    strv_split(&names, acts.only, ',');
    return strv_has(&names, a->name);
}

bool act_once(void) {
    unsigned total = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(table); i++)
        total += is_wanted(&table[i]) ? table[i].weight : 0;
    uint64_t at = story_luck(total);
    for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
        if (!is_wanted(&table[i]))
            continue;
        if (at < table[i].weight)
            return table[i].fn();
        at -= table[i].weight;
    }
    return false;
}

void acts_heal_all(void) {
    acts.generation++;
    sim_say("everything is mended");
    memset(sim->path, 0, sizeof(sim->path));
    for (unsigned i = 0; i < sim->n_hosts; i++) {
        struct sim_host *h = &sim->hosts[i];
        h->slow_ms = 0;
        h->disk_full = false;
        h->limit_out = h->limit_in = SIM_MTU;
        h->limited_since_ms = 0;
        h->wall_offset_ms = 0;
        if (h->daemon)
            loop_set_wall_offset_ms(h->daemon->loop, 0);
        sim_power_on(h);
        if (!h->daemon && !h->leaving && sim_now_ms() - h->on_since_ms > 3500)
            sim_daemon_start(h);
    }
    checks_note_all();
}
