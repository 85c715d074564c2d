/* SPDX-License-Identifier: Apache-2.0 */
/* The thin client's body, greeting and messages: never a byte beyond the input, progress at each message. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "wire/thin_cli.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size) {
    char *data = xmalloc(size ? size : 1);
    memcpy(data, input, size);
    struct thin_cli_request r;
    if (thin_cli_parse(data, size, &r)) {
        if (r.args.n == 0 || r.args.n > THIN_CLI_ARGS_MAX)
            abort();
        thin_cli_request_done(&r);
    }
    size_t pos = 0, n = 0;
    if (thin_cli_parse_greeting(data, size, &n) == THIN_CLI_READY)
        pos = n;
    for (;;) {
        enum thin_cli_response response;
        uint32_t chunk;
        if (pos > size || thin_cli_parse_message(data + pos, size - pos, &n, &response, &chunk) != THIN_CLI_READY)
            break;
        if (n < 12 || n > size - pos)
            abort();
        pos += n + chunk;
    }
    free(data);
    return 0;
}
