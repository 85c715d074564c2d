/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands in for libFuzzer where it is not linked in (gcc). First every file given, and every file below each folder
 * given, goes through the fuzzer once: so the ordinary test run keeps what a long fuzzing run has found. Then, with
 * --mutate-ms, inputs made of those for that long. They follow from the seed alone: FUZZ_SEED, else always the same
 * one, so that a change of the code is what makes a test fail (soak and tools/fuzz try others). The input under way
 * lies in the file PROGRAM.input until the run is over, however it ends: what stays there is the input that crashed.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAX_INPUT_SIZE (16L * 1024 * 1024)
#define MAX_MUTATED_SIZE 16384 /* larger ones are replayed, not changed: a run is to see many inputs */
#define MAX_BASES 4096
#define STALL_S 30 /* beyond the time asked for: one input hangs */

struct input {
    uint8_t *data;
    size_t size;
};

static unsigned n_inputs;
static struct input bases[MAX_BASES];
static size_t n_bases;

static int replay(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    if (type != FTW_F)
        return 0;
    FILE *f = fopen(path, "re");
    if (!f || st->st_size > MAX_INPUT_SIZE) {
        (void)fprintf(stderr, "%s: cannot be read\n", path);
        return 1;
    }
    /* Exactly as large as the input: a read beyond it is then seen by the sanitizer. */
    size_t size = (size_t)st->st_size;
    uint8_t *data = malloc(size ? size : 1);
    if (!data || fread(data, 1, size, f) != size) {
        (void)fprintf(stderr, "%s: cannot be read\n", path);
        return 1;
    }
    (void)fclose(f);
    (void)LLVMFuzzerTestOneInput(data, size);
    n_inputs++;
    if (size <= MAX_MUTATED_SIZE && n_bases < MAX_BASES)
        bases[n_bases++] = (struct input){data, size};
    else
        free(data);
    return 0;
}

static int by_content(const void *a, const void *b) {
    const struct input *x = a, *y = b;
    if (x->size != y->size)
        return x->size < y->size ? -1 : 1;
    return memcmp(x->data, y->data, x->size);
}

/* ---- mutation ---- */
static uint64_t luck; /* splitmix64 */

static uint64_t pick(uint64_t n) {
    uint64_t z = (luck += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return n ? (z ^ (z >> 31)) % n : 0;
}

/* Puts `n` bytes at `at` in place of `gone` that stand there; leaves all as it is when the result is too large. */
static void replace(struct input *in, size_t at, size_t gone, const void *bytes, size_t n) {
    if (in->size - gone + n > MAX_MUTATED_SIZE)
        return;
    memmove(in->data + at + n, in->data + at + gone, in->size - at - gone);
    memcpy(in->data + at, bytes, n);
    in->size += n - gone;
}

static void replace_number(struct input *in, size_t at) {
    static const char *const numbers[] = {"0",
                                          "-1",
                                          "1",
                                          "255",
                                          "256",
                                          "4095",
                                          "65535",
                                          "65536",
                                          "2147483647",
                                          "-2147483648",
                                          "4294967296",
                                          "9223372036854775807",
                                          "-9223372036854775808",
                                          "18446744073709551616",
                                          "1e400",
                                          "0.5"};
    size_t end = at;
    while (at > 0 && in->data[at - 1] >= '0' && in->data[at - 1] <= '9')
        at--;
    while (end < in->size && in->data[end] >= '0' && in->data[end] <= '9')
        end++;
    const char *number = numbers[pick(sizeof(numbers) / sizeof(numbers[0]))];
    if (end > at)
        replace(in, at, end - at, number, strlen(number));
}

static void mutate(struct input *in) {
    static const uint8_t edges[] = {0, 1, 0x7f, 0x80, 0xff, ' ', '\n', '"', '\\', '%', '/', ',', '[', '{', '}', ']'};
    uint8_t byte = pick(2) ? edges[pick(sizeof(edges))] : (uint8_t)pick(256);
    size_t at = pick(in->size + 1), rest = in->size - at, part = pick((rest < 64 ? rest : 64) + 1);
    const struct input *other = &bases[pick(n_bases)];
    size_t from = pick(other->size + 1), n = pick(other->size - from + 1);
    switch (pick(8)) {
    case 0:
        if (rest)
            in->data[at] ^= (uint8_t)(1u << pick(8));
        break;
    case 1:
        if (rest)
            in->data[at] = byte;
        break;
    case 2:
        replace(in, at, 0, &byte, 1);
        break;
    case 3:
        replace(in, at, part, "", 0);
        break;
    case 4:
        in->size = at; /* cut short */
        break;
    case 5: { /* the same once more: keys, elements, headers that come twice */
        uint8_t copy[64];
        memcpy(copy, in->data + at, part);
        replace(in, at, 0, copy, part);
        break;
    }
    case 6:
        replace(in, at, part, other->data + from, n < 256 ? n : 256);
        break;
    default:
        if (rest)
            replace_number(in, at);
        break;
    }
}

static uint64_t now_ms(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void run(const struct input *in, int fd, const char *path) {
    if (pwrite(fd, in->data, in->size, 0) != (ssize_t)in->size || ftruncate(fd, (off_t)in->size) < 0) {
        perror(path);
        exit(1);
    }
    uint8_t *exact = malloc(in->size ? in->size : 1);
    if (!exact)
        abort();
    memcpy(exact, in->data, in->size);
    (void)LLVMFuzzerTestOneInput(exact, in->size);
    free(exact);
}

static int fuzz(const char *program, unsigned ms) {
    const char *seed = getenv("FUZZ_SEED");
    char path[4096];
    luck = seed ? strtoull(seed, NULL, 10) : 1;
    (void)snprintf(path, sizeof(path), "%s.input", program);
    (void)printf("FUZZ_SEED=%llu; if this ends early, the input is in %s\n", (unsigned long long)luck, path);
    (void)fflush(stdout);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    struct input in = {.data = malloc(MAX_MUTATED_SIZE)};
    if (fd < 0 || !in.data) {
        perror(path);
        return 1;
    }
    /* The order in which a folder lists its files is no part of the seed. */
    qsort(bases, n_bases, sizeof(bases[0]), by_content);
    unsigned long n_runs = 0;
    (void)alarm(ms / 1000 + STALL_S);
    for (uint64_t end = now_ms() + ms; n_bases && now_ms() < end; n_runs++) {
        const struct input *base = &bases[pick(n_bases)];
        memcpy(in.data, base->data, base->size);
        in.size = base->size;
        for (uint64_t n = 1 + pick(5); n > 0; n--)
            mutate(&in);
        run(&in, fd, path);
    }
    (void)alarm(0);
    (void)close(fd);
    (void)unlink(path);
    free(in.data);
    (void)printf("%lu inputs made and tried\n", n_runs);
    return 0;
}

int main(int argc, char **argv) {
    unsigned ms = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--mutate-ms") == 0 && i + 1 < argc) {
            ms = (unsigned)strtoul(argv[++i], NULL, 10);
        } else if (nftw(argv[i], replay, 16, FTW_PHYS) != 0) {
            (void)fprintf(stderr, "%s: could not be replayed\n", argv[i]);
            return 1;
        }
    }
    if (n_inputs == 0) {
        (void)fprintf(stderr, "usage: %s [--mutate-ms N] FILE|FOLDER... (no input was found)\n", argv[0]);
        return 1;
    }
    (void)printf("%u inputs replayed\n", n_inputs);
    int r = ms ? fuzz(argv[0], ms) : 0;
    for (size_t i = 0; i < n_bases; i++)
        free(bases[i].data);
    return r;
}
