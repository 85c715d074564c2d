/* SPDX-License-Identifier: Apache-2.0 */
/* Folders of NFS servers (version 3 over TCP, libnfs). Only in the helper program, where a deadline ends everything. */
#pragma once

#include "store/store_folder.h"

bool nfs_folder_open(const char *place, struct folder *ret, struct error **errp) _warn_unused_;
/* What the server exports, one path per entry; false with *errp. */
bool nfs_exports(const char *server, struct strv *ret, struct error **errp) _warn_unused_;
/* The folders of an exported path that have the name of a uuid and a mark in them: repositories. */
bool nfs_repositories(const char *server, const char *path, struct strv *ret, struct error **errp) _warn_unused_;
