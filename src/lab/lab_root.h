/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file system of a node, built by its PID 1 before anything else runs: the machine's own root below, the node's
 * disk (hosts, array) or memory (switches, desk) on top, so that every change stays in the node. Nothing of it is
 * visible outside.
 */
#pragma once

#include "lab/lab.h"

#define ROOT_FIRST_BOOT_MARK "/etc/muster-lab/host"
#define ROOT_ARRAY_DIR "/srv/array" /* of the storage array: on its disk, not in the overlay */

/* Mounts everything and makes it the root. `device` holds the host's disk. */
bool root_enter(const struct lab *lab, const struct node *node, const char *device, struct error **errp);
/* Files that make the copy of the machine a host of its own: names, password, PAM. Only at its first start. */
bool root_first_boot(const struct lab *lab, const struct node *node, struct error **errp);
/* Programs that node finds first in its PATH: ours from the build folder, and reboot, poweroff. */
bool root_programs(const struct lab *lab, struct error **errp);
/* "<bin_dir>/src/daemon/musterd" and the like; NULL when it was not built. */
char *root_program_path(const struct lab *lab, const char *name);
