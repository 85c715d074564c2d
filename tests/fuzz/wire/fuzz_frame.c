/* SPDX-License-Identifier: Apache-2.0 */
/* The frames of the pool channel: progress at each frame, never a byte beyond the input. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "wire/channel.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size) {
    char *data = xmalloc(size ? size : 1);
    memcpy(data, input, size);
    size_t pos = 0;
    for (;;) {
        size_t offset = 0, n = 0;
        enum frame_state state = frame_parse(data + pos, size - pos, CHANNEL_MAX_FRAME_UNKNOWN, &offset, &n);
        if (state != FRAME_READY)
            break;
        if (n == 0 || n > CHANNEL_MAX_FRAME_UNKNOWN || offset + n > size - pos)
            abort();
        pos += offset + n;
    }
    free(data);
    return 0;
}
