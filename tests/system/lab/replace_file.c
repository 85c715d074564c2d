/* SPDX-License-Identifier: Apache-2.0 */
/* Replaces a file as the daemons replace theirs, for the test that cuts the power right afterwards. */
#include <stdio.h>
#include <string.h>

#include "base/fs.h"

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: replace_file PATH TEXT\n");
        return 2;
    }
    int r = fs_write_atomic(argv[1], argv[2], strlen(argv[2]), 0600);
    if (r < 0)
        fprintf(stderr, "replace_file: %s: %s\n", argv[1], strerror(-r));
    return r < 0;
}
