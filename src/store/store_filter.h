/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that a stream goes through: gzip and zstd. Blocks; only in the helper program. */
#pragma once

#include "base/error.h"

struct filter {
    int pid; /* 0: none */
    int fd;  /* to write to, or to read from; owned */
};

/* What is written to f->fd goes on to `out`, compressed; `with` is "gzip" or "zstd". */
bool filter_compress(struct filter *f, const char *with, int out, struct error **errp) _warn_unused_;
/* What comes from the socket `in`, through what its first bytes say it is packed with; f->fd is `in` itself (pid 0)
 * when it is not. */
bool filter_unpack(struct filter *f, int in, struct error **errp) _warn_unused_;
/* Everything has gone through it; false when the program says otherwise. */
bool filter_end(struct filter *f, struct error **errp) _warn_unused_;
void filter_done(struct filter *f); /* ends it, whatever it does */
