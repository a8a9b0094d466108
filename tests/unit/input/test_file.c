#include <errno.h>
#include <stdlib.h>

#include "harness.h"
#include "input/origin.h"
#include "lines_of.h"
#include "model/record.h"

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

static void read_text(struct buf *notes, struct str text)
{
    harness_write(&h, "day.ndjson", text);
    harness_read_all(&h, notes, harness_uri(&h, "file", "day.ndjson", ""));
}

static void test_same_records_however_lines_end(void **state)
{
    (void)state;
    static const char *const texts[] = {
        USAGE_LINE("a") "\n" SAMPLE_LINE("h") "\n" USAGE_LINE("b") "\n",
        USAGE_LINE("a") "\r\n" SAMPLE_LINE("h") "\r\n" USAGE_LINE("b") "\r\n",
        USAGE_LINE("a") "\n" SAMPLE_LINE("h") "\n" USAGE_LINE("b"),
        USAGE_LINE("a") "\n" SAMPLE_LINE("h") "\n" USAGE_LINE("b") "\r",
        "\n\n" USAGE_LINE("a") "\n\r\n \t\n" SAMPLE_LINE("h") "\n\n" USAGE_LINE("b") "\n\n\n",
        "\xef\xbb\xbf" USAGE_LINE("a") "\n" SAMPLE_LINE("h") "\n" USAGE_LINE("b") "\n",
        "\xef\xbb\xbf\n\n" USAGE_LINE("a") "\n" SAMPLE_LINE("h") "\n" USAGE_LINE("b") "\n",
    };
    struct buf want;
    read_text(&want, str_of(texts[0]));
    assert_int_equal(harness_count(&want, " day.ndjson#"), 3);
    assert_int_equal(harness_count(&want, ":000000000002 "), 1);
    for (size_t i = 1; i < ARRAY_LEN(texts); i++) {
        struct buf got;
        read_text(&got, str_of(texts[i]));
        assert_str(buf_view(&got), want.p);
        buf_done(&got);
    }
    buf_done(&want);
}

static void test_a_producers_id_is_kept(void **state)
{
    (void)state;
    struct buf got;
    read_text(&got, STR("{\"ts\":1,\"host\":\"h\",\"gpu_index\":0,\"power_w\":1,"
                        "\"event_id\":\"mine\"}\n"));
    assert_true(str_starts(buf_view(&got), STR("1 mine {")));
    buf_done(&got);
}

static void test_empty_files_end(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "\n", "\r\n\n  \n", "\xef\xbb\xbf", "\xef\xbb\xbf\n"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct buf got;
        read_text(&got, str_of(texts[i]));
        assert_int_equal(got.n, 0);
        buf_done(&got);
    }
}

static void test_bad_lines_become_dead_letters(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "not json",
        "{",
        "[]",
        "1",
        "null",
        "{}",
        "{\"ts\":1}",
        "\xff\xfe\x00",
        "{\"a\":\xc3\x28}",
        "{\"ts\":1,\"model\":\"m\",\"prompt_tokens\":-1,\"completion_tokens\":1,\"latency_ms\":1}",
        USAGE_LINE("x") USAGE_LINE("y"),
        // More than an hour ahead of the fake clock.
        "{\"ts\":\"2026-11-23T15:00:01Z\",\"host\":\"h\",\"gpu_index\":0,\"utilization\":0.5}",
    };
    struct batch b;
    batch_init(&b);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct buf text;
        buf_init(&text, TEXT_LIMIT);
        buf_printf(&text, USAGE_LINE("a") "\n%s\n" USAGE_LINE("b") "\n", bad[i]);
        harness_write(&h, "bad", buf_view(&text));
        struct input *in = harness_open(&h, "file:%s", harness_path(&h, "bad"));
        batch_clear(&b);
        assert_int_equal(input_next(in, &b, NULL), INPUT_MORE);
        assert_int_equal(b.n_records, 2);
        assert_int_equal(b.n_dead, 1);
        assert_i64(b.dead[0].position, 2);
        assert_i64(b.records[1].position, 3);
        assert_i64(b.position, 3);
        assert_i64(b.dead[0].at, h.clock.wall);
        assert_str(b.dead[0].payload, bad[i]);
        assert_str(b.dead[0].origin, input_info(in)->name);
        assert_true(b.dead[0].reason.n > 0);
        assert_str(b.payloads[0], USAGE_LINE("a"));
        assert_str(b.payloads[1], USAGE_LINE("b"));
        input_close(in);
        buf_done(&text);
    }
    batch_done(&b);
}

// A valid record of exactly n bytes.
static void add_padded(struct buf *b, size_t n)
{
    static const char head[] = "{\"ts\":1,\"host\":\"h\",\"gpu_index\":0,\"power_w\":1";
    size_t spaces = n - (sizeof(head) - 1) - 1;
    buf_cstr(b, head);
    memset(buf_reserve(b, spaces), ' ', spaces);
    b->n += spaces;
    buf_char(b, '}');
}

static void test_a_line_too_long_is_one_dead_letter(void **state)
{
    (void)state;
    const struct {
        size_t n;
        const char *end;
        bool fine;
    } cases[] = {
        {RECORD_BYTES_MAX - 1, "\n", true},      {RECORD_BYTES_MAX, "\n", true},
        {RECORD_BYTES_MAX, "\r\n", true},        {RECORD_BYTES_MAX + 1, "\n", false},
        {RECORD_BYTES_MAX + 1, "\r\n", false},   {2 * RECORD_BYTES_MAX, "\n", false},
        {5 * RECORD_BYTES_MAX + 7, "\n", false}, {3 * RECORD_BYTES_MAX, "\r\n", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf text, got;
        buf_init(&text, TEXT_LIMIT);
        buf_cstr(&text, USAGE_LINE("a") "\n");
        add_padded(&text, cases[i].n);
        buf_cstr(&text, cases[i].end);
        buf_cstr(&text, USAGE_LINE("b"));
        read_text(&got, buf_view(&text));
        assert_int_equal(harness_count(&got, "#"), cases[i].fine ? 3 : 2);
        assert_int_equal(harness_count(&got, "2 ! record: longer than 1 MiB"), !cases[i].fine);
        assert_int_equal(harness_count(&got, "3 day.ndjson#"), 1);
        buf_done(&got);
        buf_done(&text);
    }
}

static void test_a_long_line_is_cut_in_its_dead_letter(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, TEXT_LIMIT);
    add_padded(&text, 3 * RECORD_BYTES_MAX);
    harness_write(&h, "long", buf_view(&text)); // and no line end at all
    struct input *in = harness_open(&h, "file:%s", harness_path(&h, "long"));
    struct batch b;
    batch_init(&b);
    size_t dead = 0;
    int r = INPUT_MORE;
    while (r == INPUT_MORE) {
        batch_clear(&b);
        r = input_next(in, &b, NULL);
        assert_true(r >= 0);
        for (size_t i = 0; i < b.n_dead; i++, dead++) {
            assert_int_equal(b.dead[i].payload.n, RECORD_BYTES_MAX);
            assert_memory_equal(b.dead[i].payload.p, text.p, RECORD_BYTES_MAX);
        }
    }
    assert_int_equal(dead, 1);
    assert_i64(b.position, 1);
    batch_done(&b);
    input_close(in);
    buf_done(&text);
}

// Lines of all lengths around the reader's block size, against the position each must have.
static void test_lines_across_blocks(void **state)
{
    (void)state;
    struct buf text, got;
    buf_init(&text, TEXT_LIMIT);
    const int n = 3000;
    for (int i = 0; i < n; i++) {
        add_padded(&text, 100 + (uint32_t)i * 2654435761U % 5000);
        buf_char(&text, '\n');
    }
    read_text(&got, buf_view(&text));
    int position = 0;
    struct str rest = buf_view(&got);
    for (struct str line; str_split(&rest, '\n', &line) && line.n > 0;) {
        position++;
        assert_int_equal(strtoll(line.p, NULL, 10), position);
        assert_non_null(memmem(line.p, line.n, " day.ndjson#", 12));
    }
    assert_int_equal(position, n);
    buf_done(&got);
    buf_done(&text);
}

static void test_batches_are_bounded_and_say_how_far(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, TEXT_LIMIT);
    add_usage_lines(&text, 0, 5000);
    harness_write(&h, "day", buf_view(&text));
    struct input *in = harness_open(&h, "file:%s", harness_path(&h, "day"));
    const struct input_info *info = input_info(in);
    assert_true(info->finite && info->total_is_bytes);
    assert_i64(info->total, (int64_t)text.n);
    struct batch b;
    batch_init(&b);
    int64_t records = 0;
    while (true) {
        batch_clear(&b);
        int r = input_next(in, &b, NULL);
        records += (int64_t)b.n_records;
        assert_true(b.n_records <= BATCH_RECORDS);
        assert_i64(b.position, records);
        if (r == INPUT_END) {
            break;
        }
        assert_true(b.offset > 0 && text.p[b.offset - 1] == '\n');
    }
    assert_i64(records, 5000);
    assert_i64(b.offset, (int64_t)text.n);
    batch_done(&b);
    input_close(in);
    buf_done(&text);
}

static void test_binary_garbage(void **state)
{
    (void)state;
    struct buf text, got;
    buf_init(&text, TEXT_LIMIT);
    uint64_t x = 88172645463325252U;
    for (int i = 0; i < 3000000; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        buf_char(&text, (char)(x >> 32));
    }
    read_text(&got, buf_view(&text));
    int64_t position = 0;
    struct str rest = buf_view(&got);
    for (struct str line; str_split(&rest, '\n', &line) && line.n > 0;) {
        if (memmem(line.p, line.n, " ! ", 3)) { // a reason may quote what it found
            position++;
        }
    }
    assert_true(position > 5000);
    buf_done(&got);
    buf_done(&text);
}

// The text the resume tests read: every kind of line, 12 records and dead letters.
static const char *const resume_lines[] = {
    USAGE_LINE("a") "\n", "\n" SAMPLE_LINE("h") "\r\n", "garbage\n",           USAGE_LINE("b") "\n",
    "  \n\n{}\n",         USAGE_LINE("c") "\r\n",       SAMPLE_LINE("i") "\n", "[1,2]\n",
    USAGE_LINE("d") "\n", USAGE_LINE("e") "\n",         "\r\n\r\nend\n",       USAGE_LINE("f"),
};

static void resume_at(const char *uri, int64_t records, int64_t offset, const struct buf *whole)
{
    struct error err = {0};
    struct input *in = harness_open(&h, "%s", uri);
    assert_ok(input_seek(in, records, offset, &err), &err);
    struct buf got;
    buf_init(&got, TEXT_LIMIT);
    assert_int_equal(harness_drain_to_end(in, &got, &err), INPUT_END);
    struct str rest = buf_view(whole), line;
    for (int64_t i = 0; i < records; i++) {
        assert_true(str_split(&rest, '\n', &line));
    }
    assert_str(rest, got.p ? got.p : "");
    buf_done(&got);
    input_close(in);
}

static void test_resume_at_every_position(void **state)
{
    (void)state;
    struct buf text, whole;
    buf_init(&text, TEXT_LIMIT);
    int64_t offsets[ARRAY_LEN(resume_lines) + 1] = {0};
    for (size_t i = 0; i < ARRAY_LEN(resume_lines); i++) {
        buf_cstr(&text, resume_lines[i]);
        offsets[i + 1] = (int64_t)text.n;
    }
    for (enum harness_pack how = AS_IS; how <= AS_ZSTD; how++) {
        struct buf packed;
        buf_init(&packed, TEXT_LIMIT);
        harness_pack(&packed, how, buf_view(&text));
        harness_write(&h, "resume", buf_view(&packed));
        const char *uri = harness_uri(&h, "file", "resume", "");
        harness_read_all(&h, &whole, uri);
        for (size_t n = 0; n <= ARRAY_LEN(resume_lines); n++) {
            resume_at(uri, (int64_t)n, -1, &whole);
            if (how == AS_IS) {
                resume_at(uri, (int64_t)n, offsets[n], &whole);
            }
        }
        buf_done(&whole);
        buf_done(&packed);
    }
    buf_done(&text);
}

static void test_resume_in_a_changed_file(void **state)
{
    (void)state;
    static const char line[] = USAGE_LINE("a");
    const int64_t n = sizeof(line) - 1;
    const struct {
        const char *text;
        int64_t records, offset;
        int want;
    } cases[] = {
        {USAGE_LINE("a") "\n" USAGE_LINE("b") "\n", 1, n + 1, 0},
        {USAGE_LINE("a") "\n" USAGE_LINE("b") "\n", 1, n, 0}, // was the unfinished last line
        {USAGE_LINE("a") "\r\n" USAGE_LINE("b") "\n", 1, n, 0},
        {USAGE_LINE("a"), 1, n, 0},
        {USAGE_LINE("a") " tail\n", 1, n, -ESTALE}, // the line was not finished
        {USAGE_LINE("a") "\n" USAGE_LINE("b") "\n", 1, n + 5, -ESTALE},
        {USAGE_LINE("a") "\n", 2, 2 * (n + 1), -ESTALE},
        {USAGE_LINE("a") "\n", 2, -1, -ESTALE},
        {"", 1, n, -ESTALE},
        {"", 1, -1, -ESTALE},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = {0};
        harness_write(&h, "changed", str_of(cases[i].text));
        struct input *in = harness_open(&h, "file:%s", harness_path(&h, "changed"));
        int r = input_seek(in, cases[i].records, cases[i].offset, &err);
        if (r != cases[i].want) {
            fail_msg("case %zu: %d (%s)", i, r, err.msg);
        }
        assert_true(r == 0 || strstr(err.msg, "/changed'") != NULL);
        input_close(in);
    }
}

static void test_fingerprint_is_the_first_lines(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int same_as;
    } cases[] = {
        {USAGE_LINE("a"), 0},         {USAGE_LINE("a") "\n", 0},
        {USAGE_LINE("a") "\r\nx", 0}, {"\n\n" USAGE_LINE("a") "\ny\n", 0},
        {USAGE_LINE("b") "\n", 4},    {USAGE_LINE("a") " \n", 5},
    };
    uint64_t seen[ARRAY_LEN(cases)];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        harness_write(&h, "f", str_of(cases[i].text));
        struct input *in = harness_open(&h, "file:%s", harness_path(&h, "f"));
        seen[i] = input_info(in)->fingerprint;
        assert_true(seen[i] != 0);
        for (size_t k = 0; k < i; k++) {
            assert_int_equal(seen[k] == seen[i], cases[k].same_as == cases[i].same_as);
        }
        input_close(in);
    }
    harness_write(&h, "f", STR(""));
    struct input *in = harness_open(&h, "file:%s", harness_path(&h, "f"));
    assert_true(input_info(in)->fingerprint == 0);
    input_close(in);
}

static void test_what_does_not_open(void **state)
{
    (void)state;
    static const struct {
        const char *uri, *says;
        int code;
    } cases[] = {
        {"file:", "needs a path", -EINVAL},
        {"file:/no/such/file", "/no/such/file", -ENOENT},
        {"file:/tmp", "/tmp", -EISDIR},
        {"file:/tmp/x?folow=1", "unknown option 'folow'; known are: follow", -EINVAL},
        {"file:/tmp/x?follow=2", "follow=2", -EINVAL},
        {"fiel:/tmp/x", "there are: file:", -EINVAL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct input *in = NULL;
        struct error err = {0};
        assert_int_equal(harness_try(&h, cases[i].uri, &in, &err), cases[i].code);
        if (strstr(err.msg, cases[i].says) == NULL) {
            fail_msg("%s: %s", cases[i].uri, err.msg);
        }
    }
}

static void test_ids(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t fingerprint;
        int64_t number;
        const char *want;
    } cases[] = {
        {"day.ndjson", 0x12345f0c21aa93e1, 41204, "day.ndjson#5f0c21aa93e1:000000041204"},
        {"a b\xff\n", 1, 1, "a_b__#000000000001:000000000001"},
        {"x", UINT64_MAX, 1234567890123, "x#ffffffffffff:1234567890123"},
        {"", 0, INT64_MAX, "#000000000000:9223372036854775807"},
    };
    struct origin o;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        origin_init(&o, str_of(cases[i].name), cases[i].fingerprint);
        assert_str(origin_id(&o, cases[i].number, &h.arena), cases[i].want);
    }
    char longest[1000];
    memset(longest, 'n', sizeof(longest));
    origin_init(&o, (struct str){longest, sizeof(longest)}, 7);
    struct str id = origin_id(&o, INT64_MAX, &h.arena);
    assert_true(id.n <= RECORD_TEXT_MAX);
    assert_true(str_ends(id, STR("nn#000000000007:9223372036854775807")));
    assert_true(origin_random() != origin_random());
}

#define FILE_TEST(f) TEST_WITH(f, setup, teardown)

int main(void)
{
    return TEST_RUN(
        FILE_TEST(test_same_records_however_lines_end), FILE_TEST(test_a_producers_id_is_kept),
        FILE_TEST(test_empty_files_end), FILE_TEST(test_bad_lines_become_dead_letters),
        FILE_TEST(test_a_line_too_long_is_one_dead_letter),
        FILE_TEST(test_a_long_line_is_cut_in_its_dead_letter), FILE_TEST(test_lines_across_blocks),
        FILE_TEST(test_batches_are_bounded_and_say_how_far), FILE_TEST(test_binary_garbage),
        FILE_TEST(test_resume_at_every_position), FILE_TEST(test_resume_in_a_changed_file),
        FILE_TEST(test_fingerprint_is_the_first_lines), FILE_TEST(test_what_does_not_open),
        FILE_TEST(test_ids));
}
