// A bounded queue of messages on disk: what a sink holds while the place it sends to is away.
//
// A folder with one file a segment, appended to at the end and read from the beginning:
//
//     00000000000000a7.spool   a head, then frames: length, checksums, payload
//     position                 how far the oldest segment was read; behind by a little after a
//                              crash, so that some messages are sent again
//     lock                     held while a process has the spool open
//
// An append is durable as a whole when it returns (one write, one fdatasync), or it was refused as
// a whole and left nothing behind. A crash at any moment, kill -9 among them, loses nothing that
// was appended; half a frame at the end is cut off when the spool is opened. A frame that the disk
// has damaged is passed over and counted. A segment goes when all of it was dropped, so that a full
// disk gets room again; what is there is kept, what is new is refused.
//
// One process has a spool open at a time. Within it one thread appends and one, maybe another,
// reads and drops; spool_stats() may be called by any.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/time.h"

struct spool;

enum { SPOOL_PAYLOAD_MAX = 2 << 20 }; // bytes of one message
#define SPOOL_LIMIT_MIN (INT64_C(64) << 10)

// How the disk is written to; tests hand out one that fails.
struct spool_io {
    int64_t (*pwrite)(int fd, const void *p, size_t n, int64_t at);
    int (*fdatasync)(int fd);
    int (*ftruncate)(int fd, int64_t size);
};

struct spool_config {
    const char *dir;           // made (0700) where it is missing; its files are 0600
    int64_t limit;             // bytes of all segments together; at least SPOOL_LIMIT_MIN
    int64_t segment_bytes;     // a new one is begun behind so many; 0: a good size for the limit
    const struct clock *clock; // dates the segments
    const struct spool_io *io; // NULL: the system's
};

// -EBUSY: another process has it; -EPROTONOSUPPORT: a newer gtap's; -EACCES, -ENOTDIR ... The texts
// of the config are copied.
int spool_open(const struct spool_config *c, struct spool **ret, struct error *err) GTAP_CHECK;
void spool_close(struct spool *s); // accepts NULL

// ---- the thread that appends -----------------------------------------------------------------

// All of them, in this order, durable on return; or none. -ENOSPC: the spool is full, or the disk
// is (-EDQUOT and -EFBIG become -ENOSPC); -EIO and the like: the disk refuses. Either way the
// messages are counted as refused, and later appends may go well. -EMSGSIZE: one of them is longer
// than SPOOL_PAYLOAD_MAX.
int spool_append(struct spool *s, const struct str *payloads, size_t n, struct error *err)
    GTAP_CHECK;

// ---- the thread that reads -------------------------------------------------------------------

struct spool_batch {
    struct str *payloads; // the oldest messages; borrowed until the next read
    size_t n, cap;
    struct {
        uint64_t segment;
        int64_t offset;
    } end; // what spool_drop() drops up to

    char *window; // bytes of the segment that the payloads point into
    size_t n_window, cap_window;
};

// Reads the oldest messages, at least one if there are any, as many as about `bytes` hold; the same
// again until they are dropped. b->n == 0: the spool is empty.
void spool_read(struct spool *s, struct spool_batch *b, size_t bytes);
// The messages of the batch have arrived elsewhere: they are forgotten here. Not synced: after a
// crash of the machine some of them may come again.
void spool_drop(struct spool *s, const struct spool_batch *b);
void spool_batch_done(struct spool_batch *b); // frees; zeroed is empty

// ---- any thread ------------------------------------------------------------------------------

struct spool_stats {
    int64_t bytes, limit;       // of the files now, and at most
    int64_t waiting;            // bytes not yet dropped: 0 exactly when the spool is empty
    uint64_t segments;          // files now
    int64_t oldest;             // wall time the oldest segment was begun at; INT64_MIN: empty
    uint64_t appended, refused; // messages, since it was opened
    uint64_t dropped;
    uint64_t damaged; // places where the disk did not give back what was written, since then
    uint64_t cut;     // bytes of a half-written end, cut off when it was opened
};
struct spool_stats spool_stats(struct spool *s);
bool spool_is_empty(struct spool *s);
