/* SPDX-License-Identifier: Apache-2.0 */
/* The roles as objects (api/roles.h). Loop thread only. */
#pragma once

struct api;

/* Coordinator: the rows of the roles, where they are not there yet. Elsewhere, and without a majority, nothing. */
void class_role_make_defaults(struct api *a);
