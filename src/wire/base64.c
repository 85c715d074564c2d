/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/base64.h"

#include <limits.h>
#include <openssl/evp.h>

char *base64_encode(const void *data, size_t size) {
    if (size > INT_MAX / 2)
        abort(); /* callers have limits far below */
    char *text = xmalloc((size + 2) / 3 * 4 + 1);
    int n = EVP_EncodeBlock((unsigned char *)text, data, (int)size);
    text[n] = 0;
    return text;
}

char *base64_decode(const char *text, size_t size, size_t *ret_size) {
    if (size % 4 || size > INT_MAX)
        return NULL;
    char *data = xmalloc(size / 4 * 3 + 1);
    int n = size ? EVP_DecodeBlock((unsigned char *)data, (const unsigned char *)text, (int)size) : 0;
    /* The library counts the bytes that padding stands for. */
    int padding = (size > 0 && text[size - 1] == '=') + (size > 1 && text[size - 2] == '=');
    if (n < padding) {
        free(data);
        return NULL;
    }
    *ret_size = (size_t)(n - padding);
    data[*ret_size] = 0;
    return data;
}
