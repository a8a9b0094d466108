// The table cost_pack: rows of hours and days once more, each span's in one blob (pack.h), for
// those who read many: stepping through as many rows of a table takes several times as long. A pack
// is written where its rows are, in the same transaction; the rows are what counts.
#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/time.h"
#include "output/sqlite/sqlite.h"

// ---- writing -------------------------------------------------------------------------------

static int insert_pack(struct sq_conn *c, const struct sq_span *span, struct buf *b,
                       struct error *err)
{
    static const char sql[] =
        "INSERT INTO cost_pack(level, window_start, shard, rows) VALUES (?1, ?2, ?3, ?4)";
    sqlite3_stmt *stmt;
    if (!buf_ok(b)) {
        return error_set(err, -E2BIG, "%s: the rows of one hour or day are more than %zu MB",
                         c->name, b->limit >> 20);
    }
    int r = sq_statement(c, sql, &stmt, err);
    if (r < 0) {
        return r;
    }
    sq_pack_seal(b);
    (void)sqlite3_bind_int64(stmt, 1, (int64_t)span->level);
    (void)sqlite3_bind_int64(stmt, 2, span->start);
    (void)sqlite3_bind_int64(stmt, 3, span->shard);
    (void)sqlite3_bind_blob64(stmt, 4, b->p, b->n, SQLITE_STATIC);
    return sq_run(c, stmt, err);
}

static int drop_pack(struct sq_conn *c, const struct sq_span *span, struct error *err)
{
    static const char sql[] =
        "DELETE FROM cost_pack WHERE level = ?1 AND window_start = ?2 AND shard = ?3";
    sqlite3_stmt *stmt;
    int r = sq_statement(c, sql, &stmt, err);
    if (r < 0) {
        return r;
    }
    (void)sqlite3_bind_int64(stmt, 1, (int64_t)span->level);
    (void)sqlite3_bind_int64(stmt, 2, span->start);
    (void)sqlite3_bind_int64(stmt, 3, span->shard);
    return sq_run(c, stmt, err);
}

// In place of the pack that is there, if one is. Without rows there is none.
static int replace_pack(struct sq_conn *c, const struct sq_span *span, struct buf *b,
                        struct error *err)
{
    int r = drop_pack(c, span, err);
    return r < 0 || !sq_pack_any(b) ? r : insert_pack(c, span, b, err);
}

int sq_put_pack(struct sq_store *s, const struct sq_span *span, const struct sq_new_row *rows,
                size_t n, struct error *err)
{
    struct buf *b = &s->writer->pack;
    sq_pack_begin(b);
    for (size_t i = 0; i < n; i++) {
        if (!sq_pack_add(b, rows[i].place, rows[i].consumer, rows[i].row)) {
            return sq_fail(s->main, SQLITE_CORRUPT, err);
        }
    }
    return replace_pack(s->main, span, b, err);
}

// ---- the rows, span by span ------------------------------------------------------------------

// Packs the rows of a statement made by sq_rows_statement() or with the same columns.
struct packer {
    struct sq_conn *conn;
    sqlite3_stmt *rows;
    enum window_level level;
    bool has_row; // the statement stands on one that is in no span yet
    struct buf *pack;
};

static int step(struct packer *p, struct error *err)
{
    int r = sq_row(p->conn, p->rows, err);
    p->has_row = r > 0;
    return MIN(r, 0);
}

static struct sq_span span_at(const struct packer *p)
{
    return (struct sq_span){p->level, sq_i64(p->rows, 0), sq_i64(p->rows, SQ_ROW_COLUMNS)};
}

static bool same_span(const struct sq_span *a, const struct sq_span *b)
{
    return a->start == b->start && a->shard == b->shard;
}

static int pack_row(struct packer *p, struct error *err)
{
    struct window_row row = {0};
    sq_read_numbers(p->rows, &row);
    return sq_pack_add(p->pack, sq_i64(p->rows, 1), sq_i64(p->rows, 2), &row)
               ? step(p, err)
               : sq_fail(p->conn, SQLITE_CORRUPT, err);
}

// All rows of the span that the statement stands in.
static int pack_span(struct packer *p, struct sq_span *ret, struct error *err)
{
    struct sq_span at = *ret = span_at(p);
    int r = 0;
    sq_pack_begin(p->pack);
    while (r == 0 && p->has_row && same_span(&at, ret)) {
        r = pack_row(p, err);
        at = p->has_row ? span_at(p) : at;
    }
    return r;
}

// ---- a store that has none yet ---------------------------------------------------------------

static int pack_level(struct packer *p, struct error *err)
{
    const struct window_query all = {p->level, INT64_MIN, INT64_MAX, -1};
    struct sq_span span;
    int r = sq_rows_statement(p->conn, &all, &p->rows, err);
    if (r < 0) {
        return r;
    }
    r = step(p, err);
    while (r == 0 && p->has_row) {
        r = pack_span(p, &span, err);
        r = r < 0 ? r : insert_pack(p->conn, &span, p->pack, err);
    }
    sq_reset(p->rows);
    return r;
}

int sq_pack_all(struct sq_conn *c, struct error *err)
{
    struct buf pack;
    struct packer p = {.conn = c, .pack = &pack};
    int r = 0;
    sq_pack_init(&pack);
    for (p.level = LEVEL_HOUR; r == 0 && p.level <= LEVEL_DAY; p.level++) {
        r = pack_level(&p, err);
    }
    buf_done(&pack);
    return r;
}

// ---- reading ---------------------------------------------------------------------------------

#define PACKS_SQL                                                                                  \
    "SELECT window_start, rows, shard FROM cost_pack WHERE level = ?1 AND window_start >= ?2"      \
    " AND window_start < ?3 ORDER BY window_start, shard"

static void bind_packs(sqlite3_stmt *stmt, const struct window_query *q)
{
    (void)sqlite3_bind_int64(stmt, 1, (int64_t)q->level);
    (void)sqlite3_bind_int64(stmt, 2, q->from);
    (void)sqlite3_bind_int64(stmt, 3, q->to);
}

static bool open_pack(sqlite3_stmt *packs, struct sq_pack *ret)
{
    const void *p = sqlite3_column_blob(packs, 1);
    size_t n = (size_t)sqlite3_column_bytes(packs, 1);
    return sq_pack_open(p, n, sq_i64(packs, 0), ret);
}

// The rows are still there, and a pack follows from them.
static int fail_damaged(struct sq_cursor *c, struct error *err)
{
    struct buf when;
    buf_init(&when, 64);
    time_format_iso(&when, sq_i64(c->rows, 0));
    int r = error_set(err, -EBADMSG,
                      "%s: what is packed for reports of the %s from %s on is damaged, the rows "
                      "are there: `gtap recompute` packs them again, `gtap verify` tells what else "
                      "is wrong",
                      c->conn->name, c->level == LEVEL_HOUR ? "hour" : "day", buf_view(&when).p);
    buf_done(&when);
    return r;
}

int sq_packs_statement(struct sq_cursor *c, const struct window_query *q, struct error *err)
{
    int r = sq_cursor_prepare(c, PACKS_SQL, &c->rows, err);
    if (r < 0) {
        return r;
    }
    bind_packs(c->rows, q);
    c->packed = true;
    c->level = q->level;
    return 0;
}

int sq_open_pack(struct sq_cursor *c, struct error *err)
{
    return open_pack(c->rows, &c->pack) ? 0 : fail_damaged(c, err);
}

int sq_next_packed(struct sq_cursor *c, struct window_row *ret, struct error *err)
{
    return sq_pack_next(&c->pack, ret) ? sq_name_row(c->conn, ret->place, ret->consumer, ret, err)
                                       : fail_damaged(c, err);
}

// ---- comparing -------------------------------------------------------------------------------

struct comparing {
    struct packer rows;
    sqlite3_stmt *packs;
    bool has_pack;
    store_copy_fn *differs;
    void *ctx;
};

static int step_pack(struct comparing *c, struct error *err)
{
    int r = sq_row(c->rows.conn, c->packs, err);
    c->has_pack = r > 0;
    return MIN(r, 0);
}

static void tell(struct comparing *c, const struct sq_span *span, enum copy_fault fault,
                 const struct window_row *copy, const struct window_row *row)
{
    const struct store_copy told = {.level = span->level,
                                    .start = span->start,
                                    .shard = span->shard,
                                    .fault = fault,
                                    .copy = copy,
                                    .row = row};
    c->differs(c->ctx, &told);
}

// One row of either side with its names. *ret: it or NULL, where there is no more. -EBADMSG: it is
// none that was ever written.
static int next_named(struct comparing *c, struct sq_pack *p, struct window_row *row,
                      const struct window_row **ret, struct error *err)
{
    *ret = NULL;
    if (p->at == p->end) {
        return 0;
    }
    if (!sq_pack_next(p, row)) {
        return -EBADMSG;
    }
    *ret = row;
    return sq_name_row(c->rows.conn, row->place, row->consumer, row, err);
}

static bool same(const struct window_row *a, const struct window_row *b)
{
    return a && b && window_row_cmp(a, b) == 0 && window_row_same(a, b) &&
           a->revision == b->revision;
}

// The first row in which a pack that is whole differs from that of the rows.
static int tell_difference(struct comparing *c, const struct sq_span *span, struct sq_pack *copies,
                           struct sq_pack *rows, struct error *err)
{
    struct window_row a, b;
    const struct window_row *copy, *row;
    struct error ignored = {0};
    int r, s;
    do {
        r = next_named(c, copies, &a, &copy, &ignored);
        s = next_named(c, rows, &b, &row, err);
    } while (r == 0 && s == 0 && same(copy, row));
    if (s < 0) {
        return s;
    }
    bool whole = r == 0 && (copy || row);
    tell(c, span, whole ? COPY_DIFFERENT : COPY_DAMAGED, whole ? copy : NULL, whole ? row : NULL);
    return 0;
}

// Both sides have the span.
static int compare_span(struct comparing *c, const struct sq_span *span, struct error *err)
{
    struct buf *b = c->rows.pack;
    struct sq_pack copies, rows;
    const void *p = sqlite3_column_blob(c->packs, 1);
    size_t n = (size_t)sqlite3_column_bytes(c->packs, 1);
    sq_pack_seal(b);
    if (p && n == b->n && memcmp(p, b->p, n) == 0) {
        return 0;
    }
    if (!open_pack(c->packs, &copies)) {
        tell(c, span, COPY_DAMAGED, NULL, NULL);
        return 0;
    }
    bool ours = sq_pack_open(b->p, b->n, span->start, &rows);
    return ours ? tell_difference(c, span, &copies, &rows, err)
                : sq_fail(c->rows.conn, SQLITE_CORRUPT, err);
}

static int order(const struct comparing *c)
{
    if (!c->has_pack || !c->rows.has_row) {
        return c->has_pack ? -1 : 1;
    }
    struct sq_span row = span_at(&c->rows);
    int64_t start = sq_i64(c->packs, 0), shard = sq_i64(c->packs, 2);
    int by_start = (start > row.start) - (start < row.start);
    return by_start ? by_start : (shard > row.shard) - (shard < row.shard);
}

static int compare_next(struct comparing *c, struct error *err)
{
    int o = order(c);
    struct sq_span span;
    if (o < 0) {
        span = (struct sq_span){c->rows.level, sq_i64(c->packs, 0), sq_i64(c->packs, 2)};
        tell(c, &span, COPY_SUPERFLUOUS, NULL, NULL);
        return step_pack(c, err);
    }
    int r = pack_span(&c->rows, &span, err);
    if (r == 0 && !buf_ok(c->rows.pack)) {
        r = error_set(err, -E2BIG, "%s: the rows of one hour or day are too many to compare",
                      c->rows.conn->name);
    }
    if (r == 0 && o > 0) {
        tell(c, &span, COPY_MISSING, NULL, NULL);
    } else if (r == 0) {
        r = compare_span(c, &span, err);
        r = r < 0 ? r : step_pack(c, err);
    }
    return r;
}

static int compare(struct comparing *c, const struct window_query *q, struct error *err)
{
    int r = sq_prepare(c->rows.conn, PACKS_SQL, &c->packs, err);
    r = r < 0 ? r : sq_rows_statement(c->rows.conn, q, &c->rows.rows, err);
    if (r < 0) {
        return r;
    }
    c->rows.level = q->level;
    bind_packs(c->packs, q);
    r = step_pack(c, err);
    r = r < 0 ? r : step(&c->rows, err);
    while (r == 0 && (c->has_pack || c->rows.has_row)) {
        r = compare_next(c, err);
    }
    sq_reset(c->rows.rows);
    return r;
}

int sq_check_copies(struct store *s, int64_t from, int64_t to, store_copy_fn *differs, void *ctx,
                    struct error *err)
{
    struct sq_cursor *cursor = NULL; // for its snapshot
    struct buf pack;
    int r = sq_cursor_open(sq_of(s), &cursor, err);
    if (r < 0) {
        return r;
    }
    sq_pack_init(&pack);
    for (enum window_level level = LEVEL_HOUR; r == 0 && level <= LEVEL_DAY; level++) {
        const struct window_query q = {level, from, to, -1};
        struct comparing c = {
            .rows = {.conn = cursor->conn, .pack = &pack}, .differs = differs, .ctx = ctx};
        r = compare(&c, &q, err);
        sq_spare(cursor->conn, c.packs);
    }
    buf_done(&pack);
    sq_cursor_close(&cursor->base);
    return r;
}

// ---- mending ---------------------------------------------------------------------------------

enum { MENDED_AT_ONCE = 256 }; // in one transaction

struct spans {
    struct sq_span *v;
    size_t n, cap;
};

static void add_span(void *ctx, const struct store_copy *copy)
{
    struct spans *s = ctx;
    ARRAY_RESERVE(s->v, s->n, s->cap);
    s->v[s->n++] = (struct sq_span){copy->level, copy->start, copy->shard};
}

static int mend_span(struct sq_store *s, const struct sq_span *span, struct error *err)
{
    const struct window_query q = {span->level, span->start, span->start + 1, span->shard};
    struct packer p = {.conn = s->main, .level = span->level, .pack = &s->writer->pack};
    struct sq_span found;
    sq_pack_begin(p.pack);
    int r = span->shard < 0 ? 0 : sq_rows_statement(s->main, &q, &p.rows, err);
    if (r < 0 || p.rows == NULL) { // of no shard: it has no rows
        return r < 0 ? r : drop_pack(s->main, span, err);
    }
    r = step(&p, err);
    r = r < 0 || !p.has_row ? r : pack_span(&p, &found, err);
    sq_reset(p.rows);
    return r < 0 ? r : replace_pack(s->main, span, p.pack, err);
}

static int mend_some(struct sq_store *s, const struct sq_span *spans, size_t n, struct error *err)
{
    int r = sq_begin(s, err);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = mend_span(s, &spans[i], err);
    }
    return sq_end(s, r, err);
}

int sq_mend_copies(struct store *base, int64_t from, int64_t to, struct error *err)
{
    struct spans wrong = {0};
    int r = sq_check_copies(base, from, to, add_span, &wrong, err);
    for (size_t at = 0; r == 0 && at < wrong.n; at += MENDED_AT_ONCE) {
        size_t n = MIN(wrong.n - at, (size_t)MENDED_AT_ONCE);
        r = mend_some(sq_of(base), &wrong.v[at], n, err);
    }
    free(wrong.v);
    return r;
}
