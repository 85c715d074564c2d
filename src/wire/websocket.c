/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/websocket.h"

#include <openssl/evp.h>
#include <string.h>

enum { OP_MORE = 0, OP_TEXT = 1, OP_BINARY = 2, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };
enum { FIN = 0x80, RESERVED = 0x70, MASKED = 0x80 };
#define CLOSE_PROTOCOL_ERROR 1002
#define KEY_LEN 24 /* of 16 bytes in base64 */

bool websocket_accept(const char *key, char ret[static WEBSOCKET_ACCEPT_SIZE]) {
    static const char space[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455, 1.3 */
    unsigned char plain[KEY_LEN], digest[EVP_MAX_MD_SIZE];
    char text[KEY_LEN + sizeof(space)];
    unsigned n = 0;
    /* 16 bytes end with two signs of padding, which the decoder counts as bytes. */
    if (strlen(key) != KEY_LEN || key[KEY_LEN - 1] != '=' || key[KEY_LEN - 2] != '=' ||
        EVP_DecodeBlock(plain, (const unsigned char *)key, KEY_LEN) != 18)
        return false;
    memcpy(text, key, KEY_LEN);
    memcpy(text + KEY_LEN, space, sizeof(space));
    if (EVP_Digest(text, strlen(text), digest, &n, EVP_sha1(), NULL) != 1 || n != 20)
        return false;
    return EVP_EncodeBlock((unsigned char *)ret, digest, (int)n) == WEBSOCKET_ACCEPT_SIZE - 1;
}

/* ---- writing; a server does not mask ---- */

static void write_frame(struct buf *out, unsigned op, const void *data, size_t size) {
    buf_add_char(out, (char)(FIN | op));
    unsigned n_bytes = size < 126 ? 0 : size <= UINT16_MAX ? 2 : 8;
    buf_add_char(out, n_bytes == 0 ? (char)size : n_bytes == 2 ? 126 : 127);
    for (unsigned i = n_bytes; i-- > 0;)
        buf_add_char(out, (char)((uint64_t)size >> (8 * i)));
    buf_add(out, data, size);
}

void websocket_write(struct buf *out, const void *data, size_t size) {
    write_frame(out, OP_BINARY, data, size);
}

void websocket_write_close(struct buf *out, unsigned code) {
    const unsigned char bytes[] = {(unsigned char)(code >> 8), (unsigned char)code};
    write_frame(out, OP_CLOSE, bytes, sizeof(bytes));
}

/* ---- reading ---- */

static unsigned length_size(const struct websocket *w) {
    unsigned n = w->head[1] & 0x7f;
    return n == 126 ? 2 : n == 127 ? 8 : 0;
}

static bool is_control(const struct websocket *w) {
    return w->head[0] & 0x08;
}

/* What the head says, once it is whole; false when it says what it may not. */
static bool begin_frame(struct websocket *w) {
    unsigned op = w->head[0] & 0x0f, n_length = length_size(w);
    bool is_last = w->head[0] & FIN;
    uint64_t n = w->head[1] & 0x7f;
    if (n_length > 0) {
        n = 0;
        for (unsigned i = 0; i < n_length; i++)
            n = n << 8 | w->head[2 + i];
        if (n >> 63 || n < (n_length == 2 ? 126u : (uint64_t)UINT16_MAX + 1))
            return false; /* too long for the protocol, or in more bytes than it needs */
    }
    switch (op) {
    case OP_MORE:
        if (!w->in_message)
            return false;
        w->in_message = !is_last;
        break;
    case OP_TEXT:
    case OP_BINARY:
        if (w->in_message)
            return false;
        w->in_message = !is_last;
        break;
    case OP_CLOSE:
    case OP_PING:
    case OP_PONG:
        if (!is_last || n > sizeof(w->control))
            return false;
        break;
    default:
        return false;
    }
    w->left = n;
    w->mask_at = 0;
    w->n_control = 0;
    w->in_payload = true;
    return true;
}

static enum websocket_outcome end_frame(struct websocket *w, struct buf *answer) {
    unsigned op = w->head[0] & 0x0f;
    w->in_payload = false;
    w->n_head = 0;
    if (op == OP_PING)
        write_frame(answer, OP_PONG, w->control, w->n_control);
    if (op != OP_CLOSE)
        return WEBSOCKET_MORE;
    if (w->n_control >= 2)
        write_frame(answer, OP_CLOSE, w->control, 2); /* its own code, as the standard asks */
    else
        write_frame(answer, OP_CLOSE, "", 0);
    return WEBSOCKET_CLOSED;
}

static void take_payload(struct websocket *w, const char *bytes, size_t size, struct buf *data) {
    const unsigned char *mask = w->head + 2 + length_size(w);
    if (is_control(w)) {
        for (size_t i = 0; i < size; i++)
            w->control[w->n_control++] = (unsigned char)bytes[i] ^ mask[w->mask_at++ & 3];
        return;
    }
    size_t before = data->size;
    buf_add(data, bytes, size);
    for (size_t i = before; i < data->size; i++)
        data->data[i] = (char)((unsigned char)data->data[i] ^ mask[w->mask_at++ & 3]);
}

static enum websocket_outcome broken(struct buf *answer) {
    websocket_write_close(answer, CLOSE_PROTOCOL_ERROR);
    return WEBSOCKET_BROKEN;
}

enum websocket_outcome websocket_read(struct websocket *w, const char *bytes, size_t size, struct buf *data,
                                      struct buf *answer) {
    for (size_t pos = 0; pos < size;) {
        if (!w->in_payload) {
            w->head[w->n_head++] = (unsigned char)bytes[pos++];
            /* Frames of a client are masked, and no extension was agreed on. */
            if ((w->n_head == 1 && (w->head[0] & RESERVED)) || (w->n_head == 2 && !(w->head[1] & MASKED)))
                return broken(answer);
            if (w->n_head < 2 || w->n_head < 6 + length_size(w))
                continue;
            if (!begin_frame(w))
                return broken(answer);
        } else {
            size_t n = (size_t)MIN(w->left, (uint64_t)(size - pos));
            take_payload(w, bytes + pos, n, data);
            pos += n;
            w->left -= n;
        }
        if (w->in_payload && w->left == 0) {
            enum websocket_outcome r = end_frame(w, answer);
            if (r != WEBSOCKET_MORE)
                return r;
        }
    }
    return WEBSOCKET_MORE;
}
