/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the commit of a write to its event at the last of N waiting clients, all over TLS on this machine.
 * usage: event_fan SOCKET ADDRESS PORT CLIENTS WRITES
 *
 * The session is opened on the local socket (no password). Each client keeps one connection with an event.from waiting,
 * and waits anew when all have their event: clients elsewhere would not take this processor's time. The writer, on a
 * connection of its own, sets pool.name_description. Committed is when the writer has its answer or the first client
 * its event, whichever comes first. Prints, in ms: p50 and p99 from commit to the last client, p50 and p99 from the
 * start of the write to the last client, p50 of the write.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define MAX_CLIENTS 1000
#define MAX_WRITES 100000
#define BUFFER_SIZE 65536
#define WAIT_MS 10000
#define TOKEN_SIZE 64

struct client {
    int fd;
    SSL *tls; /* NULL: plain */
    char *in;
    size_t n;
    char token[TOKEN_SIZE];
};

static void die(const char *what) {
    fprintf(stderr, "event_fan: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
    exit(1);
}

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void connect_plain(struct client *c, const char *path) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        die(path);
    c->in = malloc(BUFFER_SIZE);
}

static void connect_tls(struct client *c, SSL_CTX *context, const char *address, const char *port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)strtol(port, NULL, 10))};
    if (inet_pton(AF_INET, address, &a.sin_addr) != 1)
        die("no IPv4 address");
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        die(address);
    c->tls = SSL_new(context);
    errno = 0;
    if (!c->tls || !SSL_set_fd(c->tls, c->fd) || SSL_connect(c->tls) != 1)
        die("the TLS handshake failed");
    c->in = malloc(BUFFER_SIZE);
}

static void send_call(struct client *c, const char *method, const char *params) {
    char text[4096], body[2048];
    int size = snprintf(body, sizeof(body), "{\"jsonrpc\":\"2.0\",\"method\":\"%s\",\"params\":[%s],\"id\":1}", method,
                        params);
    int n = snprintf(text, sizeof(text),
                     "POST /jsonrpc HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "
                     "%d\r\n\r\n%s",
                     size, body);
    errno = 0;
    if ((c->tls ? SSL_write(c->tls, text, n) : (int)write(c->fd, text, (size_t)n)) != n)
        die("sending failed");
}

/* Reads once; the body when the answer is whole, else NULL. It stays valid until the next call. */
static const char *receive(struct client *c) {
    size_t room = BUFFER_SIZE - 1 - c->n;
    errno = 0;
    int n = c->tls ? SSL_read(c->tls, c->in + c->n, (int)room) : (int)read(c->fd, c->in + c->n, room);
    if (n <= 0)
        die("the server closed a connection, or its answer is too long");
    c->n += (size_t)n;
    c->in[c->n] = 0;
    const char *body = strstr(c->in, "\r\n\r\n"), *length = strcasestr(c->in, "\r\nContent-Length:");
    if (!body || !length || c->n < (size_t)(body + 4 - c->in) + strtoul(length + 17, NULL, 10))
        return NULL;
    c->n = 0;
    errno = 0;
    if (strstr(body, "\"error\":{"))
        die(strstr(body, "\"error\":{"));
    return body + 4;
}

static const char *call(struct client *c, const char *method, const char *params) {
    send_call(c, method, params);
    const char *body;
    while (!(body = receive(c)))
        ;
    return body;
}

/* The text after `"key":"` or, for key NULL, the first text in the result. */
static void copy_text(const char *body, const char *before, char *ret, size_t size) {
    const char *at = strstr(body, before);
    size_t n = at ? strcspn(at + strlen(before), "\"") : size;
    errno = 0;
    if (n >= size)
        die("an answer is not as expected");
    memcpy(ret, at + strlen(before), n);
    ret[n] = 0;
}

static void wait_for_event(struct client *c, const char *session) {
    char params[512];
    snprintf(params, sizeof(params), "\"%s\",[\"pool\"],\"%s\",30.0", session, c->token);
    send_call(c, "event.from", params);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    static struct client local, writer, clients[MAX_CLIENTS];
    static struct pollfd fds[MAX_CLIENTS + 1];
    long n = argc == 6 ? strtol(argv[4], NULL, 10) : 0, writes = argc == 6 ? strtol(argv[5], NULL, 10) : 0;
    if (n < 1 || n > MAX_CLIENTS || writes < 1 || writes > MAX_WRITES) {
        fprintf(stderr, "usage: event_fan SOCKET ADDRESS PORT CLIENTS WRITES\n");
        return 2;
    }
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    char session[128], pool[128], token[TOKEN_SIZE], params[512], text[64];
    connect_plain(&local, argv[1]);
    copy_text(call(&local, "session.login_with_password", "\"root\",\"\",\"1.0\",\"event_fan\""), "\"result\":\"",
              session, sizeof(session));
    snprintf(params, sizeof(params), "\"%s\"", session);
    copy_text(call(&local, "pool.get_all", params), "\"result\":[\"", pool, sizeof(pool));
    snprintf(params, sizeof(params), "\"%s\",[\"pool\"],\"\",0.0", session);
    copy_text(call(&local, "event.from", params), "\"token\":\"", token, sizeof(token));
    connect_tls(&writer, context, argv[2], argv[3]);
    for (long i = 0; i < n; i++) {
        connect_tls(&clients[i], context, argv[2], argv[3]);
        memcpy(clients[i].token, token, sizeof(token));
        wait_for_event(&clients[i], session);
        fds[i] = (struct pollfd){.fd = clients[i].fd, .events = POLLIN};
    }
    fds[n] = (struct pollfd){.fd = writer.fd, .events = POLLIN};
    double *fan = calloc((size_t)writes, sizeof(*fan)), *whole = calloc((size_t)writes, sizeof(*whole)),
           *calls = calloc((size_t)writes, sizeof(*calls));
    for (long i = 0; i < writes; i++) {
        usleep(20000); /* all of them wait before the write begins */
        snprintf(text, sizeof(text), "event-fan-%ld-%d", i, (int)getpid());
        snprintf(params, sizeof(params), "\"%s\",\"%s\",\"%s\"", session, pool, text);
        double start = now_ms(), committed = 0, answered = 0, last = 0;
        send_call(&writer, "pool.set_name_description", params);
        for (long left = n; left > 0 || answered == 0;) {
            errno = 0;
            if (poll(fds, (nfds_t)n + 1, WAIT_MS) <= 0)
                die("an event was lost");
            if (fds[n].revents && receive(&writer)) {
                answered = now_ms();
                committed = committed > 0 ? committed : answered;
            }
            for (long k = 0; k < n; k++) {
                const char *body = fds[k].revents ? receive(&clients[k]) : NULL;
                if (!body)
                    continue;
                copy_text(body, "\"token\":\"", clients[k].token, TOKEN_SIZE);
                if (!strstr(body, text)) { /* another change of the pool's row */
                    wait_for_event(&clients[k], session);
                    continue;
                }
                last = now_ms();
                committed = committed > 0 ? committed : last;
                left--;
                fds[k].fd = -1;
            }
        }
        for (long k = 0; k < n; k++) {
            if (fds[k].fd < 0)
                wait_for_event(&clients[k], session);
            fds[k].fd = clients[k].fd;
        }
        fan[i] = last - committed;
        whole[i] = last - start;
        calls[i] = answered - start;
    }
    snprintf(params, sizeof(params), "\"%s\",\"%s\",\"\"", session, pool);
    call(&local, "pool.set_name_description", params);
    snprintf(params, sizeof(params), "\"%s\"", session);
    call(&local, "session.logout", params);
    qsort(fan, (size_t)writes, sizeof(*fan), by_value);
    qsort(whole, (size_t)writes, sizeof(*whole), by_value);
    qsort(calls, (size_t)writes, sizeof(*calls), by_value);
    size_t p50 = (size_t)writes / 2, p99 = (size_t)writes * 99 / 100;
    printf("%.2f %.2f %.2f %.2f %.2f\n", fan[p50], fan[p99], whole[p50], whole[p99], calls[p50]);
    free(fan);
    free(whole);
    free(calls);
    return 0;
}
