/* SPDX-License-Identifier: Apache-2.0 */
/* muster-sim: plays seeds. Prints the seed of each run that breaks a promise; --seed plays it again, told. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "sim_story.h"

#define DEFAULT_SECONDS 20

static double seconds_now(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static const char usage[] = "usage: muster-sim [--seed N [--quiet]] [--first N] [--runs N] [--seconds N] [--hosts N] "
                            "[--acts NAME,...] [--keep-going]\n"
                            "  --seed N     plays this seed and tells what happens\n"
                            "  --first N    the first of many seeds (default: 1)\n"
                            "  --runs N     how many; --seconds N: for how long (default: 20 s)\n"
                            "  --scenes     plays what once went wrong;  --scene NAME: one of them, told\n"
                            "  --hosts N    2 to 8 (default: the seed's choice);  --acts: only these, see --list\n";

struct options {
    struct story_config story;
    bool one, keep_going, scenes;
    uint64_t first, runs;
    double seconds;
};

static bool parse(int argc, char **argv, struct options *o) {
    static const struct option longs[] = {
        {"seed", required_argument, NULL, 's'},  {"first", required_argument, NULL, 'f'},
        {"runs", required_argument, NULL, 'r'},  {"seconds", required_argument, NULL, 't'},
        {"hosts", required_argument, NULL, 'h'}, {"acts", required_argument, NULL, 'a'},
        {"quiet", no_argument, NULL, 'q'},       {"keep-going", no_argument, NULL, 'k'},
        {"list", no_argument, NULL, 'l'},        {"scene", required_argument, NULL, 'c'},
        {"scenes", no_argument, NULL, 'C'},      {NULL, 0, NULL, 0}};
    int c;
    int64_t n;
    bool quiet = false;
    *o = (struct options){.first = 1, .runs = UINT64_MAX, .seconds = DEFAULT_SECONDS};
    while ((c = getopt_long(argc, argv, "", longs, NULL)) >= 0) {
        if (c == '?')
            return false;
        if (strchr("sfrth", c) && !str_parse_int(optarg, 0, INT64_MAX, &n))
            return false;
        switch (c) {
        case 's':
            o->one = true;
            o->first = (uint64_t)n;
            break;
        case 'f':
            o->first = (uint64_t)n;
            break;
        case 'r':
            o->runs = (uint64_t)n;
            o->seconds = 1e12;
            break;
        case 't':
            o->seconds = (double)n;
            break;
        case 'h':
            if (n < 2 || n >= SIM_MAX_HOSTS)
                return false;
            o->story.n_hosts = (unsigned)n;
            break;
        case 'a':
            o->story.only = optarg;
            break;
        case 'c':
            o->story.scene = scene_find(optarg);
            o->one = true;
            o->first = 1;
            if (!o->story.scene)
                return false;
            break;
        case 'C':
            o->scenes = true;
            break;
        case 'q':
            quiet = true;
            break;
        case 'k':
            o->keep_going = true;
            break;
        default:
            story_acts();
            for (unsigned i = 0; scene_at(i); i++)
                (void)printf("scene %s\n", scene_at(i)->name);
            exit(0);
        }
    }
    o->story.verbose = o->one && !quiet;
    if (o->one)
        o->runs = 1;
    return optind == argc;
}

static int play_scenes(struct options *o) {
    unsigned n_bad = 0, n = 0;
    for (; scene_at(n); n++) {
        struct story_result r;
        o->story.seed = 1;
        o->story.scene = scene_at(n);
        story_run(&o->story, &r);
        (void)printf("scene %s: %s\n", scene_at(n)->name, r.ok ? "well" : r.violation);
        n_bad += !r.ok;
    }
    (void)printf("%u scenes, %u failed\n", n, n_bad);
    return n_bad ? 1 : 0;
}

int main(int argc, char **argv) {
    struct options o;
    if (!parse(argc, argv, &o)) {
        (void)fputs(usage, stderr);
        return 2;
    }
    if (o.scenes)
        return play_scenes(&o);
    double start = seconds_now();
    uint64_t n = 0, n_bad = 0, simulated_ms = 0, worst_ms = 0, worst_seed = 0, acts = 0, writes = 0;
    for (; n < o.runs && seconds_now() - start < o.seconds; n++) {
        struct story_result r;
        o.story.seed = o.first + n;
        story_run(&o.story, &r);
        simulated_ms += r.simulated_ms;
        acts += r.n_acts;
        writes += r.n_writes;
        if (r.ok && r.recovered_ms >= worst_ms) {
            worst_ms = r.recovered_ms;
            worst_seed = o.story.seed;
        }
        if (r.ok)
            continue;
        n_bad++;
        (void)printf("seed %llu (%u hosts): %s\nplay it again: muster-sim --seed %llu\n",
                     (unsigned long long)o.story.seed, r.n_hosts, r.violation, (unsigned long long)o.story.seed);
        (void)fflush(stdout);
        if (!o.keep_going)
            break;
    }
    if (n_bad && !o.keep_going)
        n++;
    (void)printf("%llu runs (seeds %llu to %llu), %.1f h simulated in %.1f s, %llu things happened, %llu writes "
                 "acknowledged; longest recovery %.1f s (seed %llu); %llu failed\n",
                 (unsigned long long)n, (unsigned long long)o.first, (unsigned long long)(o.first + n - 1),
                 (double)simulated_ms / 3.6e6, seconds_now() - start, (unsigned long long)acts,
                 (unsigned long long)writes, (double)worst_ms / 1000, (unsigned long long)worst_seed,
                 (unsigned long long)n_bad);
    return n_bad ? 1 : 0;
}
