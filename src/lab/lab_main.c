/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include <string.h>

#include "base/str.h"
#include "lab/lab_args.h"
#include "lab/lab_init.h"
#include "lab/lab_monitor.h"
#include "lab/lab_verbs.h"

static volatile sig_atomic_t interrupted;

bool verb_interrupted(void) {
    return interrupted != 0;
}

static void on_signal(int signo) {
    (void)signo;
    interrupted = 1;
}

int verb_fail(struct error *err) {
    const char *text = error_param(err, 0);
    fprintf(stderr, "muster-lab: %s\n", text[0] ? text : error_text(err));
    return 1;
}

int verb_misuse(const char *verb, const char *problem) {
    const struct verb *v = verb_find(verb);
    fprintf(stderr, "muster-lab: %s\nUsage: muster-lab %s %s\n", problem, verb, v ? v->usage : "");
    return 2;
}

static void print_help(FILE *to) {
    fprintf(to,
            "Usage: muster-lab [--dir DIR] VERB [ARGUMENTS]\n\n"
            "A pool of hosts, or several, on this machine: hosts in namespaces, two switches, faults on demand.\n\n");
    for (unsigned i = 0; i < lab_n_verbs; i++)
        fprintf(to, "  %-14s %s\n", lab_verbs[i].name, lab_verbs[i].summary);
    fprintf(to, "\n--dir DIR is the lab's folder (default: MUSTER_LAB_DIR from the environment, or ./" LAB_DEFAULT_DIR
                "); it may also stand among\nthe arguments of a verb. muster-lab VERB --help says more about a verb; "
                "muster-lab(8) says more about all of it.\n");
}

static int print_verb_help(const struct verb *v) {
    printf("Usage: muster-lab [--dir DIR] %s %s\n\n%s.\n", v->name, v->usage, v->summary);
    if (v->help)
        printf("\n%s\n", v->help);
    return 0;
}

static void catch_signals(void) {
    struct sigaction sa = {.sa_handler = on_signal};
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int main(int argc, char **argv) {
    lab_say_from_now();
    if (argc >= 5 && str_eq(argv[1], "init"))
        return init_main(argv[2], argv[3], argv[4]);
    if (argc >= 4 && str_eq(argv[1], "monitor"))
        return monitor_main(argv[2], argv[3]);
    /* What the caller's shell holds open (a lock, a pipe) would be held by the hosts for as long as they run. */
    close_range(3, ~0u, 0);
    const char *from_env = getenv("MUSTER_LAB_DIR");
    struct verb_context c = {.dir = str_empty(from_env) ? LAB_DEFAULT_DIR : from_env, .program = argv[0]};
    argc = lab_args_take_dir(argc, argv, 1, /* leading_only= */ true, &c.dir);
    if (argc < 2) { /* negative: a wrong --dir */
        print_help(stderr);
        return 2;
    }
    if (str_eq(argv[1], "--help") || str_eq(argv[1], "-h") || str_eq(argv[1], "help")) {
        const struct verb *v = argc > 2 ? verb_find(argv[2]) : NULL;
        if (v)
            return print_verb_help(v);
        print_help(stdout);
        return 0;
    }
    const struct verb *v = verb_find(argv[1]);
    if (!v) {
        fprintf(stderr, "muster-lab: there is no verb '%s'; muster-lab --help lists them.\n", argv[1]);
        return 2;
    }
    argc = lab_args_take_dir(argc, argv, 2, v->ends_in_command, &c.dir);
    if (argc < 0 || str_empty(c.dir))
        return verb_misuse(v->name, "--dir needs a folder.");
    if (lab_args_ask_help(argc - 2, argv + 2, v->ends_in_command))
        return print_verb_help(v);
    catch_signals();
    return v->run(&c, argc - 2, argv + 2);
}
