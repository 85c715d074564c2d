/* SPDX-License-Identifier: Apache-2.0 */
/* Websocket frames: whole and byte by byte with the same outcome, never more payload than there were bytes. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "wire/websocket.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size) {
    struct websocket whole = {0}, pieces = {0};
    struct buf data = BUF_INIT, answer = BUF_INIT, data2 = BUF_INIT, answer2 = BUF_INIT;
    enum websocket_outcome r = websocket_read(&whole, (const char *)input, size, &data, &answer), r2 = WEBSOCKET_MORE;
    for (size_t i = 0; i < size && r2 == WEBSOCKET_MORE; i++)
        r2 = websocket_read(&pieces, (const char *)input + i, 1, &data2, &answer2);
    if (r != r2 || data.size != data2.size || answer.size != answer2.size || data.size > size ||
        memcmp(buf_str(&data), buf_str(&data2), data.size) != 0 ||
        memcmp(buf_str(&answer), buf_str(&answer2), answer.size) != 0)
        abort();
    buf_done(&data);
    buf_done(&answer);
    buf_done(&data2);
    buf_done(&answer2);
    char key[25] = {0}, accept[WEBSOCKET_ACCEPT_SIZE];
    memcpy(key, input, MIN(size, sizeof(key) - 1));
    if (websocket_accept(key, accept) && strlen(accept) != WEBSOCKET_ACCEPT_SIZE - 1)
        abort();
    return 0;
}
