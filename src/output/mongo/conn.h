// A connection to a MongoDB server by libmongoc 1.23: its URI and timeouts, commands and their
// answers, cursors, and MongoDB's errors in our words. Internal to src/output/mongo.
//
// One client a handle: libmongoc's clients are not thread-safe, as our handles are not. Every
// command names one database; all waiting ends by the timeouts of the URI (open: conn.c).
#pragma once

#include "base/error.h"
#include "output/mongo/bson.h"

struct mg_conn {
    mongoc_client_t *client;
    char *db;
    char *name;                        // for messages, without secrets
    bson_t write_opts;                 // {writeConcern: ...}
    bson_t read_opts;                  // {} or the session of a held snapshot
    mongoc_client_session_t *snapshot; // NULL: none is held
    bool away;                         // the last command had no answer
};

// uri: "mongodb://..." as given. primary: read from the primary whatever the URI prefers, because
// what is read decides what is written. Nothing is sent before the first command.
int mg_connect(struct str uri, const char *name, bool primary, struct mg_conn *c, struct error *err)
    GTAP_CHECK;
void mg_disconnect(struct mg_conn *c); // takes no time when the server is away

// ---- commands ------------------------------------------------------------------------------

enum mg_kind {
    MG_READ,
    MG_OUTSIDE, // a read of what is there now, also while a snapshot is held
    MG_WRITE,   // statements that change one document each: libmongoc may send them again, once
    MG_UPDATE,  // a write that it must not repeat by itself: it changes many
};
// Runs the command in b[at..]; *reply is initialised in any case and to be destroyed. A command
// that failed, or was not made durable in time (writeConcernError), is an error; what became of its
// single statements is in the reply: see mg_write_errors.
int mg_run(struct mg_conn *c, enum mg_kind kind, const struct mg_buf *b, size_t at, bson_t *reply,
           struct error *err) GTAP_CHECK;

// The same where only success counts: a statement that failed is an error, too.
int mg_do(struct mg_conn *c, enum mg_kind kind, const struct mg_buf *b, size_t at,
          struct error *err) GTAP_CHECK;

struct mg_write_error {
    int64_t index;
    int32_t code;
    bool duplicate_id; // the only unique index that is ours
    struct str text;
};
// Goes over writeErrors; start with *it from mg_write_errors_begin. Texts live with the reply.
bool mg_write_errors_begin(const bson_t *reply, bson_iter_t *it);
bool mg_write_errors_next(bson_iter_t *it, struct mg_write_error *ret);
int64_t mg_reply_int(const bson_t *reply, const char *field); // 0: not there

// ---- many statements -----------------------------------------------------------------------

// A command of many statements that is sent when it is full: {insert|update|delete: collection,
// ordered: false, KEY: [...]}. How many that are follows from how long the server takes: one for
// which it needs longer than it is waited for (socketTimeoutMS) would be sent again for ever.
// Cursors are answered with MG_BATCH_MAX documents at a time.
enum { MG_BATCH_MAX = 5000, MG_BATCH_MIN = 20, MG_BATCH_FIRST = 500, MG_BATCH_BYTES = 8 << 20 };

struct mg_batch {
    const char *verb, *collection, *key;
    enum mg_kind kind;
    struct mg_buf b;
    size_t array, n; // n statements so far
    size_t most;     // in one command
    int64_t matched; // of all that were sent: "n" of the replies
};
void mg_batch_init(struct mg_batch *m, const char *verb, const char *collection);
void mg_batch_done(struct mg_batch *m);
// Opens the next statement: a document in m->b, to be closed by mg_end().
size_t mg_batch_add(struct mg_batch *m);
bool mg_batch_full(const struct mg_batch *m);
// Sends it, as mg_run() does, and learns from it; mg_batch_clear() makes it empty.
int mg_batch_run(struct mg_conn *c, struct mg_batch *m, bson_t *reply, struct error *err)
    GTAP_CHECK;
void mg_batch_clear(struct mg_batch *m);
// Its n statements took so long, ns; without an answer they took too long.
void mg_batch_learn(struct mg_batch *m, int64_t took, bool answered);
// Sends what is there, or only when it is full; a statement that failed is an error.
int mg_batch_flush(struct mg_conn *c, struct mg_batch *m, struct error *err) GTAP_CHECK;
int mg_batch_spill(struct mg_conn *c, struct mg_batch *m, struct error *err) GTAP_CHECK;

// ---- cursors -------------------------------------------------------------------------------

// A query: its filter and its options ({sort, limit, projection}), both closed documents.
struct mg_query {
    struct mg_buf filter, opts;
};
void mg_query_done(struct mg_query *q);

int mg_find(struct mg_conn *c, const char *collection, const struct mg_query *q,
            mongoc_cursor_t **ret, struct error *err) GTAP_CHECK;
// 1 with a document that lives until the next call, 0 at the end, or a negative errno.
int mg_next(struct mg_conn *c, mongoc_cursor_t *cursor, const bson_t **ret, struct error *err)
    GTAP_CHECK;
// The first document, copied to *ret (initialised, to be destroyed, when 1 is returned).
int mg_find_one(struct mg_conn *c, const char *collection, const struct mg_query *q, bson_t *ret,
                struct error *err) GTAP_CHECK;

// From here to mg_end_snapshot() reads are of one moment. -EOPNOTSUPP, here or from the first read:
// the server has no snapshots.
int mg_begin_snapshot(struct mg_conn *c, struct error *err) GTAP_CHECK;
void mg_end_snapshot(struct mg_conn *c);

// ---- errors (errors.c) ---------------------------------------------------------------------

// Sets *err from libmongoc's error, or from a server's code; returns err's code.
int mg_fail(const struct mg_conn *c, const bson_error_t *error, struct error *err);
int mg_fail_code(const struct mg_conn *c, int32_t code, const char *text, struct error *err);
// Whether a statement failed by what is in its document, so that repeating it is no use.
bool mg_code_refuses(int32_t code);
// A document that gtap did not write.
int mg_fail_corrupt(const struct mg_conn *c, const char *collection, struct error *err);

enum { MG_DUPLICATE_KEY = 11000 };
