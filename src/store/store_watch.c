/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_watch.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/store_private.h"

#define GRACE_MS 60000         /* until it ends by itself: it removes what it has made, and storage may be slow */
#define REST_S (55 * 60)       /* the coordinator waits for an hour */
#define REST_TOOLS_S (50 * 60) /* of that for qemu-img */
#define EXIT_CUT 4

static atomic_bool all_read;

static void *watch(void *data) {
    struct pollfd p = {.fd = (int)(intptr_t)data, .events = 0}; /* a hangup is always told */
    while (poll(&p, 1, -1) < 0 || !(p.revents & (POLLHUP | POLLERR | POLLNVAL)))
        ;
    (void)poll(NULL, 0, GRACE_MS);
    if (atomic_load(&all_read))
        return NULL;
    if (getpgrp() == getpid()) /* as musterd starts it; qemu-nbd waits as well */
        (void)kill(0, SIGKILL);
    _exit(EXIT_CUT);
}

void watch_stream(int fd) {
    pthread_t t;
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&t, NULL, watch, (void *)(intptr_t)fd) != 0)
        abort();
    (void)pthread_detach(t);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void watch_all_read(void) {
    if (atomic_exchange(&all_read, true))
        return; /* said before it was converted */
    (void)alarm(REST_S);
    image_limit_tools(REST_TOOLS_S * UINT64_C(1000));
}
