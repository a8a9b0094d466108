// Rows of hours and days once more, each span's in one blob, for those who read many: stepping
// through as many rows of a table takes several times as long.
//
// A pack begins with a hash of the rest, eight bytes, least first. Then, row by row in canonical
// order: a byte of kind, method and whether energy is known; place, consumer and revision as
// varints; the numbers as varints of zigzag (https://protobuf.dev/programming-guides/encoding);
// energy, eight bytes, if it is known. Window start and shard stand beside it, and hours and days
// are final.
#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "output/sqlite/sqlite.h"

enum {
    KIND_BITS = 3,
    METHOD_BIT = 4,
    ENERGY_BIT = 8,
    HASH_BYTES = 8,
    ROW_BYTES_MAX = 1 + 13 * 10 + 8,
    NUMBERS = 10,
    PACK_BYTES_MAX = 512 << 20,
};

// ---- writing -------------------------------------------------------------------------------

static char *put_varint(char *at, uint64_t v)
{
    while (v >= 0x80) {
        *at++ = (char)(v | 0x80);
        v >>= 7;
    }
    *at++ = (char)v;
    return at;
}

static uint64_t zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static void pack_row(struct buf *b, int64_t place, int64_t consumer, const struct window_row *row)
{
    const int64_t numbers[NUMBERS] = {row->cost_nusd,         row->cost_in_nusd,
                                      row->cost_out_nusd,     row->prompt_tokens,
                                      row->completion_tokens, row->cached_prompt_tokens,
                                      row->requests,          row->unpriced_requests,
                                      row->busy_ns,           row->unpriced_ns};
    char *const begin = buf_reserve(b, ROW_BYTES_MAX);
    if (begin == NULL) {
        return;
    }
    char *at = begin;
    *at++ = (char)((unsigned)row->kind | (row->method == METHOD_EQUAL ? METHOD_BIT : 0U) |
                   (row->has_energy ? ENERGY_BIT : 0U));
    at = put_varint(at, (uint64_t)place);
    at = put_varint(at, (uint64_t)consumer);
    at = put_varint(at, (uint64_t)row->revision);
    for (size_t i = 0; i < NUMBERS; i++) {
        at = put_varint(at, zigzag(numbers[i]));
    }
    if (row->has_energy) {
        memcpy(at, &row->energy_j, sizeof(row->energy_j));
        at += sizeof(row->energy_j);
    }
    b->n += (size_t)(at - begin);
}

static void begin_pack(struct buf *b)
{
    static const char hash[HASH_BYTES];
    buf_clear(b);
    buf_add(b, hash, sizeof(hash));
}

static uint64_t pack_hash(const char *p, size_t n)
{
    return hash_bytes(p + HASH_BYTES, n - HASH_BYTES, 0);
}

static int store_pack(struct sq_conn *c, enum window_level level, int64_t start, int64_t shard,
                      struct buf *b, struct error *err)
{
    static const char sql[] =
        "INSERT INTO cost_pack(level, window_start, shard, rows) VALUES (?1, ?2, ?3, ?4)";
    sqlite3_stmt *stmt;
    if (!buf_ok(b)) {
        return error_set(err, -E2BIG, "%s: the rows of one hour or day are more than %d MB",
                         c->name, PACK_BYTES_MAX >> 20);
    }
    int r = sq_statement(c, sql, &stmt, err);
    if (r < 0) {
        return r;
    }
    uint64_t hash = pack_hash(b->p, b->n);
    memcpy(b->p, &hash, sizeof(hash));
    (void)sqlite3_bind_int64(stmt, 1, (int64_t)level);
    (void)sqlite3_bind_int64(stmt, 2, start);
    (void)sqlite3_bind_int64(stmt, 3, shard);
    (void)sqlite3_bind_blob64(stmt, 4, b->p, b->n, SQLITE_STATIC);
    return sq_run(c, stmt, err);
}

static int drop_pack(struct sq_conn *c, enum window_level level, int64_t start, int64_t shard,
                     struct error *err)
{
    static const char sql[] =
        "DELETE FROM cost_pack WHERE level = ?1 AND window_start = ?2 AND shard = ?3";
    sqlite3_stmt *stmt;
    int r = sq_statement(c, sql, &stmt, err);
    if (r < 0) {
        return r;
    }
    (void)sqlite3_bind_int64(stmt, 1, (int64_t)level);
    (void)sqlite3_bind_int64(stmt, 2, start);
    (void)sqlite3_bind_int64(stmt, 3, shard);
    return sq_run(c, stmt, err);
}

int sq_put_pack(struct sq_store *s, enum window_level level, int64_t start, uint32_t shard,
                const struct sq_new_row *rows, size_t n, struct error *err)
{
    struct buf *b = &s->writer->pack;
    int r = drop_pack(s->main, level, start, shard, err);
    if (r < 0 || n == 0) {
        return r;
    }
    begin_pack(b);
    for (size_t i = 0; i < n; i++) {
        pack_row(b, rows[i].place, rows[i].consumer, rows[i].row);
    }
    return store_pack(s->main, level, start, shard, b, err);
}

void sq_pack_init(struct buf *b)
{
    buf_init(b, PACK_BYTES_MAX);
}

// ---- a store that has none yet ---------------------------------------------------------------

struct filling {
    struct sq_conn *conn;
    enum window_level level;
    int64_t start, shard;
    struct buf pack;
};

static int end_span(struct filling *f, struct error *err)
{
    return f->pack.n > HASH_BYTES ? store_pack(f->conn, f->level, f->start, f->shard, &f->pack, err)
                                  : 0;
}

static int fill_row(struct filling *f, sqlite3_stmt *stmt, struct error *err)
{
    struct window_row row = {0};
    int64_t shard = sq_i64(stmt, SQ_ROW_COLUMNS);
    int r = 0;
    sq_read_numbers(stmt, &row);
    if (row.window_start != f->start || shard != f->shard) {
        r = end_span(f, err);
        begin_pack(&f->pack);
        f->start = row.window_start;
        f->shard = shard;
    }
    pack_row(&f->pack, sq_i64(stmt, 1), sq_i64(stmt, 2), &row);
    return r;
}

static int fill_level(struct filling *f, struct error *err)
{
    sqlite3_stmt *stmt;
    const struct window_query all = {f->level, INT64_MIN, INT64_MAX, -1};
    int r = sq_rows_statement(f->conn, &all, &stmt, err);
    begin_pack(&f->pack);
    while (r == 0 && (r = sq_row(f->conn, stmt, err)) > 0) {
        r = fill_row(f, stmt, err);
        if (r < 0) {
            sq_reset(stmt);
        }
    }
    return r < 0 ? r : end_span(f, err);
}

int sq_pack_all(struct sq_conn *c, struct error *err)
{
    struct filling f = {.conn = c};
    int r = 0;
    sq_pack_init(&f.pack);
    for (f.level = LEVEL_HOUR; r == 0 && f.level <= LEVEL_DAY; f.level++) {
        r = fill_level(&f, err);
    }
    buf_done(&f.pack);
    return r;
}

// ---- reading ---------------------------------------------------------------------------------

static bool take_varint(struct sq_pack *p, uint64_t *ret)
{
    uint64_t v = 0;
    for (unsigned shift = 0; p->at < p->end && shift < 64; shift += 7) {
        unsigned char c = *p->at++;
        v |= (uint64_t)(c & 0x7f) << shift;
        if (c < 0x80) {
            *ret = v;
            return true;
        }
    }
    return false;
}

static bool take_id(struct sq_pack *p, int64_t *ret)
{
    uint64_t v;
    bool ok = take_varint(p, &v) && v <= INT64_MAX;
    *ret = ok ? (int64_t)v : 0;
    return ok;
}

static bool take_numbers(struct sq_pack *p, struct window_row *row)
{
    int64_t *const numbers[NUMBERS] = {&row->cost_nusd,         &row->cost_in_nusd,
                                       &row->cost_out_nusd,     &row->prompt_tokens,
                                       &row->completion_tokens, &row->cached_prompt_tokens,
                                       &row->requests,          &row->unpriced_requests,
                                       &row->busy_ns,           &row->unpriced_ns};
    uint64_t v;
    for (size_t i = 0; i < NUMBERS; i++) {
        if (!take_varint(p, &v)) {
            return false;
        }
        *numbers[i] = (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
    }
    return true;
}

static bool take_row(struct sq_pack *p, int64_t *ret_place, int64_t *ret_consumer,
                     struct window_row *row)
{
    int64_t revision;
    unsigned bits = *p->at++;
    row->window_start = p->start;
    row->final = true;
    row->kind = (enum row_kind)(bits & KIND_BITS);
    row->method = bits & METHOD_BIT ? METHOD_EQUAL : METHOD_WEIGHTED;
    row->has_energy = bits & ENERGY_BIT;
    if (!take_id(p, ret_place) || !take_id(p, ret_consumer) || !take_id(p, &revision) ||
        revision > INT32_MAX || !take_numbers(p, row)) {
        return false;
    }
    row->revision = (int32_t)revision;
    if (row->has_energy) {
        if ((size_t)(p->end - p->at) < sizeof(row->energy_j)) {
            return false;
        }
        memcpy(&row->energy_j, p->at, sizeof(row->energy_j));
        p->at += sizeof(row->energy_j);
    }
    return true;
}

int sq_packs_statement(struct sq_cursor *c, const struct window_query *q, struct error *err)
{
    static const char sql[] = "SELECT window_start, rows FROM cost_pack WHERE level = ?1"
                              " AND window_start >= ?2 AND window_start < ?3"
                              " ORDER BY window_start, shard";
    int r = sq_cursor_prepare(c, sql, &c->rows, err);
    if (r < 0) {
        return r;
    }
    (void)sqlite3_bind_int64(c->rows, 1, (int64_t)q->level);
    (void)sqlite3_bind_int64(c->rows, 2, q->from);
    (void)sqlite3_bind_int64(c->rows, 3, q->to);
    c->packed = true;
    return 0;
}

int sq_open_pack(struct sq_cursor *c, struct error *err)
{
    const char *p = sqlite3_column_blob(c->rows, 1);
    size_t n = (size_t)sqlite3_column_bytes(c->rows, 1);
    uint64_t hash;
    if (p == NULL || n <= HASH_BYTES) {
        return sq_fail(c->conn, SQLITE_CORRUPT, err);
    }
    memcpy(&hash, p, sizeof(hash));
    if (hash != pack_hash(p, n)) {
        return sq_fail(c->conn, SQLITE_CORRUPT, err);
    }
    c->pack = (struct sq_pack){
        .start = sq_i64(c->rows, 0),
        .at = (const unsigned char *)p + HASH_BYTES,
        .end = (const unsigned char *)p + n,
    };
    return 0;
}

int sq_next_packed(struct sq_cursor *c, struct window_row *ret, struct error *err)
{
    int64_t place, consumer;
    *ret = (struct window_row){0};
    return take_row(&c->pack, &place, &consumer, ret)
               ? sq_name_row(c->conn, place, consumer, ret, err)
               : sq_fail(c->conn, SQLITE_CORRUPT, err);
}

// ---- comparing -------------------------------------------------------------------------------

static int next_of(struct store_cursor *c, struct window_row *row, const struct window_row **ret,
                   struct error *err)
{
    int r = sq_windows_next(c, row, err);
    *ret = r > 0 ? row : NULL;
    return MIN(r, 0);
}

static int compare(struct store_cursor *copies, struct store_cursor *rows, enum window_level level,
                   store_copy_fn *differs, void *ctx, struct error *err)
{
    struct window_row a, b;
    const struct window_row *copy, *row;
    bool same;
    do {
        int r = next_of(copies, &a, &copy, err);
        r = r < 0 ? r : next_of(rows, &b, &row, err);
        if (r < 0) {
            return r;
        }
        same = copy && row && window_row_cmp(copy, row) == 0 && window_row_same(copy, row) &&
               copy->revision == row->revision && row->final;
    } while (same);
    if (copy || row) {
        differs(ctx, level, copy, row);
    }
    return 0;
}

static int compare_level(struct store *s, const struct window_query *q, store_copy_fn *differs,
                         void *ctx, struct error *err)
{
    struct store_cursor *copies = NULL, *rows = NULL;
    int r = sq_windows(s, q, NULL, &copies, err);
    if (r == 0) {
        r = sq_open_rows(s, q, &rows, err);
        r = r < 0 ? r : compare(copies, rows, q->level, differs, ctx, err);
        if (rows) {
            sq_cursor_close(rows);
        }
        sq_cursor_close(copies);
    }
    return r;
}

int sq_check_copies(struct store *s, int64_t from, int64_t to, store_copy_fn *differs, void *ctx,
                    struct error *err)
{
    const struct window_query hours = {LEVEL_HOUR, from, to, -1}, days = {LEVEL_DAY, from, to, -1};
    int r = compare_level(s, &hours, differs, ctx, err);
    return r < 0 ? r : compare_level(s, &days, differs, ctx, err);
}
