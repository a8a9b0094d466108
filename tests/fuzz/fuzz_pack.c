// Packed rows of hours and days: foreign bytes as a pack and, sealed, as what a pack holds; and
// rows made of foreign bytes, packed and read back.
#include "fuzz.h"

#include <assert.h>
#include <math.h>

#include "base/alloc.h"
#include "output/sqlite/pack.h"

enum { ROW_BYTES_MIN = 14, ROWS_MAX = 64 };

// What a row that was read can be, whatever the bytes were.
static void check_row(const struct window_row *row, int64_t start)
{
    assert(row->window_start == start && row->final);
    assert((unsigned)row->kind <= ROW_UNPLACED && (unsigned)row->method <= METHOD_EQUAL);
    assert(row->place >= 1 && row->consumer >= 1 && row->revision >= 0);
    assert(!row->has_energy || !isnan(row->energy_j));
    assert(!str_present(row->gpu.host) && !str_present(row->model) && !str_present(row->tenant));
}

// Bytes that can be read to their end are those that the rows in them are packed to, each of them.
static void check_bytes(const uint8_t *bytes, size_t n)
{
    const int64_t start = INT64_C(1767225600000000000);
    struct sq_pack p;
    struct window_row row;
    struct buf again;
    size_t rows = 0;
    if (!sq_pack_open(bytes, n, start, &p)) {
        return;
    }
    sq_pack_init(&again);
    sq_pack_begin(&again);
    bool ok = true;
    while (ok && p.at < p.end) {
        const unsigned char *before = p.at;
        ok = sq_pack_next(&p, &row);
        assert(p.at > before && p.at <= p.end);
        if (ok) {
            check_row(&row, start);
            assert(sq_pack_add(&again, row.place, row.consumer, &row));
            rows++;
        }
    }
    assert(rows <= n / ROW_BYTES_MIN);
    if (ok) {
        sq_pack_seal(&again);
        assert(buf_ok(&again) && again.n == n && memcmp(again.p, bytes, n) == 0);
    } else {
        assert(p.at == p.end); // there is nothing more to read
    }
    buf_done(&again);
}

static void check_sealed(const uint8_t *data, size_t size)
{
    struct buf b;
    sq_pack_init(&b);
    sq_pack_begin(&b);
    buf_add(&b, data, size);
    sq_pack_seal(&b);
    assert(sq_pack_any(&b) == (size > 0));
    // A block of just this size lets ASan see a read past the end.
    AUTO_FREE uint8_t *exact = x_alloc(b.n);
    memcpy(exact, b.p, b.n);
    check_bytes(exact, b.n);
    buf_done(&b);
}

// ---- there and back --------------------------------------------------------------------------

struct source {
    const uint8_t *at, *end;
};

// Of any size: how many of the next bytes it has is said by the first.
static int64_t number(struct source *s)
{
    uint64_t v = 0;
    unsigned n = s->at < s->end ? *s->at++ % 9 : 0;
    for (; n > 0 && s->at < s->end; n--) {
        v = v << 8 | *s->at++;
    }
    return (int64_t)v;
}

static struct window_row make_row(struct source *s)
{
    struct window_row row = {.final = true};
    int64_t *const numbers[] = {&row.place,
                                &row.consumer,
                                &row.cost_nusd,
                                &row.cost_in_nusd,
                                &row.cost_out_nusd,
                                &row.prompt_tokens,
                                &row.completion_tokens,
                                &row.cached_prompt_tokens,
                                &row.requests,
                                &row.unpriced_requests,
                                &row.busy_ns,
                                &row.unpriced_ns};
    int64_t bits = number(s);
    row.kind = (enum row_kind)(bits & 7);
    row.method = (enum cost_method)(bits >> 3 & 3);
    row.has_energy = bits >> 5 & 1;
    row.revision = (int32_t)number(s);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        *numbers[i] = number(s);
    }
    int64_t energy = number(s);
    memcpy(&row.energy_j, &energy, sizeof(energy));
    return row;
}

// What a column of SQLite would make of it.
static void store_energy(struct window_row *row)
{
    row->has_energy = row->has_energy && !isnan(row->energy_j);
    row->energy_j = row->has_energy && fabs(row->energy_j) > 0 ? row->energy_j : 0;
}

static bool may_be_packed(const struct window_row *row)
{
    return (unsigned)row->kind <= ROW_UNPLACED && (unsigned)row->method <= METHOD_EQUAL &&
           row->place >= 1 && row->consumer >= 1 && row->revision >= 0;
}

static void check_same(const struct buf *b, const struct window_row *rows, size_t n)
{
    struct sq_pack p;
    struct window_row row;
    bool any = sq_pack_open(b->p, b->n, 0, &p);
    assert(any == (n > 0));
    for (size_t i = 0; i < n; i++) {
        assert(p.at < p.end && sq_pack_next(&p, &row));
        assert(window_row_same(&row, &rows[i]) && row.revision == rows[i].revision);
        assert(row.place == rows[i].place && row.consumer == rows[i].consumer);
    }
    assert(n == 0 || p.at == p.end);
}

// A pack with a bit that fell over is none.
static void check_damage(struct buf *b, size_t at)
{
    struct sq_pack p;
    b->p[at % b->n] ^= (char)(1 << at % 8);
    assert(!sq_pack_open(b->p, b->n, 0, &p));
    assert(!sq_pack_open(b->p, b->n - 1, 0, &p));
}

static void there_and_back(const uint8_t *data, size_t size)
{
    struct source s = {data, data + size};
    struct window_row rows[ROWS_MAX];
    struct buf b;
    size_t n = 0;
    sq_pack_init(&b);
    sq_pack_begin(&b);
    while (s.at < s.end && n < ROWS_MAX) {
        struct window_row row = make_row(&s);
        size_t before = b.n;
        bool added = sq_pack_add(&b, row.place, row.consumer, &row);
        assert(added == may_be_packed(&row) && added == (b.n > before));
        if (added) {
            store_energy(&row);
            rows[n++] = row;
        }
    }
    sq_pack_seal(&b);
    check_same(&b, rows, n);
    if (n > 0) {
        check_damage(&b, size);
    }
    buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_bytes(data, size);
    check_sealed(data, size);
    there_and_back(data, size);
    return 0;
}
