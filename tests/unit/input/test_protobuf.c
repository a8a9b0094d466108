#include "input/protobuf.h"

#include "hex.h"

// Fields as "number:wire=value "; "!" where the reader gave up.
static void list(struct str message, struct buf *out)
{
    struct proto_reader r;
    struct proto_field f;
    proto_begin(&r, message);
    while (proto_next(&r, &f)) {
        buf_printf(out, "%u:%d=", f.number, (int)f.wire);
        if (f.wire == PROTO_BYTES) {
            buf_str(out, f.bytes);
        } else {
            buf_u64(out, f.value);
        }
        buf_char(out, ' ');
    }
    buf_cstr(out, r.failed ? "!" : "");
    assert_false(proto_next(&r, &f)); // the end stays the end
}

static void test_reading(void **state)
{
    (void)state;
    static const struct {
        const char *hex, *want;
    } rows[] = {
        {"", ""},
        // The examples of the format's documentation.
        {"08 96 01", "1:0=150 "},
        {"12 07 'testing'", "2:2=testing "},
        {"1a 03 08 96 01", "3:2=\x08\x96\x01 "},
        // Every wire type, and a field that comes twice.
        {"08 00 08 01", "1:0=0 1:0=1 "},
        {"09 01 02 03 04 05 06 07 08", "1:1=578437695752307201 "},
        {"0d 01 02 03 04", "1:5=67305985 "},
        {"0a 00", "1:2= "},
        // Varints: longest, negative, not the shortest form.
        {"08 ff ff ff ff ff ff ff ff ff 01", "1:0=18446744073709551615 "},
        {"08 80 00", "1:0=0 "},
        {"08 80 80 80 80 80 80 80 80 80 00", "1:0=0 "},
        // The largest field number, 2^29 - 1.
        {"f8 ff ff ff 0f 05", "536870911:0=5 "},
        // Broken.
        {"08", "!"},
        {"08 80", "!"},
        {"08 ff ff ff ff ff ff ff ff ff 02", "!"},
        {"08 80 80 80 80 80 80 80 80 80 80 00", "!"},
        {"80", "!"},
        {"12 05 'test'", "!"},
        {"12 ff ff ff ff ff ff ff ff ff 01 'x'", "!"},
        {"09 01 02 03 04 05 06 07", "!"},
        {"0d 01 02 03", "!"},
        {"00 01", "!"},             // field 0
        {"80 80 80 80 10 00", "!"}, // field 2^29
        {"08 01 0b 0c", "1:0=1 !"}, // a group
        {"0c", "!"},                // the end of a group
        {"0e 00", "!"},             // wire types 6 and 7
        {"0f 00", "!"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf bytes, got;
        buf_init(&bytes, 1024);
        buf_init(&got, 1024);
        hex_put(&bytes, rows[i].hex);
        list(buf_view(&bytes), &got);
        if (!str_eq(buf_view(&got), str_of(rows[i].want))) {
            fail_msg("%s gives '%s', not '%s'", rows[i].hex, buf_view(&got).p, rows[i].want);
        }
        buf_done(&bytes);
        buf_done(&got);
    }
}

static void test_writing(void **state)
{
    (void)state;
    struct buf got, want;
    buf_init(&got, 1024);
    buf_init(&want, 1024);
    proto_put_varint(&got, 1, 150);
    proto_put_varint(&got, 16, 0);
    proto_put_varint(&got, 1, UINT64_MAX);
    proto_put_bytes(&got, 2, STR("testing"));
    hex_put(&want, "08 96 01  80 01 00  08 ff ff ff ff ff ff ff ff ff 01  12 07 'testing'");
    assert_i64((int64_t)got.n, (int64_t)want.n);
    assert_memory_equal(got.p, want.p, want.n);
    buf_done(&got);
    buf_done(&want);
}

int main(void)
{
    return TEST_RUN(TEST(test_reading), TEST(test_writing));
}
