/* SPDX-License-Identifier: Apache-2.0 */
/* Faults of the storage array. */
#include "lab/lab_verbs.h"

#include <stdio.h>

#include "base/str.h"
#include "lab/lab_array.h"
#include "lab/lab_monitor.h"
#include "lab/lab_net.h"
#include "lab/lab_ns.h"
#include "lab/lab_root.h"

#define TIMEOUT_MS 120000

static bool in_array(const struct lab *lab, const char *script, struct error **errp) {
    const char *const argv[] = {"sh", "-ec", script, NULL};
    struct ns_command command = {.argv = argv, .fds = {-1, -1, -1}};
    if (!node_init(lab, TOPO_ARRAY, &command.init, errp))
        return false;
    int code = ns_exec(lab, &command, errp);
    if (code > 0)
        error_setf(errp, LAB_ERROR, "The array did not do it (code %d).", code);
    return code == 0;
}

static bool switch_power(const struct lab *lab, bool on, struct error **errp) {
    struct node node;
    /* A machine without power answers nothing, not even with a reset: its cable goes dark first. */
    if (!lab_node(lab, TOPO_ARRAY, &node, errp) || !net_link_set(lab, TOPO_ARRAY, "eth0", on, errp))
        return false;
    return monitor_request(lab, &node, 1, on ? "power-on" : "power-cut", TIMEOUT_MS, errp);
}

/* By rate, not by delay: a token bucket is in every kernel, a delay (netem) is not. */
static bool limit_rate(const struct lab *lab, int64_t kbit, struct error **errp) {
    _cleanup_free_ char *script =
        kbit ? strf("tc qdisc replace dev eth0 root tbf rate %lldkbit burst 32k latency 10s", (long long)kbit)
             : xstrdup("tc qdisc del dev eth0 root 2>/dev/null || true");
    return in_array(lab, script, errp);
}

static bool run(const struct lab *lab, const char *what, int64_t kbit, struct error **errp) {
    if (str_eq(what, "stop") || str_eq(what, "start"))
        return switch_power(lab, str_eq(what, "start"), errp);
    if (str_eq(what, "slow") || str_eq(what, "fast"))
        return limit_rate(lab, str_eq(what, "slow") ? kbit : 0, errp);
    if (str_eq(what, "full"))
        return in_array(
            lab,
            "f=" ROOT_ARRAY_DIR "/fill; fallocate -l \"$(df --output=avail -B1 " ROOT_ARRAY_DIR
            " | tail -1)\" $f 2>/dev/null || true\n"
            "dd if=/dev/zero of=$f oflag=append conv=notrunc bs=4k 2>/dev/null || true; sync -f " ROOT_ARRAY_DIR,
            errp);
    if (str_eq(what, "free"))
        return in_array(lab, "rm -f " ROOT_ARRAY_DIR "/fill; sync -f " ROOT_ARRAY_DIR, errp);
    return in_array(lab,
                    "echo NFS: " TOPO_ARRAY_ADDRESS ":" ARRAY_EXPORT "; ls -l " ARRAY_EXPORT "; df -h " ROOT_ARRAY_DIR
                    "; echo; echo iSCSI: " TOPO_ARRAY_ADDRESS ":3260 " ARRAY_TARGET
                    "; tgtadm --lld iscsi --op show --mode target; tc qdisc show dev eth0",
                    errp);
}

int verb_storage(const struct verb_context *c, int argc, char **argv) {
    static const char *const words[] = {"stop", "start", "slow", "fast", "full", "free", "show"};
    _cleanup_error_ struct error *err = NULL;
    int64_t kbit = 1000;
    bool known = false;
    for (size_t i = 0; argc > 0 && i < ARRAY_SIZE(words); i++)
        known |= str_eq(words[i], argv[0]);
    if (!known || argc > 2 || (argc == 2 && !str_eq(argv[0], "slow")))
        return verb_misuse("storage", "It needs one of stop, start, slow, fast, full, free, show.");
    if (argc == 2 && !str_parse_int(argv[1], 8, 10000000, &kbit))
        return verb_misuse("storage", "slow takes kilobits a second, from 8 to 10000000.");
    _cleanup_lab_ struct lab *lab = lab_open(c->dir, /* lock= */ false, &err);
    if (!lab)
        return verb_fail(err);
    if (!lab->has_storage) {
        error_setf(&err, LAB_ERROR, "This lab has no storage array. Start one with: muster-lab up --storage");
        return verb_fail(err);
    }
    if (!run(lab, argv[0], kbit, &err))
        return verb_fail(err);
    lab_say("the storage array: %s", argv[0]);
    return 0;
}
