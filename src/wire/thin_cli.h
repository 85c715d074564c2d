/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The protocol of XenServer's thin command line client, the server's side: what stands in the body of POST /cli, the
 * greeting, and messages in both directions. After the body the connection is a raw stream: there is no HTTP answer.
 * Numbers are 32 bits, little-endian; a text is its size and its bytes; a message is the size of its payload and the
 * payload. Pure; any thread.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#define THIN_CLI_BODY_MAX (64u * 1024)
#define THIN_CLI_ARGS_MAX 256
#define THIN_CLI_MESSAGE_MAX (64u * 1024) /* of a client; it has nothing long to say outside of files */

/* What was typed, and who typed it. */
struct thin_cli_request {
    struct strv args;      /* the command, then its parameters and switches */
    char *user, *password; /* NULL: not given. thin_cli_request_done wipes the password */
    char *session;         /* a session to use instead; NULL */
};

/* False when the body is no such thing: no command, too many lines, bytes that are no text. */
bool thin_cli_parse(const char *body, size_t size, struct thin_cli_request *ret) _warn_unused_;
void thin_cli_request_done(struct thin_cli_request *r);

/* ---- what the server says ---- */
void thin_cli_greet(struct buf *out);
void thin_cli_print(struct buf *out, const char *text, size_t size);        /* the client adds a line end */
void thin_cli_print_stderr(struct buf *out, const char *text, size_t size); /* it does not */
void thin_cli_error(struct buf *out, const char *code, const char *const *params, size_t n);
void thin_cli_exit(struct buf *out, int code);

/* ---- what the client says ---- */
enum thin_cli_state { THIN_CLI_MORE, THIN_CLI_READY, THIN_CLI_BAD };
/* The client's greeting at the front of `data`: READY with what it takes, BAD for another protocol. */
enum thin_cli_state thin_cli_parse_greeting(const char *data, size_t size, size_t *ret_size);

enum thin_cli_response { THIN_CLI_OK, THIN_CLI_WAIT, THIN_CLI_FAILED, THIN_CLI_CHUNK, THIN_CLI_END };
/*
 * One message at the front of `data`: READY with its size and meaning. Behind a CHUNK *ret_chunk raw bytes follow,
 * outside of any message.
 */
enum thin_cli_state thin_cli_parse_message(const char *data, size_t size, size_t *ret_size, enum thin_cli_response *ret,
                                           uint32_t *ret_chunk);
