/* SPDX-License-Identifier: Apache-2.0 */
/* XenAPI time text (declared in value.h). */
#include "base/str.h"
#include "base/value.h"

#include <time.h>

#define TIME_MIN INT64_C(-62167219200) /* 00000101T00:00:00Z */
#define TIME_MAX INT64_C(253402300799) /* 99991231T23:59:59Z: what four digits of year can say */

const char *time_text(int64_t seconds, char text[static TIME_TEXT_SIZE]) {
    time_t t = MAX(MIN(seconds, TIME_MAX), TIME_MIN);
    struct tm tm;
    (void)gmtime_r(&t, &tm);
    char *p = text;
    const struct {
        int number;
        int digits;
        char after;
    } parts[] = {{tm.tm_year + 1900, 4, 0}, {tm.tm_mon + 1, 2, 0}, {tm.tm_mday, 2, 'T'},
                 {tm.tm_hour, 2, ':'},      {tm.tm_min, 2, ':'},   {tm.tm_sec, 2, 'Z'}};
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        int n = parts[i].number;
        for (int d = parts[i].digits - 1; d >= 0; d--, n /= 10)
            p[d] = (char)('0' + n % 10);
        p += parts[i].digits;
        if (parts[i].after)
            *p++ = parts[i].after;
    }
    *p = '\0';
    return text;
}

static bool take_number(const char **p, int digits, int *ret) {
    int n = 0;
    for (int i = 0; i < digits; i++, (*p)++) {
        if (**p < '0' || **p > '9')
            return false;
        n = n * 10 + (**p - '0');
    }
    *ret = n;
    return true;
}

static bool take_char(const char **p, char c) {
    if (**p != c)
        return false;
    (*p)++;
    return true;
}

bool time_parse(const char *text, int64_t *ret) {
    const char *p = text;
    int year, month, day, hour, minute, second;
    if (!take_number(&p, 4, &year))
        return false;
    bool dashes = take_char(&p, '-');
    if (!take_number(&p, 2, &month) || (dashes && !take_char(&p, '-')) || !take_number(&p, 2, &day) ||
        !take_char(&p, 'T') || !take_number(&p, 2, &hour) || !take_char(&p, ':') || !take_number(&p, 2, &minute) ||
        !take_char(&p, ':') || !take_number(&p, 2, &second))
        return false;
    (void)take_char(&p, 'Z');
    if (*p || hour > 23 || minute > 59 || second > 59)
        return false;
    struct tm tm = {.tm_year = year - 1900,
                    .tm_mon = month - 1,
                    .tm_mday = day,
                    .tm_hour = hour,
                    .tm_min = minute,
                    .tm_sec = second};
    time_t t = timegm(&tm);
    if (tm.tm_mon != month - 1 || tm.tm_mday != day) /* a day that the month does not have was carried over */
        return false;
    *ret = t;
    return true;
}
