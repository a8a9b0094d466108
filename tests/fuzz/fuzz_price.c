// Price lists, CSV and NDJSON. What was read is written both ways and read again: it must be the
// same.
#include "fuzz.h"

#include <assert.h>

#include "base/decimal.h"
#include "base/time.h"
#include "cmd/price_file.h"

enum { WRITTEN_MAX = 16 << 20 };

static void add_csv(struct buf *b, struct str s)
{
    buf_char(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        buf_cstr(b, s.p[i] == '"' ? "\"" : "");
        buf_char(b, s.p[i]);
    }
    buf_char(b, '"');
}

static void add_price(struct buf *b, const struct price_entry *e)
{
    decimal_format(b, e->price_nusd_hour, 9);
}

static void write_csv(struct buf *b, const struct price_book *book)
{
    buf_cstr(b, "source,effective_from,name,site,price_per_hour_usd\n");
    for (size_t i = 0; i < book->n; i++) {
        const struct price_entry *e = &book->entries[i];
        add_csv(b, e->source);
        buf_char(b, ',');
        time_format_iso(b, e->effective_from);
        buf_char(b, ',');
        add_csv(b, e->name);
        buf_char(b, ',');
        add_csv(b, e->site);
        buf_char(b, ',');
        add_price(b, e);
        buf_char(b, '\n');
    }
}

static void write_ndjson(struct buf *b, const struct price_book *book)
{
    for (size_t i = 0; i < book->n; i++) {
        const struct price_entry *e = &book->entries[i];
        buf_cstr(b, "{\"name\":");
        buf_json_str(b, e->name);
        buf_cstr(b, ",\"site\":");
        buf_json_str(b, e->site);
        buf_cstr(b, ",\"source\":");
        buf_json_str(b, e->source);
        buf_cstr(b, ",\"effective_from\":\"");
        time_format_iso(b, e->effective_from);
        buf_cstr(b, "\",\"price_per_hour_usd\":");
        add_price(b, e);
        buf_cstr(b, "}\n");
    }
}

static void check_again(const struct price_book *book, struct arena *a,
                        void (*written)(struct buf *b, const struct price_book *book))
{
    struct buf b;
    struct price_book again;
    struct error err = {0};
    buf_init(&b, WRITTEN_MAX);
    written(&b, book);
    assert(buf_ok(&b));
    int r = price_file_parse(buf_view(&b), a, &again, &err);
    assert(r == 0 && again.n == book->n);
    for (size_t i = 0; i < book->n; i++) {
        const struct price_entry *e = &book->entries[i], *f = &again.entries[i];
        assert(str_eq(e->name, f->name) && str_eq(e->site, f->site));
        assert(str_eq(e->source, f->source) && e->effective_from == f->effective_from);
        assert(e->price_nusd_hour == f->price_nusd_hour);
    }
    buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct arena arena = {0};
    struct price_book book;
    struct error err = {0};
    if (price_file_parse(text, &arena, &book, &err) < 0) {
        assert(err.code < 0 && str_starts(str_of(err.msg), STR("line ")));
    } else {
        for (size_t i = 0; i < book.n; i++) {
            assert(price_entry_check(&book.entries[i], &err) == 0);
        }
        check_again(&book, &arena, write_csv);
        if (book.n > 0) {
            check_again(&book, &arena, write_ndjson);
        }
    }
    arena_done(&arena);
    return 0;
}
