// The bytes of a file, a FIFO or stdin, unpacked: what lies under lines.h.
//
// Regular files never block. Of the others, and of followed files, reader_read() waits for bytes as
// an input may (wait.h), and says READER_WAIT when none came.
#pragma once

#include "input/input.h"
#include "input/unpack.h"

struct reader;

enum reader_result {
    READER_END = 0,  // there is nothing behind
    READER_DATA = 1, // *ret_n > 0 bytes
    READER_WAIT = 2, // nothing came; ask again
    READER_NEW = 3,  // followed: another file took this one's place, its bytes come next
};

// path "-" is stdin. follow: as `tail -F` does, wait for more at the end; the path may be renamed,
// replaced, cut short, or not be there yet. The path and env are borrowed.
int reader_open(const char *path, bool follow, const struct input_env *env, struct reader **ret,
                struct error *err) GTAP_CHECK;
void reader_close(struct reader *r); // accepts NULL

// Up to n bytes to p. Bytes in front of damage are delivered first; then a negative errno, and the
// same again ever after.
int reader_read(struct reader *r, char *p, size_t n, size_t *ret_n, struct error *err) GTAP_CHECK;

// While quiet, reader_read() never waits.
void reader_set_quiet(struct reader *r, bool quiet);

// Goes to a byte; only where reader_can_seek().
int reader_seek(struct reader *r, int64_t offset, struct error *err) GTAP_CHECK;
bool reader_can_seek(const struct reader *r); // a plain regular file
bool reader_is_regular(const struct reader *r);
enum packing reader_packing(const struct reader *r); // known after the first byte was read
int64_t reader_size(const struct reader *r);         // of the file as it lies there; -1 unknown
