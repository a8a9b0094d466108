// A spool in a folder of its own, and numbered messages: each says its number and is filled by what
// follows from it, so that any change in one is seen.
#pragma once

#include "output/spool/spool.h"
#include "test.h"

#define same(got, want) assert_i64((int64_t)(got), (int64_t)(want))

struct spool_rig {
    char dir[64];
    struct spool_config config;
    struct spool *spool;
    struct spool_batch batch;
    struct error err;
};

int rig_setup(void **state);
int rig_teardown(void **state);
void rig_open(struct spool_rig *r);
void rig_reopen(struct spool_rig *r); // as after a crash: nothing is told to the spool

enum { MESSAGE_MAX = 4096 };
struct str message(uint64_t number, char text[MESSAGE_MAX]);
uint64_t message_number(struct str text); // fails when it is none
// Appends those numbered from..from + n - 1 as one batch.
int append_numbers(struct spool *s, uint64_t from, size_t n, struct error *err);
// Reads and drops everything; the numbers grow one by one from `from` on. How many came.
uint64_t drain_numbers(struct spool_rig *r, uint64_t from);
// Path of the i-th segment's file, oldest first; false: there are fewer.
bool segment_path(const struct spool_rig *r, size_t i, char ret[256]);
