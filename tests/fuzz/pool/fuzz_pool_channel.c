/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a peer says on the pool channel, to a coordinator and to a member. The first byte says which this host is (bit
 * 0), and whether the peer is known from the start (bit 1). Then messages, a line each; "$S" "$A" "$B" "$C" stand for
 * this host, the host that speaks, another member and the coordinator. A line that begins with '!' lets seconds pass,
 * as many as it is long.
 * The connection itself leads nowhere. Whatever comes: no call is answered twice or by another host than the one that
 * was asked.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "channel_fake.h"
#include "loop/loop_sim.h"
#include "pool/pool_channel_private.h"

#define MAX_LINES 32

static const struct uuid self = {{1}}, speaker = {{2}}, other = {{3}}, leader = {{4}};

/* ---- the pool around it ---- */
static bool admit(const struct uuid *host, const char *fingerprint, const struct value *hello_facts, int64_t skew_ms,
                  struct value *facts, void *userdata, struct error **errp) {
    const char *say = value_map_str(hello_facts, "refuse");
    if (say)
        error_set(errp, ERR_POOL_CALL_FAILED, say, NULL);
    return !say;
}

static void welcomed(const struct uuid *coordinator, const struct value *facts, int64_t skew_ms, void *userdata) {
    (void)value_map_str(facts, "authority");
}

static void refused(const struct error *e, const struct value *facts, const char *certified, void *userdata) {
    if (!error_code(e) || facts->type != VALUE_MAP)
        abort();
}

static bool knocked(const struct uuid *host, int64_t epoch, const char *certified, const char *key_fingerprint,
                    const char *address, void *userdata) {
    return epoch > 0;
}

static void liveness(const struct uuid *host, bool alive, const char *reason, void *userdata) {
    if (!*reason)
        abort();
}

static const struct pool_channel_callbacks callbacks = {
    .admit = admit, .welcomed = welcomed, .refused = refused, .knocked = knocked, .liveness = liveness};

/* Answers with what it was asked, or says that it cannot. */
static void serve_echo(const struct uuid *from, const struct value *args, struct pool_reply *reply, void *userdata) {
    struct error *e = NULL;
    if (args->type == VALUE_MAP) {
        pool_reply_return(reply, value_copy(args));
        return;
    }
    error_set(&e, ERR_POOL_CALL_FAILED, "echo", "no map", NULL);
    pool_reply_fail(reply, e);
}

struct question {
    unsigned n_answers;
    bool by_other_only; /* the peer that speaks was not asked */
};

static void answered(const struct value *result, const struct error *error, void *userdata) {
    struct question *q = userdata;
    if (++q->n_answers > 1 || (!result) == (!error) || (q->by_other_only && result))
        abort();
}

/* ---- one input ---- */
static void expand(struct buf *out, const char *text, size_t size) {
    for (size_t i = 0; i < size; i++) {
        char next = i + 1 < size ? text[i + 1] : '\0', id[UUID_TEXT_SIZE];
        const struct uuid *u = text[i] != '$' ? NULL
                               : next == 'S'  ? &self
                               : next == 'A'  ? &speaker
                               : next == 'B'  ? &other
                               : next == 'C'  ? &leader
                                              : NULL;
        if (u) {
            buf_add_str(out, uuid_text(u, id));
            i++;
        } else {
            buf_add_char(out, text[i]);
        }
    }
}

static void say(const char *line, size_t size) {
    _cleanup_buf_ struct buf text = BUF_INIT;
    expand(&text, line, size);
    channel_fake_say(buf_str(&text), text.size);
}

static void say_text(const char *line) {
    say(line, strlen(line));
}

static void say_known(bool is_member) {
    say_text(is_member ? "{\"t\":\"welcome\",\"host\":\"$A\",\"wall\":0,\"facts\":{}}"
                       : "{\"t\":\"hello\",\"host\":\"$A\",\"version\":1,\"wall\":0,\"facts\":{}}");
}

static void arrive(struct pool_channel *c, struct loop_sim *sim, bool is_member) {
    if (is_member) {
        pool_channel_connect(c, "10.0.0.2");
        loop_sim_advance(sim, 10);
    } else {
        channel_fake_accept();
    }
}

static void talk(struct pool_channel *c, struct loop_sim *sim, const char *text, size_t size) {
    const char *end = text + size;
    for (unsigned n = 0; text < end && n < MAX_LINES; n++) {
        const char *line_end = memchr(text, '\n', (size_t)(end - text));
        size_t len = (size_t)((line_end ? line_end : end) - text);
        if (len && *text == '!')
            loop_sim_advance(sim, MIN(len, (size_t)20) * 1000);
        else
            say(text, len);
        loop_sim_advance(sim, 25);
        text += MIN(len + 1, (size_t)(end - text));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    log_set_level(LOG_LEVEL_ERR);
    bool is_member = data[0] & 1, is_known = data[0] & 2;
    struct loop_sim *sim = loop_sim_new(1);
    struct loop *loop = loop_sim_loop(sim);
    struct db *db = db_new(loop);
    struct pool_channel_config config = {
        .loop = loop, .db = db, .self = self, .cert_path = "", .key_path = "", .ca_path = "", .callbacks = &callbacks};
    struct pool_channel *c = pool_channel_new(&config);
    struct question asked = {0}, asked_other = {.by_other_only = !is_member};
    struct error *e = NULL;
    channel_fake_begin(/* sent= */ NULL, NULL);
    pool_channel_serve(c, "echo", serve_echo, NULL);
    if (!pool_channel_listen(c, "::", &e))
        abort();
    pool_channel_expect(c, &other, is_member ? 0 : 1, /* assume_alive= */ true);
    if (!is_member) {
        channel_fake_accept(); /* another member, who then says nothing more */
        say_text("{\"t\":\"hello\",\"host\":\"$B\",\"version\":1,\"wall\":0,\"facts\":{}}");
    }
    arrive(c, sim, is_member);
    if (is_known) {
        say_known(is_member);
        pool_channel_call(c, &speaker, "ask", value_map(), 5000, answered, &asked);
        pool_channel_call(c, &other, "ask", value_map(), 5000, answered, &asked_other);
    }
    talk(c, sim, (const char *)data + 1, size - 1);
    loop_sim_advance(sim, 6000);
    if (is_known && (asked.n_answers != 1 || asked_other.n_answers != 1))
        abort();
    pool_channel_free(c);
    db_free(db);
    loop_free(loop);
    loop_sim_free(sim);
    return 0;
}
