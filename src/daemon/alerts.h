/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The coordinator's part of telling: each fault that any host of the pool shows is one message (an alert), raised once
 * and withdrawn when the fault is gone. Level-triggered: what should be there is compared with the message rows, so a
 * new coordinator carries on where the old one stopped. Loop thread.
 */
#pragma once

#include "api/api.h"

#define ALERT_PRIORITY 2

struct alerts;
struct alerts *alerts_new(struct loop *l, struct db *d, struct api *api, bool (*is_coordinator)(void *userdata),
                          void *userdata);
void alerts_free(struct alerts *a);
