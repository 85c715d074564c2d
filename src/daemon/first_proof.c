/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/first_proof.h"

#include "daemon/first_proof_core.h"

struct first_proof {
    struct loop *loop;
    struct probing *probing;
    struct faults *faults;
    struct loop_source *look; /* at once, or at the next deadline */
    struct db_watch *hosts;   /* what peers have measured is in their rows; NULL: it has ended */
    uint64_t since_ms;
    bool is_measured_out, is_measured_in;
    first_proof_ended_fn *ended;
    void *userdata;
};

static void end(struct first_proof *f) {
    db_watch_free(TAKE(f->hosts));
    faults_on_look(f->faults, NULL, NULL);
    loop_timer_set(f->look, LOOP_NEVER);
}

static void on_look(struct loop_source *s, void *userdata) {
    struct first_proof *f = userdata;
    bool was_measured_in = f->is_measured_in;
    /* Asked anew each time: what peers knew of this host's last life they forget while this goes on. */
    f->is_measured_in = f->is_measured_out && probing_is_measured(f->probing);
    if (f->is_measured_in && !was_measured_in)
        probing_tell(f->probing); /* the verdict is that over what has just come */
    struct first_proof_facts facts = {.waited_ms = loop_now_ms(f->loop) - f->since_ms,
                                      .is_measured_out = f->is_measured_out,
                                      .is_measured_in = f->is_measured_in,
                                      .is_settling = faults_is_settling(f->faults),
                                      .is_unexplained = !probing_is_explained(f->probing)};
    if (first_proof_has_ended(&facts)) {
        end(f);
        f->ended(f->userdata);
    } else if (f->is_measured_out) {
        uint64_t deadline = facts.waited_ms < FIRST_PROOF_MS ? FIRST_PROOF_MS : FIRST_PROOF_VERDICT_MS;
        loop_timer_set(f->look, deadline - facts.waited_ms);
    }
}

static void look_soon(void *userdata) {
    struct first_proof *f = userdata;
    if (f->is_measured_out && f->hosts)
        loop_timer_set(f->look, 0);
}

static void on_row(struct db *d, enum db_event event, const struct row *r, void *userdata) {
    look_soon(userdata);
}

static void on_measured(const struct probing_result *r, void *userdata) {
    struct first_proof *f = userdata;
    f->is_measured_out = true; /* or as much of it as there was time for */
    probing_tell(f->probing);
    look_soon(f);
}

struct first_proof *first_proof_new(struct loop *l, struct db *d, struct probing *p, struct faults *faults,
                                    first_proof_ended_fn *ended, void *userdata) {
    struct first_proof *f = xnew0(struct first_proof);
    *f = (struct first_proof){
        .loop = l, .probing = p, .faults = faults, .since_ms = loop_now_ms(l), .ended = ended, .userdata = userdata};
    f->look = loop_add_timer(l, LOOP_NEVER, on_look, f);
    f->hosts = db_watch_add(d, CLASS_host, on_row, f);
    faults_on_look(faults, look_soon, f);
    probing_prove(p, FIRST_PROOF_MS, on_measured, f);
    return f;
}

void first_proof_free(struct first_proof *f) {
    if (!f)
        return;
    if (f->hosts)
        end(f);
    loop_source_free(f->look);
    free(f);
}
