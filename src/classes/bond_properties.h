/* SPDX-License-Identifier: Apache-2.0 */
/* The properties of a bond: which ones a mode has, their defaults and what they may be. Pure; any thread. */
#pragma once

#include "base/error.h"
#include "base/value.h"

/*
 * The properties of a bond of this mode: `given` with what the mode does not know left out and what is missing at its
 * default. INVALID_VALUE for one that the mode knows with a value that makes no sense.
 */
bool bond_properties_for_mode(const char *mode, const struct value *given, struct value *ret,
                              struct error **errp) _warn_unused_;
/* Checks one property for set_property: known in this mode, and a value that makes sense. */
bool bond_property_check(const char *mode, const char *name, const char *value, struct error **errp) _warn_unused_;
