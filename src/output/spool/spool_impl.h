// The inside of a spool, shared by its files. Internal to src/output/spool.
#pragma once

#include <pthread.h>

#include "output/spool/segment.h"

// In the file `position`: everything before it was dropped.
struct position {
    uint64_t magic, number, id; // of the segment
    int64_t offset;
    uint64_t hash; // of all before
};

enum { HEAD = sizeof(struct segment_head) };

struct spool {
    char *dir;
    int64_t limit, segment_bytes;
    const struct clock *clock;
    const struct spool_io *io;
    int dir_fd, lock_fd, position_fd;

    pthread_mutex_t lock;     // of what follows
    struct segment *segments; // oldest first; what they hold is durable
    size_t n, cap;
    int64_t read_at; // in the oldest: everything before was dropped
    bool appending;  // the last one is being appended to: it must not go
    int64_t bytes;   // of all segments
    uint64_t appended, refused, dropped, damaged, cut;

    // Of the thread that appends:
    int write_fd; // of the segment write_number; -1: none
    uint64_t write_number, next_number;
    struct buf frames;

    // Of the thread that reads:
    int read_fd; // of the segment read_number; -1: none
    uint64_t read_number;
    bool lost; // what was read last is no frame
};

// All of these under the lock.
void spool_remove(struct spool *s, size_t i); // takes it out of the list
void spool_forget_first(struct spool *s);     // and its file goes, too
// Takes it out of the list, and renames its file for a person to look at: NAME.damaged.
void spool_set_aside(struct spool *s, size_t i);
// next: the segment to come, where there is none.
void spool_write_position(struct spool *s, uint64_t next);
