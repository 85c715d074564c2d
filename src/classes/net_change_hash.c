/* SPDX-License-Identifier: Apache-2.0 */
/* What the rows say a host's network should be, as src/net reads them, reduced to its hash. */
#include "classes/net_change.h"
#include "net/net_wanted.h"

bool net_change_hash_of_rows(struct db *d, const struct uuid *host, char ret[static 65], struct error **errp) {
    _cleanup_net_config_ struct net_config *wanted = net_wanted(d, host, errp);
    if (!wanted)
        return false;
    net_config_hash(wanted, ret);
    return true;
}
