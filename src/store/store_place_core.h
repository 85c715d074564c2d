/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a repository lies, as one text: the absolute path of a folder of the host, or "nfs://server/path/<uuid>", a
 * folder of an NFS server that is named by the repository. One of discs (type "iso") is a folder that others have
 * filled: a path, or "nfs://server/path/". One of LUNs (type "iscsi") is "iscsi://server:port/<target>/<LUN>", named by
 * the LUN that Muster keeps for itself: its SCSIid, or "lun-<number>". Made of the type of an SR and the device_config
 * of a PBD. Pure; any thread.
 */
#pragma once

#include "base/uuid.h"
#include "base/value.h"

/* The types of SR that there are. */
bool store_type_is_known(const char *type);
/* Several hosts may have it. */
bool store_type_is_shared(const char *type);
/* Its disks have leases, and a server can be asked what it has of them. */
bool store_type_has_leases(const char *type);

/* Its disks are made and removed where the storage is, not by Muster. */
bool store_type_is_made_elsewhere(const char *type);

/* Why a device_config does not do for the type, and which of its keys is to blame; NULL: it does. */
const char *store_config_trouble(const char *type, const struct value *device_config, const char **ret_key);
/* The place of a repository; "" when the configuration does not do. The caller frees. */
char *store_place(const char *type, const struct value *device_config, const struct uuid *sr);

/* Whether `path` may be the folder of a repository of one host: absolute, no "..", no folder of the system itself.
 * NULL: it may; else why not. */
const char *store_path_trouble(const char *path);
/* The same for any place. */
const char *store_place_trouble(const char *place);
/* It is not on this host alone: others may reach it. */
bool store_place_is_shared(const char *place);
/* Why a PBD that should be attached is not: a sentence under this key of its other_config. Its host looks at it again
 * and again and takes the key away; a PBD that a person has unplugged has none. */
#define PBD_UNATTACHED_KEY "not-attached-because"
#define PBD_NOT_LOOKED_AT "its host has not looked at it yet"

/* "<place>/<uuid>.<format>"; the caller frees. */
char *store_file(const char *place, const struct uuid *vdi, const char *format);

/* A disc image in a repository of type "iso" has a name that people gave it: whether it may have it, and its path; the
 * caller frees. */
bool store_iso_name_is_good(const char *name);
char *store_iso_file(const char *place, const char *name);

/* What an iSCSI place consists of; each the caller's. `portal` is "server:port", `server` an IPv6 address without its
 * brackets, `lun` the name of the board (store_lun_core.h), or "lun-<number>". */
struct iscsi_place {
    char *server, *portal, *target, *lun;
};
bool iscsi_place_parse(const char *place, struct iscsi_place *ret) _warn_unused_;
void iscsi_place_done(struct iscsi_place *p);
bool store_place_is_iscsi(const char *place);
/* As store_config_trouble, for as much as a probe needs: target and port, and no password, for which there is no safe
 * place yet. */
const char *store_portal_trouble(const struct value *device_config, const char **ret_key);
char *store_portal(const struct value *device_config); /* "server:port"; the caller frees */
#define LUN_NUMBER_MAX 16383                           /* SAM-5 4.7.7: two levels of addressing */

/* What an NFS place consists of: the server, the exported path, the folder below it. Each the caller's. */
struct nfs_place { /* `folder` is "" for the exported path itself */
    char *server, *export, *folder;
};
bool nfs_place_parse(const char *place, struct nfs_place *ret) _warn_unused_;
void nfs_place_done(struct nfs_place *p);
