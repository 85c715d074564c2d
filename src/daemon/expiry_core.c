/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/expiry_core.h"

#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/str.h"

#define DAY_S 86400

static const char *const prefixes[] = {[EXPIRY_HOST] = "HOST_SERVER_CERTIFICATE_",
                                       [EXPIRY_HOST_INTERNAL] = "HOST_INTERNAL_CERTIFICATE_",
                                       [EXPIRY_AUTHORITY] = "POOL_CA_CERTIFICATE_"};

static const char *const names[N_EXPIRY_WHAT][N_EXPIRY_STAGES] = {
    [EXPIRY_HOST] = {NULL, "HOST_SERVER_CERTIFICATE_EXPIRING_30", "HOST_SERVER_CERTIFICATE_EXPIRING_14",
                     "HOST_SERVER_CERTIFICATE_EXPIRING_07", "HOST_SERVER_CERTIFICATE_EXPIRED"},
    [EXPIRY_HOST_INTERNAL] = {NULL, "HOST_INTERNAL_CERTIFICATE_EXPIRING_30", "HOST_INTERNAL_CERTIFICATE_EXPIRING_14",
                              "HOST_INTERNAL_CERTIFICATE_EXPIRING_07", "HOST_INTERNAL_CERTIFICATE_EXPIRED"},
    [EXPIRY_AUTHORITY] = {NULL, "POOL_CA_CERTIFICATE_EXPIRING_30", "POOL_CA_CERTIFICATE_EXPIRING_14",
                          "POOL_CA_CERTIFICATE_EXPIRING_07", "POOL_CA_CERTIFICATE_EXPIRED"},
};

enum expiry_stage expiry_stage_of(int64_t not_after, int64_t now) {
    int64_t left = not_after - now;
    return left <= 0            ? EXPIRY_OVER
           : left <= 7 * DAY_S  ? EXPIRY_07
           : left <= 14 * DAY_S ? EXPIRY_14
           : left <= 30 * DAY_S ? EXPIRY_30
                                : EXPIRY_FAR;
}

const char *expiry_message_name(enum expiry_what what, enum expiry_stage stage) {
    return names[what][stage];
}

char *expiry_message_text(enum expiry_what what, enum expiry_stage stage, const char *host, int64_t not_after) {
    static const char *const cures[] = {
        [EXPIRY_HOST] = ("install another with xe host-server-certificate-install, or show the pool's own again with "
                         "xe host-reset-server-certificate"),
        [EXPIRY_HOST_INTERNAL] = "give it a new one with xe host-refresh-server-certificate",
        [EXPIRY_AUTHORITY] = "begin a new one with xe pool-secret-rotate"};
    static const char *const things[] = {[EXPIRY_HOST] = "the certificate that it shows to clients",
                                         [EXPIRY_HOST_INTERNAL] = "its certificate within the pool",
                                         [EXPIRY_AUTHORITY] = "the certificate of the pool's authority"};
    char day[32] = "?";
    time_t t = (time_t)not_after;
    struct tm tm;
    if (gmtime_r(&t, &tm))
        (void)strftime(day, sizeof(day), "%Y-%m-%d %H:%M UTC", &tm);
    _cleanup_free_ char *place = what == EXPIRY_AUTHORITY ? xstrdup("") : strf("Host '%s': ", str_or_empty(host));
    return strf("%s%s %s on %s; cure: %s.", place, things[what], stage == EXPIRY_OVER ? "expired" : "expires", day,
                cures[what]);
}

int expiry_message_priority(enum expiry_stage stage) {
    static const int priorities[] = {5, 4, 3, 2, 1};
    return priorities[stage];
}

bool expiry_is_message(const char *name, enum expiry_what *ret_what) {
    for (unsigned i = 0; i < N_EXPIRY_WHAT; i++)
        if (str_starts(name, prefixes[i])) {
            *ret_what = (enum expiry_what)i;
            return true;
        }
    return false;
}
