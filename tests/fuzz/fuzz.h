/* SPDX-License-Identifier: Apache-2.0 */
/* What a fuzzer defines: called once per input, must return 0, and must neither crash nor leak nor stall. */
#pragma once

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
