#include <errno.h>

#include "base/time.h"
#include "cmd/emit.h"
#include "test.h"

static int put(struct emitter *e, bool known)
{
    emit_begin(e);
    emit_str(e, "s", known ? STR("a,\"b\"") : STR_NONE);
    emit_int(e, "i", -5);
    emit_maybe(e, "maybe", known, 7);
    emit_decimal(e, "usd", known, 2950000000, 9);
    emit_double(e, "d", known, 0.1);
    emit_bool(e, "b", known);
    emit_time(e, "t", NS_PER_S);
    return emit_end(e);
}

static void check(enum emit_format format, const char *want)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    struct emitter e;
    emitter_init(&e, format, f);
    if (format == EMIT_CSV) {
        e.titles = true;
        assert_i64(put(&e, false), 0);
        e.titles = false;
    }
    assert_i64(put(&e, true), 0);
    assert_i64(put(&e, false), 0);
    assert_i64(emitter_done(&e), 0);
    fclose(f);
    assert_str(((struct str){text, n}), want);
    free(text);
}

static void test_ndjson(void **state)
{
    (void)state;
    check(EMIT_NDJSON, "{\"s\":\"a,\\\"b\\\"\",\"i\":-5,\"maybe\":7,\"usd\":2.95,\"d\":0.1,"
                       "\"b\":true,\"t\":\"1970-01-01T00:00:01Z\"}\n"
                       "{\"s\":null,\"i\":-5,\"maybe\":null,\"usd\":null,\"d\":null,"
                       "\"b\":false,\"t\":\"1970-01-01T00:00:01Z\"}\n");
}

static void test_csv(void **state)
{
    (void)state;
    check(EMIT_CSV, "s,i,maybe,usd,d,b,t\r\n"
                    "\"a,\"\"b\"\"\",-5,7,2.95,0.1,true,1970-01-01T00:00:01Z\r\n"
                    ",-5,,,,false,1970-01-01T00:00:01Z\r\n");
}

static void test_open_object(void **state)
{
    (void)state;
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    struct emitter e;
    emitter_init(&e, EMIT_NDJSON, f);
    buf_cstr(&e.b, "{\"a\":1");
    emit_begin_open(&e);
    emit_int(&e, "b", 2);
    assert_i64(emit_end(&e), 0);
    assert_i64(emitter_done(&e), 0);
    fclose(f);
    assert_str(((struct str){text, n}), "{\"a\":1,\"b\":2}\n");
    free(text);
}

// A full disk shows by the time the rows are written out.
static void test_full(void **state)
{
    (void)state;
    FILE *f = fopen("/dev/full", "w");
    assert_non_null(f);
    setvbuf(f, NULL, _IONBF, 0);
    struct emitter e;
    emitter_init(&e, EMIT_NDJSON, f);
    assert_i64(put(&e, true), 0);
    assert_i64(emitter_done(&e), -ENOSPC);
    fclose(f);
}

int main(void)
{
    return TEST_RUN(TEST(test_ndjson), TEST(test_csv), TEST(test_open_object), TEST(test_full));
}
