#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "harness.h"
#include "input/unpack.h"
#include "lines_of.h"

enum { TEXT_LIMIT = 1 << 28 };

static struct harness h;

static int setup(void **state)
{
    (void)state;
    harness_init(&h);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    harness_done(&h);
    return 0;
}

static void read_file(struct buf *notes, struct str content)
{
    harness_write(&h, "day.ndjson", content);
    harness_read_all(&h, notes, harness_uri(&h, "file", "day.ndjson", ""));
}

// A zstd skippable frame with four bytes of content (RFC 8878, 3.1.2).
static const char skippable[] = "\x50\x2a\x4d\x18\x04\x00\x00\x00meta";
static const char zeros[512];

static void test_packed_reads_as_plain(void **state)
{
    (void)state;
    struct buf first, second, both, want;
    buf_init(&first, TEXT_LIMIT);
    buf_init(&second, TEXT_LIMIT);
    buf_init(&both, TEXT_LIMIT);
    add_usage_lines(&first, 0, 3);
    buf_cstr(&first, "bad line\n{\"half\":"); // a line may go over from one member to the next
    buf_cstr(&second, "1}\r\n");
    add_usage_lines(&second, 100, 3000);
    buf_str(&both, buf_view(&first));
    buf_str(&both, buf_view(&second));
    read_file(&want, buf_view(&both));
    for (enum harness_pack how = AS_GZIP; how <= AS_ZSTD; how++) {
        struct buf whole, parts, got;
        buf_init(&whole, TEXT_LIMIT);
        buf_init(&parts, TEXT_LIMIT);
        harness_pack(&whole, how, buf_view(&both));
        read_file(&got, buf_view(&whole));
        assert_str(buf_view(&got), want.p);
        buf_done(&got);
        if (how == AS_ZSTD) {
            buf_add(&parts, skippable, sizeof(skippable) - 1);
        }
        harness_pack(&parts, how, buf_view(&first));
        harness_pack(&parts, how, STR("")); // an empty member
        harness_pack(&parts, how, buf_view(&second));
        if (how == AS_GZIP) {
            buf_add(&parts, zeros, sizeof(zeros)); // tape padding
        }
        read_file(&got, buf_view(&parts));
        assert_str(buf_view(&got), want.p);
        buf_done(&got);
        buf_done(&parts);
        buf_done(&whole);
    }
    buf_done(&want);
    buf_done(&both);
    buf_done(&second);
    buf_done(&first);
}

static void test_kind_is_told_by_the_first_bytes(void **state)
{
    (void)state;
    static const struct {
        struct str head;
        enum packing want;
    } cases[] = {
        {{"", 0}, PACKED_NOT},
        {{"\x1f", 1}, PACKED_NOT},
        {{"\x1f\x8b", 2}, PACKED_GZIP},
        {{"\x1f\x8b\x08", 3}, PACKED_GZIP},
        {{"\x28\xb5\x2f", 3}, PACKED_NOT},
        {{"\x28\xb5\x2f\xfd", 4}, PACKED_ZSTD},
        {{"\x5f\x2a\x4d\x18", 4}, PACKED_ZSTD},
        {{"\x60\x2a\x4d\x18", 4}, PACKED_NOT},
        {{"{\"ts", 4}, PACKED_NOT},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(packing_of(cases[i].head), cases[i].want);
    }
}

// Reads what lies in "cut" and checks that it is the beginning of `whole`, in whole records.
static int read_beginning(const struct buf *whole, size_t *ret_n, struct error *err)
{
    struct buf got;
    buf_init(&got, TEXT_LIMIT);
    *err = (struct error){0};
    struct input *in = harness_open(&h, "file:%s", harness_path(&h, "cut"));
    int r = harness_drain_to_end(in, &got, err);
    assert_true(got.n <= whole->n && memcmp(got.p ? got.p : "", whole->p, got.n) == 0);
    assert_true(got.n == 0 || got.p[got.n - 1] == '\n');
    *ret_n = got.n;
    if (r < 0) {
        struct error again;
        struct batch b;
        batch_init(&b);
        assert_int_equal(input_next(in, &b, &again), r); // and it stays so
        batch_done(&b);
    }
    input_close(in);
    buf_done(&got);
    return r;
}

static void check_truncation(const struct buf *packed, size_t first_member, const struct buf *whole)
{
    size_t most = 0;
    for (size_t n = PACKING_MAGIC_MAX; n <= packed->n; n++) {
        struct error err;
        size_t got;
        harness_write(&h, "cut", (struct str){packed->p, n});
        int r = read_beginning(whole, &got, &err);
        assert_true(got >= most); // more bytes never give fewer records
        most = got;
        if (n == first_member || n == packed->n) {
            assert_int_equal(r, INPUT_END);
        } else {
            char where[48];
            snprintf(where, sizeof(where), "ends at byte %zu,", n);
            assert_int_equal(r, -EBADMSG);
            assert_non_null(strstr(err.msg, where));
        }
    }
    assert_int_equal(most, whole->n);
}

static void test_truncation_at_every_byte(void **state)
{
    (void)state;
    for (enum harness_pack how = AS_GZIP; how <= AS_ZSTD; how++) {
        struct buf text, packed, whole;
        buf_init(&text, TEXT_LIMIT);
        buf_init(&packed, TEXT_LIMIT);
        add_usage_lines(&text, 0, 12);
        harness_pack(&packed, how, buf_view(&text));
        size_t first_member = packed.n;
        buf_clear(&text);
        add_usage_lines(&text, 12, 12);
        harness_pack(&packed, how, buf_view(&text));
        harness_write(&h, "cut", buf_view(&packed));
        harness_read_all(&h, &whole, harness_uri(&h, "file", "cut", ""));
        check_truncation(&packed, first_member, &whole);
        buf_done(&whole);
        buf_done(&packed);
        buf_done(&text);
    }
}

static int read_damaged(struct str content, struct error *err)
{
    struct buf got;
    buf_init(&got, TEXT_LIMIT);
    *err = (struct error){0};
    harness_write(&h, "cut", content);
    struct input *in = harness_open(&h, "file:%s", harness_path(&h, "cut"));
    int r = harness_drain_to_end(in, &got, err);
    input_close(in);
    buf_done(&got);
    return r;
}

static void test_damage_at_every_byte(void **state)
{
    (void)state;
    for (enum harness_pack how = AS_GZIP; how <= AS_ZSTD; how++) {
        struct buf text, packed;
        buf_init(&text, TEXT_LIMIT);
        buf_init(&packed, TEXT_LIMIT);
        add_usage_lines(&text, 0, 40);
        harness_pack(&packed, how, buf_view(&text));
        int found = 0;
        for (size_t n = 0; n < packed.n; n++) {
            struct error err;
            packed.p[n] = (char)(packed.p[n] ^ 0x55);
            int r = read_damaged(buf_view(&packed), &err);
            packed.p[n] = (char)(packed.p[n] ^ 0x55);
            assert_true(r == INPUT_END || r == -EBADMSG);
            assert_true(r == INPUT_END || strstr(err.msg, "/cut' is ") != NULL);
            found += r == -EBADMSG;
        }
        assert_true(found > (int)packed.n / 2);
        buf_done(&packed);
        buf_done(&text);
    }
}

static void test_rubbish_behind_gzip_data_is_damage(void **state)
{
    (void)state;
    struct buf packed;
    struct error err;
    buf_init(&packed, TEXT_LIMIT);
    harness_pack(&packed, AS_GZIP, STR(USAGE_LINE("a") "\n"));
    buf_cstr(&packed, "rubbish");
    assert_int_equal(read_damaged(buf_view(&packed), &err), -EBADMSG);
    assert_non_null(strstr(err.msg, "is damaged at byte "));
    buf_done(&packed);
}

int main(void)
{
    return TEST_RUN(TEST_WITH(test_packed_reads_as_plain, setup, teardown),
                    TEST(test_kind_is_told_by_the_first_bytes),
                    TEST_WITH(test_truncation_at_every_byte, setup, teardown),
                    TEST_WITH(test_damage_at_every_byte, setup, teardown),
                    TEST_WITH(test_rubbish_behind_gzip_data_is_damage, setup, teardown));
}
