/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the network agent as the daemon does, for one wanted configuration, against this host's kernel and switch.
 *   agent_run NET_DIR RUN_DIR NETBOOT POOL CHECKPOINT_MS [WANTED.json]
 * POOL: yes (confirms), no (refuses), silent. Prints the outcome and its sentence, and what is found by hand-made
 * changes, until standard input is closed; each line of input asks for another configuration (its file) or, as
 * "!yes" and so on, changes what the pool does.
 */
#define LOG_MODULE "agent"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "link/link.h"
#include "net/net_agent.h"

#include <stdio.h>

static struct loop *loop;
static struct net_agent *agent;
static const char *pool;
static char pool_text[16];
static char last[1024];

static void confirm(struct net_agent *a, uint64_t token, const char *hash, void *userdata) {
    if (!str_eq(pool, "silent"))
        net_agent_confirmed(a, token, str_eq(pool, "yes") ? NULL : "the coordinator does not hear this host");
}

static void publish(struct net_agent *a, const struct net_agent_state *s, void *userdata) {
    _cleanup_buf_ struct buf line = BUF_INIT;
    buf_addf(&line, "%s", net_outcome_text(s->outcome));
    for (size_t i = 0; i < s->n_facts; i++)
        buf_addf(&line, " %s=%d%s", s->facts[i].name, s->facts[i].mtu, s->facts[i].carrier ? "" : "!");
    for (size_t i = 0; i < s->problems->n; i++) {
        char code[NET_FAULT_CODE_SIZE];
        buf_addf(&line, " %s", net_fault_code_text(s->problems->items[i].code, code));
    }
    buf_addf(&line, ": %s", s->sentence);
    if (str_eq(buf_str(&line), last))
        return;
    (void)str_copy(last, sizeof last, buf_str(&line));
    printf("%s\n", last);
    fflush(stdout);
}

static void want(const char *file) {
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct error *e = NULL;
    struct net_config *c = NULL;
    if (fs_read(file, NET_CONFIG_MAX_SIZE, &text) == 0)
        c = net_config_from_json(buf_str(&text), text.size, &e);
    if (c)
        net_agent_want(agent, c);
    else
        printf("cannot read %s: %s\n", file, e ? error_text(e) : "");
    error_free(e);
    net_config_free(c);
}

static void on_input(struct loop_source *s, int fd, unsigned events, void *userdata) {
    char line[512];
    ssize_t n = read(fd, line, sizeof line - 1);
    if (n <= 0) {
        loop_quit(loop, 0);
        return;
    }
    while (n > 0 && line[n - 1] == '\n')
        n--;
    line[n] = 0;
    if (line[0] == '!') {
        (void)str_copy(pool_text, sizeof pool_text, line + 1);
        pool = pool_text;
    } else if (str_eq(line, "retry"))
        net_agent_retry(agent);
    else
        want(line);
}

int main(int argc, char *argv[]) {
    int64_t checkpoint_ms;
    if (argc < 6 || !str_parse_int(argv[5], 1, 600000, &checkpoint_ms))
        return 2;
    log_init("agent_run", LOG_LEVEL_INFO);
    pool = argv[4];
    loop = loop_new();
    struct worker *worker = worker_new(loop, 1);
    struct link *link = NULL;
    struct error *e = NULL;
    struct ovs *ovs = ovs_db_open(NULL, 5000, &e);
    if (!ovs || link_kernel_open(&link) < 0)
        return 1;
    static const struct net_agent_owner owner = {.confirm = confirm, .publish = publish};
    struct net_agent_setup setup = {.loop = loop,
                                    .worker = worker,
                                    .link = link,
                                    .ovs = ovs,
                                    .net_dir = argv[1],
                                    .run_dir = argv[2],
                                    .netboot_path = argv[3],
                                    .resolv_conf = getenv("MUSTER_RESOLV_CONF"),
                                    .checkpoint_ms = (uint64_t)checkpoint_ms,
                                    .watch = true,
                                    .owner = &owner};
    agent = net_agent_new(&setup);
    struct loop_source *input = loop_add_fd(loop, 0, LOOP_READ, on_input, NULL);
    if (argc > 6)
        want(argv[6]);
    int r = loop_run(loop);
    loop_source_free(input);
    worker_free(worker);
    net_agent_free(agent);
    link_free(link);
    ovs_free(ovs);
    loop_free(loop);
    return r;
}
