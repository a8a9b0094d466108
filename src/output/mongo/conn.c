#include "output/mongo/conn.h"

#include <errno.h>
#include <stdlib.h>

static void default_int(mongoc_uri_t *uri, const char *option, int32_t value)
{
    if (!mongoc_uri_has_option(uri, option)) {
        (void)mongoc_uri_set_option_as_int32(uri, option, value);
    }
}

// libmongoc's own let a silent server hold a batch for five minutes.
static void set_timeouts(mongoc_uri_t *uri)
{
    default_int(uri, MONGOC_URI_SOCKETTIMEOUTMS, 30000);
    default_int(uri, MONGOC_URI_CONNECTTIMEOUTMS, 5000);
    default_int(uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, 5000);
    if (!mongoc_uri_has_option(uri, MONGOC_URI_SERVERSELECTIONTRYONCE)) {
        (void)mongoc_uri_set_option_as_bool(uri, MONGOC_URI_SERVERSELECTIONTRYONCE, false);
    }
    if (mongoc_uri_get_appname(uri) == NULL) {
        (void)mongoc_uri_set_appname(uri, "gtap");
    }
}

// What is acknowledged is on the disks of a majority, unless the URI says otherwise.
static void set_write_concern(struct mg_conn *c, const mongoc_uri_t *uri)
{
    enum { WTIMEOUT_MS = 10000 };
    mongoc_write_concern_t *wc = mongoc_write_concern_copy(mongoc_uri_get_write_concern(uri));
    if (!mongoc_uri_has_option(uri, MONGOC_URI_W)) {
        mongoc_write_concern_set_w(wc, MONGOC_WRITE_CONCERN_W_MAJORITY);
    }
    if (!mongoc_uri_has_option(uri, MONGOC_URI_JOURNAL)) {
        mongoc_write_concern_set_journal(wc, true);
    }
    if (!mongoc_uri_has_option(uri, MONGOC_URI_WTIMEOUTMS)) {
        mongoc_write_concern_set_wtimeout_int64(wc, WTIMEOUT_MS);
    }
    (void)mongoc_write_concern_append(wc, &c->write_opts);
    mongoc_write_concern_destroy(wc);
}

static int connect_uri(const mongoc_uri_t *uri, bool primary, struct mg_conn *c, struct error *err)
{
    bson_error_t error = {0};
    const mongoc_write_concern_t *wc = mongoc_uri_get_write_concern(uri);
    if (!mongoc_write_concern_is_acknowledged(wc)) {
        return error_set(err, -EINVAL, "%s: w=0 would lose what is written: leave w away", c->name);
    }
    c->client = mongoc_client_new_from_uri_with_error(uri, &error);
    if (c->client == NULL) {
        return error_set(err, -EINVAL, "%s: %s", c->name, error.message);
    }
    (void)mongoc_client_set_error_api(c->client, MONGOC_ERROR_API_VERSION_2);
    if (primary) {
        mongoc_read_prefs_t *prefs = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
        mongoc_client_set_read_prefs(c->client, prefs);
        mongoc_read_prefs_destroy(prefs);
    }
    const char *db = mongoc_uri_get_database(uri);
    c->db = x_strdup(db && *db ? db : "gtap");
    set_write_concern(c, uri);
    return 0;
}

int mg_connect(struct str text, const char *name, bool primary, struct mg_conn *c,
               struct error *err)
{
    bson_error_t error = {0};
    char *given AUTO_FREE = x_strndup(text.p, text.n);
    int r = mongo_lib_load(err);
    if (r < 0) {
        return error_prefix(err, "%s", name);
    }
    *c = (struct mg_conn){.name = x_strdup(name)};
    bson_init(&c->write_opts);
    bson_init(&c->read_opts);
    mongoc_uri_t *uri = mongoc_uri_new_with_error(given, &error);
    if (uri == NULL) {
        return error_set(err, -EINVAL, "%s: %s", name, error.message);
    }
    set_timeouts(uri);
    r = connect_uri(uri, primary, c, err);
    mongoc_uri_destroy(uri);
    return r;
}

void mg_disconnect(struct mg_conn *c)
{
    if (c->name == NULL) {
        return;
    }
    mg_end_snapshot(c);
    if (c->client && c->away) {
        mongoc_client_reset(c->client); // else it would wait for the server, to end its sessions
    }
    if (c->client) {
        mongoc_client_destroy(c->client);
    }
    bson_destroy(&c->write_opts);
    bson_destroy(&c->read_opts);
    free(c->db);
    free(c->name);
    *c = (struct mg_conn){0};
}

// ---- commands ------------------------------------------------------------------------------

int64_t mg_reply_int(const bson_t *reply, const char *field)
{
    bson_iter_t it;
    return bson_iter_init_find(&it, reply, field) && BSON_ITER_HOLDS_NUMBER(&it)
               ? bson_iter_as_int64(&it)
               : 0;
}

static int check_concern(const struct mg_conn *c, const bson_t *reply, struct error *err)
{
    bson_iter_t it, in;
    if (!bson_iter_init_find(&it, reply, "writeConcernError") || !BSON_ITER_HOLDS_DOCUMENT(&it)) {
        return 0;
    }
    int32_t code = bson_iter_recurse(&it, &in) && bson_iter_find(&in, "code")
                       ? (int32_t)bson_iter_as_int64(&in)
                       : 64;
    const char *text =
        bson_iter_recurse(&it, &in) && bson_iter_find(&in, "errmsg") && BSON_ITER_HOLDS_UTF8(&in)
            ? bson_iter_utf8(&in, NULL)
            : NULL;
    return mg_fail_code(c, code, text, err);
}

int mg_run(struct mg_conn *c, enum mg_kind kind, const struct mg_buf *b, size_t at, bson_t *reply,
           struct error *err)
{
    bson_error_t error = {0};
    bson_t command;
    mg_view(b, at, &command);
    bool ok = kind == MG_READ || kind == MG_OUTSIDE
                  ? mongoc_client_read_command_with_opts(c->client, c->db, &command, NULL,
                                                         kind == MG_READ ? &c->read_opts : NULL,
                                                         reply, &error)
              : kind == MG_WRITE ? mongoc_client_write_command_with_opts(
                                       c->client, c->db, &command, &c->write_opts, reply, &error)
                                 : mongoc_client_command_with_opts(c->client, c->db, &command, NULL,
                                                                   &c->write_opts, reply, &error);
    int r = check_concern(c, reply, err);
    c->away = r == 0 && !ok && reply->len <= 5; // an empty document
    if (r < 0) {
        return r;
    }
    bool answered = mg_reply_int(reply, "ok") == 1;
    return ok || answered ? 0 : mg_fail(c, &error, err);
}

bool mg_write_errors_begin(const bson_t *reply, bson_iter_t *it)
{
    bson_iter_t at;
    return bson_iter_init_find(&at, reply, "writeErrors") && BSON_ITER_HOLDS_ARRAY(&at) &&
           bson_iter_recurse(&at, it);
}

static bool is_id_pattern(const bson_iter_t *at)
{
    bson_iter_t in;
    return BSON_ITER_HOLDS_DOCUMENT(at) && bson_iter_recurse(at, &in) && bson_iter_next(&in) &&
           strcmp(bson_iter_key(&in), "_id") == 0 && !bson_iter_next(&in);
}

bool mg_write_errors_next(bson_iter_t *it, struct mg_write_error *ret)
{
    bson_iter_t in;
    if (!bson_iter_next(it) || !bson_iter_recurse(it, &in)) {
        return false;
    }
    bool pattern = false, id = false;
    *ret = (struct mg_write_error){.index = -1, .text = STR("no reason was given")};
    while (bson_iter_next(&in)) {
        const char *key = bson_iter_key(&in);
        if (strcmp(key, "index") == 0) {
            ret->index = bson_iter_as_int64(&in);
        } else if (strcmp(key, "code") == 0) {
            ret->code = (int32_t)bson_iter_as_int64(&in);
        } else if (strcmp(key, "errmsg") == 0 && BSON_ITER_HOLDS_UTF8(&in)) {
            uint32_t n = 0;
            ret->text.p = bson_iter_utf8(&in, &n);
            ret->text.n = n;
        } else if (strcmp(key, "keyPattern") == 0) {
            pattern = true;
            id = is_id_pattern(&in);
        }
    }
    // Servers before 4.2 send no pattern: theirs is in the text.
    id = pattern ? id : strstr(ret->text.p, "_id_ ") != NULL;
    ret->duplicate_id = ret->code == MG_DUPLICATE_KEY && id;
    return true;
}

int mg_do(struct mg_conn *c, enum mg_kind kind, const struct mg_buf *b, size_t at,
          struct error *err)
{
    bson_t reply;
    bson_iter_t it;
    struct mg_write_error failed;
    int r = mg_run(c, kind, b, at, &reply, err);
    if (r == 0 && mg_write_errors_begin(&reply, &it) && mg_write_errors_next(&it, &failed)) {
        r = failed.duplicate_id // two upserts met: the second attempt finds the document
                ? mg_fail_code(c, 112, failed.text.p, err)
                : mg_fail_code(c, failed.code, failed.text.p, err);
    }
    bson_destroy(&reply);
    return r;
}

// ---- many statements -----------------------------------------------------------------------

void mg_batch_init(struct mg_batch *m, const char *verb, const char *collection)
{
    *m = (struct mg_batch){
        .verb = verb, .collection = collection, .kind = MG_WRITE, .most = MG_BATCH_FIRST};
    m->key = strcmp(verb, "insert") == 0   ? "documents"
             : strcmp(verb, "update") == 0 ? "updates"
                                           : "deletes";
}

void mg_batch_done(struct mg_batch *m)
{
    mg_buf_done(&m->b);
}

void mg_batch_clear(struct mg_batch *m)
{
    m->b.n = m->n = 0;
}

static void begin_command(struct mg_batch *m)
{
    (void)mg_begin(&m->b);
    mg_key(&m->b, '\x02', str_of(m->verb));
    mg_text(&m->b, NULL, 0, str_of(m->collection));
    MG_BOOL(&m->b, "ordered", false);
    mg_key(&m->b, '\x04', str_of(m->key));
    m->array = mg_begin(&m->b);
}

size_t mg_batch_add(struct mg_batch *m)
{
    if (m->n == 0) {
        begin_command(m);
    }
    mg_index(&m->b, '\x03', m->n++);
    return mg_begin(&m->b);
}

bool mg_batch_full(const struct mg_batch *m)
{
    return m->n >= m->most || m->b.n >= MG_BATCH_BYTES;
}

// A few milliseconds for each on a server that is overloaded, or on a small one, are half a minute
// for all; elsewhere the largest takes a tenth of a second.
void mg_batch_learn(struct mg_batch *m, int64_t took, bool answered)
{
    const int64_t good = NS_PER_S;
    size_t most = m->most;
    if (!answered) {
        most = MIN(most, m->n / 2);
    } else if (took > 2 * good) {
        most = MIN(most, (size_t)((double)m->n * (double)good / (double)took));
    } else if (took < good / 2 && m->n >= most) {
        most = 2 * most;
    }
    m->most = MIN(MAX(most, (size_t)MG_BATCH_MIN), (size_t)MG_BATCH_MAX);
}

int mg_batch_run(struct mg_conn *c, struct mg_batch *m, bson_t *reply, struct error *err)
{
    struct mono begin = clock_mono(&clock_system);
    mg_end(&m->b, m->array);
    mg_end(&m->b, 0);
    int r = mg_run(c, m->kind, &m->b, 0, reply, err);
    mg_batch_learn(m, clock_mono(&clock_system).ns - begin.ns, !c->away);
    return r;
}

int mg_batch_flush(struct mg_conn *c, struct mg_batch *m, struct error *err)
{
    bson_t reply;
    bson_iter_t it;
    struct mg_write_error failed;
    if (m->n == 0) {
        return 0;
    }
    int r = mg_batch_run(c, m, &reply, err);
    if (r == 0 && mg_write_errors_begin(&reply, &it) && mg_write_errors_next(&it, &failed)) {
        r = mg_fail_code(c, failed.duplicate_id ? 112 : failed.code, failed.text.p, err);
    }
    m->matched += r < 0 ? 0 : mg_reply_int(&reply, "n");
    bson_destroy(&reply);
    mg_batch_clear(m);
    return r;
}

int mg_batch_spill(struct mg_conn *c, struct mg_batch *m, struct error *err)
{
    return mg_batch_full(m) ? mg_batch_flush(c, m, err) : 0;
}

// ---- cursors -------------------------------------------------------------------------------

void mg_query_done(struct mg_query *q)
{
    mg_buf_done(&q->filter);
    mg_buf_done(&q->opts);
}

int mg_find(struct mg_conn *c, const char *collection, const struct mg_query *q,
            mongoc_cursor_t **ret, struct error *err)
{
    (void)err; // cursors tell their errors when they are read
    static const struct mg_buf empty = {(char *)(uintptr_t) "\5\0\0\0", 5, 5};
    bson_t filter, given, opts = BSON_INITIALIZER;
    mg_view(q->filter.n ? &q->filter : &empty, 0, &filter);
    mg_view(q->opts.n ? &q->opts : &empty, 0, &given);
    (void)bson_concat(&opts, &given);
    (void)bson_concat(&opts, &c->read_opts);
    mongoc_collection_t *coll = mongoc_client_get_collection(c->client, c->db, collection);
    *ret = mongoc_collection_find_with_opts(coll, &filter, &opts, NULL);
    // Of its own accord a server answers with 16 MiB at once, which libmongoc holds twice.
    mongoc_cursor_set_batch_size(*ret, MG_BATCH_MAX);
    mongoc_collection_destroy(coll);
    bson_destroy(&opts);
    return 0;
}

int mg_next(struct mg_conn *c, mongoc_cursor_t *cursor, const bson_t **ret, struct error *err)
{
    bson_error_t error;
    if (mongoc_cursor_next(cursor, ret)) {
        return 1;
    }
    return mongoc_cursor_error(cursor, &error) ? mg_fail(c, &error, err) : 0;
}

int mg_find_one(struct mg_conn *c, const char *collection, const struct mg_query *q, bson_t *ret,
                struct error *err)
{
    mongoc_cursor_t *cursor = NULL;
    const bson_t *doc;
    int r = mg_find(c, collection, q, &cursor, err);
    if (r < 0) {
        return r;
    }
    r = mg_next(c, cursor, &doc, err);
    if (r > 0) {
        bson_copy_to(doc, ret);
    }
    mongoc_cursor_destroy(cursor);
    return r;
}

void mg_end_snapshot(struct mg_conn *c)
{
    if (c->snapshot) {
        mongoc_client_session_destroy(c->snapshot);
        c->snapshot = NULL;
        bson_reinit(&c->read_opts);
    }
}

int mg_begin_snapshot(struct mg_conn *c, struct error *err)
{
    bson_error_t error = {0};
    mongoc_session_opt_t *opts = mongoc_session_opts_new();
    mongoc_session_opts_set_causal_consistency(opts, false);
    mongoc_session_opts_set_snapshot(opts, true);
    c->snapshot = mongoc_client_start_session(c->client, opts, &error);
    mongoc_session_opts_destroy(opts);
    if (c->snapshot == NULL || !mongoc_client_session_append(c->snapshot, &c->read_opts, &error)) {
        return mg_fail(c, &error, err);
    }
    return 0;
}
