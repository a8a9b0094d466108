#include "server.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/hash.h"

struct code {
    int code;
    const char *name;
    bool retryable; // the server marks it so when the write has a transaction number
};

static const struct code codes[] = {
    {2, "BadValue", false},
    {6, "HostUnreachable", true},
    {7, "HostNotFound", true},
    {9, "FailedToParse", false},
    {13, "Unauthorized", false},
    {14, "TypeMismatch", false},
    {18, "AuthenticationFailed", false},
    {26, "NamespaceNotFound", false},
    {28, "PathNotViable", false},
    {43, "CursorNotFound", false},
    {50, "MaxTimeMSExpired", false},
    {59, "CommandNotFound", false},
    {64, "WriteConcernFailed", false},
    {66, "ImmutableField", false},
    {89, "NetworkTimeout", true},
    {91, "ShutdownInProgress", true},
    {112, "WriteConflict", false},
    {121, "DocumentValidationFailure", false},
    {189, "PrimarySteppedDown", true},
    {262, "ExceededTimeLimit", true},
    {8000, "AtlasError", false},
    {10107, "NotWritablePrimary", true},
    {10334, "BSONObjectTooLarge", false},
    {11000, "DuplicateKey", false},
    {11600, "InterruptedAtShutdown", true},
    {11602, "InterruptedDueToReplStateChange", true},
    {13435, "NotPrimaryNoSecondaryOk", true},
    {13436, "NotPrimaryOrSecondary", true},
    {14031, "OutOfDiskSpace", false},
};

static struct code find_code(int code)
{
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        if (codes[i].code == code) {
            return codes[i];
        }
    }
    return (struct code){code, NULL, false};
}

void reply_ok(struct buf *to)
{
    put_double(to, "ok", 1);
}

void reply_error(struct buf *to, int code, const char *why)
{
    char made[32];
    struct code c = find_code(code);
    snprintf(made, sizeof(made), "Location%d", code);
    put_double(to, "ok", 0);
    put_str(to, "errmsg", str_of(why));
    put_i32(to, "code", code);
    put_str(to, "codeName", str_of(c.name ? c.name : made));
}

struct str server_ns(struct server *s, const struct request *r)
{
    buf_clear(&s->ns);
    buf_str(&s->ns, r->db);
    if (str_present(r->coll)) {
        buf_char(&s->ns, '.');
        buf_str(&s->ns, r->coll);
    }
    return buf_view(&s->ns);
}

// ---- writes --------------------------------------------------------------------------------

void outcome_error(struct outcome *out, size_t i, int code, const char *why)
{
    char key[24];
    snprintf(key, sizeof(key), "%zu", out->n_errors++);
    size_t mark = put_open(&out->errors, BSON_DOC, key);
    put_i32(&out->errors, "index", (int32_t)i);
    put_i32(&out->errors, "code", code);
    put_str(&out->errors, "errmsg", str_of(why));
    put_close(&out->errors, mark);
}

static void put_elements(struct buf *to, const char *key, const struct buf *elements)
{
    size_t mark = put_open(to, BSON_ARRAY, key);
    buf_str(to, buf_view(elements));
    put_close(to, mark);
}

static void reply_write(struct buf *to, const struct outcome *out, bool is_update)
{
    put_i32(to, "n", out->n);
    if (is_update) {
        put_i32(to, "nModified", out->modified);
    }
    if (out->n_upserted > 0) {
        put_elements(to, "upserted", &out->upserted);
    }
    if (out->n_errors > 0) {
        put_elements(to, "writeErrors", &out->errors);
    }
}

static void put_concern_error(struct buf *to)
{
    size_t mark = put_open(to, BSON_DOC, "writeConcernError");
    put_i32(to, "code", 64);
    put_str(to, "codeName", STR("WriteConcernFailed"));
    put_str(to, "errmsg", STR("waiting for replication timed out"));
    size_t info = put_open(to, BSON_DOC, "errInfo");
    put_bool(to, "wtimeout", true);
    put_close(to, info);
    put_close(to, mark);
}

static void run_write(struct server *s, const struct request *r, const struct fault *fault,
                      bool refusing, write_fn *fn, struct buf *to)
{
    struct outcome out = {.refusing = refusing,
                          .rolled_back = fault && fault->kind == FAULT_ROLLED_BACK};
    buf_init(&out.errors, MESSAGE_MAX);
    buf_init(&out.upserted, MESSAGE_MAX);
    fn(s, r, &out);
    reply_write(to, &out, fn == write_update);
    buf_done(&out.errors);
    buf_done(&out.upserted);
}

// ---- sessions ------------------------------------------------------------------------------

// Where a write with a transaction number is remembered; NULL for any other.
static struct session *find_session(struct server *s, const struct request *r, int64_t *ret_number)
{
    struct value id = doc_get(value_doc(doc_get(r->body, "lsid")), "id");
    struct value number = doc_get(r->body, "txnNumber");
    if (id.type != BSON_BINARY || id.n != 21 || !value_i64(number, ret_number)) {
        return NULL;
    }
    const uint8_t *uuid = id.p + 5;
    struct session *x = &s->sessions[hash_bytes(uuid, 16, 0) % SESSIONS];
    if (memcmp(x->id, uuid, sizeof(x->id)) != 0) {
        memcpy(x->id, uuid, sizeof(x->id));
        x->number = 0;
    }
    return x;
}

static void remember(struct session *x, int64_t number, struct doc answer)
{
    x->number = number;
    x->answer = x_realloc_array(x->answer, answer.n, 1);
    x->n = answer.n;
    memcpy(x->answer, answer.p, answer.n);
}

// ---- all of them ---------------------------------------------------------------------------

struct command {
    const char *name;
    command_fn *run; // or
    write_fn *write; // one that reports by an outcome
    bool needs_primary, reads;
};

static const struct command commands[COMMANDS_MAX] = {
    {"hello", run_hello, NULL, false, false},
    {"ping", run_nothing, NULL, false, false},
    {"buildInfo", run_build_info, NULL, false, false},
    {"endSessions", run_nothing, NULL, false, false},
    {"insert", NULL, write_insert, true, false},
    {"update", NULL, write_update, true, false},
    {"delete", NULL, write_delete, true, false},
    {"findAndModify", run_find_and_modify, NULL, true, false},
    {"find", run_find, NULL, false, true},
    {"getMore", run_get_more, NULL, false, false},
    {"killCursors", run_kill_cursors, NULL, false, false},
    {"count", run_count, NULL, false, true},
    {"aggregate", run_aggregate, NULL, false, true},
    {"create", run_create, NULL, true, false},
    {"createIndexes", run_create_indexes, NULL, true, false},
    {"listIndexes", run_list_indexes, NULL, false, true},
    {"listDatabases", run_list_databases, NULL, false, true},
    {"connectionStatus", run_connection_status, NULL, false, false},
    {"listCollections", run_list_collections, NULL, false, true},
    {"drop", run_drop, NULL, true, false},
    {"dropDatabase", run_drop_database, NULL, true, false},
};

static const struct command *find_command(struct str name)
{
    for (size_t i = 0; i < COMMANDS_MAX && commands[i].name; i++) {
        if (str_eq(name, str_of(commands[i].name))) {
            return &commands[i];
        }
    }
    return NULL;
}

// The error that the state of the server makes of it, 0: none.
static int state_error(const struct server *s, const struct command *c, const struct request *r)
{
    if (s->primary || !s->set_name) {
        return 0;
    }
    if (c->needs_primary) {
        return 10107;
    }
    struct doc preference = value_doc(doc_get(r->body, "$readPreference"));
    struct str mode = value_str(doc_get(preference, "mode"));
    bool anywhere = str_present(mode) && !str_eq(mode, STR("primary"));
    return c->reads && !anywhere ? 13435 : 0;
}

static void put_error(const struct request *r, int code, const char *why, struct buf *to)
{
    reply_error(to, code, why);
    if (find_code(code).retryable && doc_get(r->body, "txnNumber").type != BSON_NONE) {
        size_t labels = put_open(to, BSON_ARRAY, "errorLabels");
        put_str(to, "0", STR("RetryableWriteError"));
        put_close(to, labels);
    }
}

static void run_command(struct server *s, const struct command *c, const struct request *r,
                        const struct fault *fault, bool refusing, struct buf *to)
{
    if (!c->write) {
        c->run(s, r, to);
        return;
    }
    run_write(s, r, fault, refusing, c->write, to);
    if (fault && (fault->kind == FAULT_WRITE_CONCERN || fault->kind == FAULT_ROLLED_BACK)) {
        put_concern_error(to);
    }
    reply_ok(to);
}

// Once for each transaction number.
static void run_once(struct server *s, const struct command *c, const struct request *r,
                     const struct fault *fault, bool refusing, struct buf *to)
{
    int64_t number = 0;
    struct session *x = c->needs_primary ? find_session(s, r, &number) : NULL;
    if (x && x->number == number && number > 0) {
        s->count.repeated++;
        buf_add(to, x->answer, x->n);
        return;
    }
    size_t mark = put_begin(to);
    run_command(s, c, r, fault, refusing, to);
    put_close(to, mark);
    bool remembered = !fault || fault->kind != FAULT_ROLLED_BACK;
    if (x && remembered && buf_ok(to)) {
        remember(x, number, doc_of(to, mark));
    }
}

static void run_refused(const struct request *r, int code, const char *why, struct buf *to)
{
    size_t mark = put_begin(to);
    put_error(r, code, why, to);
    put_close(to, mark);
}

void server_run(struct server *s, const struct request *r, const struct fault *fault, bool refusing,
                struct buf *to)
{
    const struct command *c = find_command(r->name);
    if (!c) {
        run_refused(r, 59, "no such command", to);
        return;
    }
    s->count.commands[c - commands]++;
    bool stepping_down = fault && fault->kind == FAULT_NOT_PRIMARY;
    s->primary = s->primary && !stepping_down;
    int code = stepping_down                         ? 10107
               : fault && fault->kind == FAULT_ERROR ? (int)fault->code
                                                     : state_error(s, c, r);
    if (code != 0) {
        run_refused(r, code, code == 10107 ? "not primary" : "as the test wants it", to);
    } else {
        run_once(s, c, r, fault, refusing, to);
    }
}

// ---- life ----------------------------------------------------------------------------------

void server_init(struct server *s, enum memory memory, uint64_t bytes_max)
{
    *s = (struct server){.docs = {.memory = memory, .bytes_max = bytes_max}, .primary = true};
    s->sessions = x_array(SESSIONS, sizeof(*s->sessions));
    buf_init(&s->scratch, REPLY_MAX);
    buf_init(&s->ns, 4096);
}

void server_reset(struct server *s)
{
    docs_done(&s->docs);
    faults_clear(&s->faults);
    while (s->cursors) {
        struct cursor *gone = s->cursors;
        s->cursors = gone->next;
        buf_done(&gone->docs);
        free(gone->ns);
        free(gone);
    }
    s->count = (struct counters){.open = s->count.open};
    s->primary = true;
}

void server_done(struct server *s)
{
    server_reset(s);
    for (size_t i = 0; i < SESSIONS; i++) {
        free(s->sessions[i].answer);
    }
    free(s->sessions);
    buf_done(&s->scratch);
    buf_done(&s->ns);
}

static void put_collections(const struct server *s, struct buf *to)
{
    size_t mark = put_open(to, BSON_DOC, "collections");
    for (const struct coll *c = s->docs.colls; c; c = c->next) {
        put_i64(to, c->ns, (int64_t)c->count);
    }
    put_close(to, mark);
}

static void put_commands(const struct server *s, struct buf *to)
{
    size_t mark = put_open(to, BSON_DOC, "commands");
    for (size_t i = 0; i < COMMANDS_MAX && commands[i].name; i++) {
        put_i64(to, commands[i].name, (int64_t)s->count.commands[i]);
    }
    put_close(to, mark);
}

static void put_faults(const struct server *s, struct buf *to)
{
    size_t mark = put_open(to, BSON_DOC, "faults");
    for (const struct fault *f = s->faults.first; f; f = f->next) {
        char id[16];
        snprintf(id, sizeof(id), "%d", f->id);
        put_i64(to, id, (int64_t)f->hits);
    }
    put_close(to, mark);
}

void server_stats(const struct server *s, struct buf *to)
{
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {
        {"inserted", s->count.inserted},
        {"duplicates", s->count.duplicates},
        {"matched", s->count.matched},
        {"modified", s->count.modified},
        {"upserted", s->count.upserted},
        {"deleted", s->count.deleted},
        {"refused", s->count.refused},
        {"repeated", s->count.repeated},
        {"connections", s->count.connections},
        {"open", s->count.open},
        {"bytes", s->docs.bytes},
        {"largest_batch", s->count.largest_batch},
    };
    uint64_t documents = 0;
    for (const struct coll *c = s->docs.colls; c; c = c->next) {
        documents += c->count;
    }
    size_t mark = put_begin(to);
    put_i64(to, "documents", (int64_t)documents);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        put_i64(to, numbers[i].name, (int64_t)numbers[i].value);
    }
    put_bool(to, "primary", s->primary);
    put_collections(s, to);
    put_commands(s, to);
    put_faults(s, to);
    put_close(to, mark);
}
