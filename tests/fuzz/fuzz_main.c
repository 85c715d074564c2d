/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replays a corpus where libFuzzer is not linked in: every file given, and every file below each folder given, goes
 * through the fuzzer once. So the ordinary test run keeps what a long fuzzing run has found.
 */
#include "fuzz.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define MAX_INPUT_SIZE (16L * 1024 * 1024)

static unsigned n_inputs;

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
    free(data);
    n_inputs++;
    return 0;
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        if (nftw(argv[i], replay, 16, FTW_PHYS) != 0) {
            (void)fprintf(stderr, "%s: could not be replayed\n", argv[i]);
            return 1;
        }
    if (n_inputs == 0) {
        (void)fprintf(stderr, "usage: %s FILE|FOLDER... (no input was found)\n", argv[0]);
        return 1;
    }
    (void)printf("%u inputs replayed\n", n_inputs);
    return 0;
}
