// gzip and Zstandard data to bytes, streaming: members or frames one behind the other read as one.
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "base/str.h"

enum packing { PACKED_NOT, PACKED_GZIP, PACKED_ZSTD };

// By the first bytes, whatever the file is called. PACKING_MAGIC_MAX bytes decide.
enum { PACKING_MAGIC_MAX = 4 };
enum packing packing_of(struct str head);
const char *packing_name(enum packing packing); // "gzip"

struct unpacker;

struct unpacker *unpacker_new(enum packing packing); // not PACKED_NOT
void unpacker_free(struct unpacker *u);              // accepts NULL

// Unpacks from *in to out until one of them is used up; *in moves on to what was not read.
// *ret_n bytes were written, also when it fails. -EBADMSG with what the library says about it:
// *in then stands at, or shortly behind, the damage.
int unpacker_run(struct unpacker *u, struct str *in, char *out, size_t room, size_t *ret_n,
                 struct error *err) GTAP_CHECK;

// Whether the data may end here: between two members or frames.
bool unpacker_complete(const struct unpacker *u);
