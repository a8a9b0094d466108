// What every fuzzer defines. Returns 0; a finding is a crash or a failed assert.
#pragma once

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
