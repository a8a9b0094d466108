// A fake mongod without its connections: what it remembers, and its commands. Looks like the
// primary of a replica set of one, or like a single server. Not thread-safe.
#pragma once

#include "docs.h"
#include "faults.h"
#include "update.h"
#include "wire.h"

enum {
    SESSIONS = 1 << 16,
    CURSORS_MAX = 1000,
    COMMANDS_MAX = 32,
    REPLY_MAX = MESSAGE_MAX + (1 << 20),
};

struct cursor {
    int64_t id;
    char *ns;
    struct buf docs; // one after the other
    size_t at;
    struct cursor *next; // older
};

// The last write with a transaction number of a session: told again, it is not done again. Sessions
// share a table by hash; where two meet, the older is forgotten.
struct session {
    uint8_t id[16];
    int64_t number; // 0: none
    uint8_t *answer;
    uint32_t n;
};

struct counters {
    uint64_t inserted, duplicates, matched, modified, upserted, deleted;
    uint64_t refused;  // writeErrors other than duplicates
    uint64_t repeated; // writes told again and not done again
    uint64_t connections, open, commands[COMMANDS_MAX];
    uint64_t largest_batch; // documents in one answer of a cursor
};

struct server {
    struct docs docs;
    struct faults faults;
    struct counters count;
    struct session *sessions;
    struct cursor *cursors; // the youngest first
    int64_t last_cursor;
    const char *address, *set_name; // "127.0.0.1:port"; set_name NULL: a single server
    bool primary;
    struct buf scratch, ns;
};

void server_init(struct server *s, enum memory memory, uint64_t bytes_max);
void server_done(struct server *s);
void server_reset(struct server *s); // no documents, counters, faults, cursors; primary

// Does it, and appends the answer's document. fault: of kinds that change the answer, or NULL;
// refusing: some of the documents may be refused by a fault.
void server_run(struct server *s, const struct request *r, const struct fault *fault, bool refusing,
                struct buf *to);

// Appends {documents, inserted, ..., collections: {...}, commands: {...}, faults: [...]}.
void server_stats(const struct server *s, struct buf *to);

// ---- for the commands ----------------------------------------------------------------------

struct outcome { // of a write
    int32_t n, modified;
    struct buf errors, upserted; // elements of arrays
    size_t n_errors, n_upserted;
    bool refusing, rolled_back;
};

typedef void command_fn(struct server *s, const struct request *r, struct buf *to);
typedef void write_fn(struct server *s, const struct request *r, struct outcome *out);

struct str server_ns(struct server *s, const struct request *r); // until the next call
void reply_error(struct buf *to, int code, const char *why);     // fields of an answer that failed
void reply_ok(struct buf *to);
void outcome_error(struct outcome *out, size_t i, int code, const char *why);

write_fn write_insert, write_update, write_delete;
command_fn run_find, run_get_more, run_kill_cursors, run_count, run_aggregate, run_find_and_modify;
command_fn run_hello, run_nothing, run_build_info, run_drop, run_drop_database, run_create,
    run_create_indexes, run_list_indexes, run_list_collections, run_list_databases,
    run_connection_status; // admin.c

// Documents of a collection (NULL: none), in the order they came.
struct list {
    struct doc *v;
    size_t n, cap;
};
// Those that the filter means; false, with *ret_what, where it is not understood.
bool list_matches(const struct coll *c, struct doc filter, struct list *to, const char **ret_what)
    GTAP_CHECK;
void list_cut(struct list *l, int64_t skip, int64_t limit); // limit 0: none
// Appends cursor: {...} with a first batch, and keeps the rest.
void reply_cursor(struct server *s, const struct request *r, const struct list *l, int64_t batch,
                  bool single, struct buf *to);
