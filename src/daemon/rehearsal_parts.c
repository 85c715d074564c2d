/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/rehearsal_parts.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "net/net_fault.h"

#define MAX_NOTES 64
#define CURE " Cure: " /* as net_problem_line puts it */

void rehearsal_parts_done(struct rehearsal_parts *p) {
    char *texts[] = {p->program, p->not_done, p->wanted_diff, p->database_error};
    for (unsigned i = 0; i < ARRAY_SIZE(texts); i++)
        free(texts[i]);
    value_done(&p->boot);
    value_done(&p->faults);
    value_done(&p->doubts);
    pool_outlook_done(&p->outlook);
    *p = (struct rehearsal_parts){0};
}

/* ---- what muster-netboot said ---- */
static const char *text_of(const struct value *map, const char *key) {
    const char *s = map && map->type == VALUE_MAP ? value_map_str(map, key) : NULL;
    return str_or_empty(s);
}

static bool truth_of(const struct value *map, const char *key) {
    const struct value *v = map && map->type == VALUE_MAP ? value_map_get(map, key) : NULL;
    return v && value_as_bool(v);
}

static unsigned read_notes(const struct value *boot, const char *key, struct rehearsal_note *ret) {
    const struct value *list = value_map_get(boot, key);
    unsigned n = 0;
    for (size_t i = 0; list && list->type == VALUE_SET && i < list->set.n && n < MAX_NOTES; i++) {
        const struct value *v = &list->set.items[i];
        if (v->type == VALUE_MAP)
            ret[n++] = (struct rehearsal_note){.text = text_of(v, "text"),
                                               .cure = text_of(v, "cure"),
                                               .is_management = truth_of(v, "management"),
                                               .is_less = truth_of(v, "less")};
    }
    return n;
}

/* A leg without a link is known to be less than there should be; the others carry the host. */
static void weigh_problems(const struct value *boot, struct rehearsal_note *notes, unsigned n) {
    const struct value *list = value_map_get(boot, "problems");
    char code[NET_FAULT_CODE_SIZE];
    for (unsigned i = 0; i < n; i++) {
        const char *is = text_of(&list->set.items[i], "code");
        notes[i].is_less = str_eq(is, net_fault_code_text(NET_FAULT_NO_CARRIER, code)) ||
                           str_eq(is, net_fault_code_text(NET_FAULT_MTU_REFUSED, code)) ||
                           str_eq(is, net_fault_code_text(NET_FAULT_DHCP_MTU, code)) ||
                           str_eq(is, net_fault_code_text(NET_FAULT_NIC_MOVED, code));
    }
}

/* ---- legs ---- */
struct leg_note {
    char text[700], cure[400];
};

/* The key is the code, the leg, and for a VLAN its tag: "MUSTER-N101/eth1@42". */
static bool on_management(const struct net_config *good, const char *place) {
    const struct net_bridge *m = good ? net_config_management(good) : NULL, *base = m ? net_config_base(good, m) : NULL;
    const char *at = strchr(place, '@');
    size_t n = at ? (size_t)(at - place) : strlen(place);
    int64_t tag = 0;
    if (!base || (at && (!str_parse_int(at + 1, 0, 4095, &tag) || m->purpose != NET_PURPOSE_VLAN || m->tag != tag)))
        return false;
    for (unsigned i = 0; i < base->n_legs; i++)
        if (strlen(base->legs[i]) == n && !memcmp(base->legs[i], place, n))
            return true;
    return false;
}

/* Not measured to its end, and nothing else is known of this leg. */
static unsigned read_doubts(const struct rehearsal_parts *p, const char *host, struct rehearsal_note *ret,
                            struct leg_note *texts, unsigned n) {
    for (size_t i = 0; p->doubts.type == VALUE_MAP && i < p->doubts.map.n && n < MAX_NOTES; i++) {
        const char *leg = p->doubts.map.pairs[i].key;
        bool known = false;
        for (size_t k = 0; p->faults.type == VALUE_MAP && k < p->faults.map.n; k++) {
            const char *slash = strchr(p->faults.map.pairs[k].key, '/');
            known = known || (slash && str_eq(slash + 1, leg));
        }
        if (known)
            continue;
        (void)snprintf(texts[n].text, sizeof(texts[n].text), "Host '%s': %s", host,
                       value_str(&p->doubts.map.pairs[i].value));
        ret[n] = (struct rehearsal_note){.text = texts[n].text,
                                         .cure = "run the check again in some seconds: it says then what passes",
                                         .is_management = on_management(p->good, leg)};
        n++;
    }
    return n;
}

static unsigned read_legs(const struct rehearsal_parts *p, struct rehearsal_note *ret, struct leg_note *texts) {
    unsigned n = 0;
    for (size_t i = 0; p->faults.type == VALUE_MAP && i < p->faults.map.n && n < MAX_NOTES; i++) {
        const char *key = p->faults.map.pairs[i].key, *line = value_str(&p->faults.map.pairs[i].value);
        const char *slash = strchr(key, '/'), *cure = strstr(line, CURE);
        char code[NET_FAULT_CODE_SIZE] = "";
        enum net_fault fault;
        if (!slash || (size_t)(slash - key) >= sizeof(code))
            continue;
        memcpy(code, key, (size_t)(slash - key));
        if (!net_fault_code_parse(code, &fault) || fault == NET_FAULT_PEER_DOWN)
            continue; /* another host that is away has a verdict of its own */
        struct leg_note *t = &texts[n];
        (void)snprintf(t->text, sizeof(t->text), "%.*s", cure ? (int)(cure - line) : (int)strlen(line), line);
        (void)snprintf(t->cure, sizeof(t->cure), "%s", cure ? cure + strlen(CURE) : "");
        if (str_ends(t->cure, "."))
            t->cure[strlen(t->cure) - 1] = '\0';
        ret[n++] =
            (struct rehearsal_note){.text = t->text,
                                    .cure = t->cure,
                                    .is_management = on_management(p->good, slash + 1),
                                    .is_less = fault == NET_FAULT_NO_CARRIER || fault == NET_FAULT_ISL_SIZE_LIMITED ||
                                               fault == NET_FAULT_FABRIC_SIZE_LIMITED};
    }
    return n;
}

/* ---- what starts the network at boot ---- */
#define UNITS "/etc/systemd/system"

static bool is_enabled(const char *unit) {
    DIR *d = opendir(UNITS);
    bool found = false;
    for (struct dirent *e; d && !found && (e = readdir(d));) {
        if (!str_ends(e->d_name, ".wants") && !str_ends(e->d_name, ".requires"))
            continue;
        _cleanup_free_ char *path = strf(UNITS "/%s/%s", e->d_name, unit);
        found = access(path, F_OK) == 0;
    }
    if (d)
        closedir(d);
    return found;
}

/* NULL when all is in place, or systemd does not start this machine. */
static char *look_at_units(void) {
    static const char *const units[] = {"muster-netboot.service", "muster-netboot-verify.service", "musterd.service"};
    if (!fs_exists("/run/systemd/system"))
        return NULL;
    for (unsigned i = 0; i < ARRAY_SIZE(units); i++) {
        char target[PATH_MAX];
        _cleanup_free_ char *own = strf(UNITS "/%s", units[i]);
        ssize_t n = readlink(own, target, sizeof(target) - 1);
        if (n > 0)
            target[n] = '\0';
        if (n > 0 && str_eq(target, "/dev/null"))
            return strf("the unit '%s' is masked", units[i]);
        if (!is_enabled(units[i]))
            return strf("the unit '%s' is not enabled", units[i]);
    }
    return NULL;
}

/* ---- facts ---- */
static bool has_live_peer(struct daemon *d) {
    for (const struct row *h = db_first(d->db, CLASS_host); h; h = db_next(d->db, h))
        if (!uuid_eq(&h->uuid, &d->self) && pool_host_is_live(d->pool, &h->uuid))
            return true;
    return false;
}

static const char *coordinator_name(struct daemon *d) {
    const struct row *pool = db_pool(d->db), *h = pool ? db_follow(d->db, pool, FIELD_pool_master) : NULL;
    return h ? row_str(h, FIELD_host_name_label) : pool_coordinator_address(d->pool);
}

static void add_boot(const struct rehearsal_parts *p, struct rehearsal_note *problems,
                     struct rehearsal_note *differences, struct rehearsal_facts *f) {
    const struct value *scratch = value_map_get(&p->boot, "scratch");
    f->config_error = text_of(&p->boot, "config_error");
    bool is_empty = str_eq(text_of(&p->boot, "source"), "none");
    f->no_config = is_empty ? text_of(&p->boot, "error") : "";
    if (!is_empty && !f->not_done)
        f->not_done = text_of(&p->boot, "error");
    f->is_pending = truth_of(&p->boot, "pending");
    const struct value *reset = value_map_get(&p->boot, "reset");
    f->reset_path = text_of(reset, "path");
    f->reset_words = text_of(reset, "words");
    f->reset_problem = text_of(reset, "problem");
    f->problems = problems;
    f->n_problems = read_notes(&p->boot, "problems", problems);
    if (f->n_problems)
        weigh_problems(&p->boot, problems, f->n_problems);
    f->differences = differences;
    f->n_differences = read_notes(&p->boot, "differences", differences);
    f->boot_failure = text_of(scratch, "failure");
    f->scratch_error = text_of(scratch, "error");
}

void rehearsal_parts_judge(struct daemon *d, const struct rehearsal_parts *p, struct rehearsal_verdicts *ret) {
    static struct leg_note leg_texts[MAX_NOTES];
    struct rehearsal_note problems[MAX_NOTES], differences[MAX_NOTES], legs[MAX_NOTES];
    const struct pool_outlook *o = &p->outlook;
    const struct row *own = db_get(d->db, CLASS_host, &d->self);
    char uuid[UUID_TEXT_SIZE];
    _cleanup_free_ char *unit = look_at_units();
    struct rehearsal_facts f = {.host = own ? row_str(own, FIELD_host_name_label) : "",
                                .host_uuid = uuid_text(&d->self, uuid),
                                .program = p->program,
                                .not_done = p->not_done,
                                .is_changing = p->is_changing,
                                .wanted_diff = p->wanted_diff,
                                .unit = unit,
                                .has_live_peer = has_live_peer(d),
                                .control_passes = p->proven.control_passes,
                                .legs = legs,
                                .n_legs = read_legs(p, legs, leg_texts),
                                .is_coordinator = pool_is_coordinator(d->pool),
                                .coordinator_answers = p->coordinator_answers,
                                .coordinator = coordinator_name(d),
                                .clock_known = p->clock_known,
                                .skew_ms = p->skew_ms,
                                .certificate_error = o->certificate_error,
                                .not_before = o->not_before,
                                .not_after = o->not_after,
                                .now = loop_wall_ms(d->loop) / 1000,
                                .disk = d->options.state_dir,
                                .disk_known = p->disk_known,
                                .is_read_only = p->is_read_only,
                                .free_bytes = p->free_bytes,
                                .free_inodes = p->free_inodes,
                                .identity_error = o->identity_error,
                                .database_error = p->database_error,
                                .n_hosts = o->n_hosts,
                                .n_other_live = o->n_other_live,
                                .n_voters = o->n_voters,
                                .n_voters_live = o->n_voters_live,
                                .is_voter = o->is_voter,
                                .has_majority_now = o->has_majority,
                                .can_replace = o->can_replace,
                                .away_voters = o->away_voters,
                                .away_hosts = o->away_hosts};
    f.n_legs = read_doubts(p, str_or_empty(f.host), legs, leg_texts, f.n_legs);
    if (p->boot.type == VALUE_MAP)
        add_boot(p, problems, differences, &f);
    rehearsal_judge(&f, ret);
}
