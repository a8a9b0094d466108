// nvidia-smi: with a script in its place, and with files.
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "base/uuid.h"
#include "harness.h"
#include "smi_captures.h"

#define HEADER                                                                                     \
    "index, name, uuid, utilization.gpu [%], memory.used [MiB], memory.total [MiB], power.draw "   \
    "[W], temperature.gpu, clocks.current.sm [MHz]\n"
#define ROW_TEXT(index)                                                                            \
    index ", NVIDIA L4, GPU-" index ", 7 %, 1 MiB, 23034 MiB, 16.10 W, 33, 210 MHz"
#define ROW(index) ROW_TEXT(index) "\n"
#define LOST(index)                                                                                \
    index ", [GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost], "          \
          "[GPU is lost], [GPU is lost], [GPU is lost]\n"

static struct harness h;
static struct input *in;
static struct batch batch;

static int setup(void **state)
{
    (void)state;
    harness_init(&h);
    batch_init(&batch);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    input_close(in);
    in = NULL;
    batch_done(&batch);
    harness_done(&h);
    assert_true(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
    return 0;
}

// The stand-in prints what is in the file "says", then does `then`. Its words go to "words", a line
// for each start to "starts".
static void open_stand_in(const char *says, const char *then, const char *options)
{
    AUTO_FREE char *script =
        x_asprintf("#!/bin/sh\nprintf '%%s\\n' \"$@\" >%s/words\necho $$ >>%s/starts\ncat %s/says\n"
                   "%s\n",
                   h.dir, h.dir, h.dir, then);
    harness_write(&h, "says", str_of(says));
    harness_write(&h, "smi", str_of(script));
    assert_int_equal(chmod(harness_path(&h, "smi"), 0700), 0);
    in = harness_open(&h, "nvidia-smi:?path=%s/smi&host=h%s", h.dir, options);
}

static struct input_health health(void)
{
    struct input_health ret;
    input_health(in, &ret);
    return ret;
}

static void call_next(struct buf *notes)
{
    struct error err = {0};
    batch_clear(&batch);
    assert_int_equal(input_next(in, &batch, &err), INPUT_MORE);
    harness_note(notes, &batch);
    sched_yield();
}

// Calls next() until so many records and dead letters have come, all in one batch's arena.
static void take(struct buf *notes, int records, int dead)
{
    int64_t deadline = clock_mono(&clock_system).ns + TEST_PATIENCE_MS * NS_PER_MS;
    int got_records = 0, got_dead = 0;
    while (got_records < records || got_dead < dead) {
        call_next(notes);
        got_records += (int)batch.n_records;
        got_dead += (int)batch.n_dead;
        assert_true(clock_mono(&clock_system).ns < deadline);
    }
    assert_int_equal(got_records, records);
    assert_int_equal(got_dead, dead);
}

static void take_failures(struct buf *notes, uint64_t failures)
{
    int64_t deadline = clock_mono(&clock_system).ns + TEST_PATIENCE_MS * NS_PER_MS;
    while (health().failures < failures) {
        call_next(notes);
        assert_true(clock_mono(&clock_system).ns < deadline);
    }
}

static int lines_of(const char *name)
{
    FILE *f = fopen(harness_path(&h, name), "re");
    int n = 0;
    for (int c; f && (c = fgetc(f)) != EOF;) {
        n += c == '\n';
    }
    if (f) {
        fclose(f);
    }
    return n;
}

static void check_error(const char *part)
{
    if (health().ok || strstr(health().error, part) == NULL) {
        fail_msg("ok %d, error '%s', not '%s'", health().ok, health().error, part);
    }
}

static void test_rows(void **state)
{
    (void)state;
    struct buf notes;
    buf_init(&notes, 1 << 20);
    open_stand_in(HEADER ROW("0") ROW("1") ROW("0") ROW("1"), "exec sleep 600",
                  "&price=0.8&every=2s&site=lab");
    assert_false(input_info(in)->finite);
    take(&notes, 4, 0);
    assert_int_equal(harness_count(&notes, "\"gpu_index\":1,"), 2);
    assert_int_equal(
        harness_count(&notes, "{\"ts\":\"2026-11-23T14:00:00Z\",\"host\":\"h\",\"gpu_index\":0,"
                              "\"name\":\"NVIDIA L4\",\"uuid\":\"GPU-0\",\"utilization\":0.07,"
                              "\"mem_used_mb\":1,\"mem_total_mb\":23034,\"power_w\":16.1,"
                              "\"temperature_c\":33,\"sm_clock_mhz\":210,"
                              "\"price_per_hour_usd\":0.8,\"source\":\"nvidia-smi\","
                              "\"site\":\"lab\","),
        2);
    assert_int_equal(batch.records[0].event_id.n, UUID_TEXT);
    assert_i64(batch.position, 4);
    assert_true(health().ok);
    FILE *f = fopen(harness_path(&h, "words"), "re");
    char words[512] = "";
    assert_non_null(f);
    size_t n = fread(words, 1, sizeof(words) - 1, f);
    fclose(f);
    assert_str(((struct str){words, n}),
               "--query-gpu=index,name,uuid,utilization.gpu,memory.used,memory.total,power.draw,"
               "temperature.gpu,clocks.current.sm\n--format=csv\n-lms\n2000\n");
    buf_done(&notes);
}

// The captures of ../shared through the whole input.
static void test_captured_rows(void **state)
{
    (void)state;
    struct buf text, notes;
    buf_init(&text, 1 << 20);
    buf_init(&notes, 1 << 20);
    bool there = capture_read(CAPTURE_H100, "load :: query-gpu", &text) &&
                 capture_read(CAPTURE_MIG, "load :: query-gpu", &text);
    if (there) {
        open_stand_in(text.p, "exec sleep 600", "");
        take(&notes, 2, 0);
        assert_int_equal(harness_count(&notes, "\"utilization\":1,\"mem_used_mb\":19818,"
                                               "\"mem_total_mb\":81559,\"power_w\":631.95,"
                                               "\"temperature_c\":59,\"sm_clock_mhz\":1980,"),
                         1);
        assert_int_equal(harness_count(&notes, "\"uuid\":\"GPU-00000000-0000-0000-0000-"
                                               "000000000000\",\"mem_used_mb\":11125,"
                                               "\"mem_total_mb\":81559,\"power_w\":433.78,"
                                               "\"temperature_c\":53,\"sm_clock_mhz\":1980,"),
                         1);
    }
    buf_done(&text);
    buf_done(&notes);
    if (!there) {
        skip();
    }
}

// It ends: half a row is no row, its last words are the reason, and it is started again.
static void test_it_ends(void **state)
{
    (void)state;
    struct buf notes;
    buf_init(&notes, 1 << 20);
    open_stand_in(HEADER ROW("0") "0, NVIDIA L4, GPU-0, 7 %, 1 Mi", "echo 'no more' >&2; exit 3",
                  "");
    take(&notes, 1, 1);
    assert_int_equal(harness_count(&notes, "2 ! cut off: the line does not end"), 1);
    take_failures(&notes, 1);
    check_error("smi: it ended with status 3: no more");
    call_next(&notes);
    assert_int_equal(lines_of("starts"), 1);
    harness_advance(&h, 2 * NS_PER_S);
    take(&notes, 1, 1);
    assert_int_equal(lines_of("starts"), 2);
    assert_i64(batch.position, 4);
    buf_done(&notes);
}

static void test_it_says_why_on_stdout(void **state)
{
    (void)state;
    struct buf notes;
    buf_init(&notes, 1 << 20);
    open_stand_in(
        "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n\n",
        "exit 9", "");
    take_failures(&notes, 1);
    check_error("it ended with status 9: NVIDIA-SMI has failed because it couldn't communicate");
    for (uint64_t failures = 2; failures < 6; failures++) {
        harness_advance(&h, 30 * NS_PER_S);
        take_failures(&notes, failures);
    }
    assert_int_equal(notes.n, 0); // no dead letters for what is no row
    buf_done(&notes);
}

static void test_it_hangs(void **state)
{
    (void)state;
    struct buf notes;
    buf_init(&notes, 1 << 20);
    open_stand_in(HEADER ROW("0"), "exec sleep 600", "");
    take(&notes, 1, 0);
    harness_advance(&h, 29 * NS_PER_S);
    for (int i = 0; i < 100; i++) {
        call_next(&notes);
    }
    assert_true(health().ok);
    harness_advance(&h, 2 * NS_PER_S);
    take_failures(&notes, 1);
    check_error("smi: no row for too long");
    harness_advance(&h, 2 * NS_PER_S);
    take(&notes, 1, 0);
    assert_int_equal(lines_of("starts"), 2);
    assert_true(health().ok);
    buf_done(&notes);
}

static void test_odd_lines(void **state)
{
    (void)state;
    struct buf notes;
    AUTO_FREE char *odd = x_alloc(100000);
    memset(odd, 'x', 99999);
    odd[99999] = '\0';
    AUTO_FREE char *says = x_asprintf(
        "%s\nwords\n\n%s%sTreiber nicht geladen\n%s\n%s%s%s%s", odd, HEADER, ROW("0"), odd,
        ROW("1"), HEADER, "0, NVIDIA L4, GPU-0, 7 %, 1 MB, 2 MiB, 1 W, 33, 210 MHz\n", ROW("2"));
    buf_init(&notes, 1 << 20);
    open_stand_in(says, "exec sleep 600", "");
    take(&notes, 3, 4);
    assert_int_equal(harness_count(&notes, " ! longer than 64 KiB"), 2);
    assert_int_equal(harness_count(&notes, " ! fewer cells than the header's 9"), 1);
    assert_int_equal(harness_count(&notes, " ! memory.used: cannot be '1 MB'"), 1);
    buf_done(&notes);
}

// Its trouble is the input's for as long as it lasts, though the other GPU is read.
static void test_a_lost_gpu(void **state)
{
    (void)state;
    struct buf notes;
    buf_init(&notes, 1 << 20);
    open_stand_in(HEADER ROW("0") LOST("1") ROW("0"), "read line <$0.go; echo '" ROW_TEXT("0") "'",
                  "");
    assert_int_equal(mkfifo(harness_path(&h, "smi.go"), 0600), 0);
    take(&notes, 2, 0);
    check_error("GPU 1: no measurement at all");
    assert_i64((int64_t)health().failures, 1);
    harness_advance(&h, 4 * NS_PER_S);
    harness_write(&h, "smi.go", STR("\n"));
    take(&notes, 1, 0);
    assert_true(health().ok);
    buf_done(&notes);
}

static void test_picked(void **state)
{
    (void)state;
    struct buf notes;
    buf_init(&notes, 1 << 20);
    open_stand_in(HEADER ROW("0") ROW("1") ROW("2") ROW("3"), "exec sleep 600", "&gpus=1,3");
    take(&notes, 2, 0);
    assert_int_equal(harness_count(&notes, "\"gpu_index\":1,"), 1);
    assert_int_equal(harness_count(&notes, "\"gpu_index\":3,"), 1);
    buf_done(&notes);
}

static void test_no_program(void **state)
{
    (void)state;
    struct buf notes;
    buf_init(&notes, 1 << 20);
    in = harness_open(&h, "nvidia-smi:?path=/nonexistent/nvidia-smi");
    take_failures(&notes, 1);
    check_error("/nonexistent/nvidia-smi cannot be run: No such file or directory");
    harness_advance(&h, 30 * NS_PER_S);
    take_failures(&notes, 2);
    buf_done(&notes);
}

static void test_bad_options(void **state)
{
    (void)state;
    harness_write(&h, "a.csv", STR("a,b,c\n1,2,3\n"));
    const char *const uris[] = {
        "nvidia-smi:?every=50ms",
        "nvidia-smi:?tz=UTC",
        harness_uri(&h, "nvidia-smi", "a.csv", ""),
        harness_uri(&h, "nvidia-smi", "a.csv", "?every=1s"),
        harness_uri(&h, "nvidia-smi", "a.csv", "?path=x"),
        harness_uri(&h, "nvidia-smi", "a.csv", "?tz=Mars"),
        "nvidia-smi:/dev/null",
    };
    for (size_t i = 0; i < ARRAY_LEN(uris); i++) {
        struct error err = {0};
        if (harness_try(&h, uris[i], &in, &err) != -EINVAL || err.msg[0] == '\0') {
            fail_msg("%s was taken", uris[i]);
        }
    }
    struct error err = {0};
    assert_i64(harness_try(&h, "nvidia-smi:/nonexistent.csv", &in, &err), -ENOENT);
}

#define FILE_HEADER "timestamp, index, utilization.gpu [%], power.draw [W]\n"
#define FILE_ROW(second) "2026/07/14 08:12:" second ".250, 0, 50 %, 100.00 W\n"

static void test_a_file(void **state)
{
    (void)state;
    static const struct {
        const char *options, *time;
    } rows[] = {
        {"?host=h&tz=UTC", "\"2026-07-14T08:12:01.25Z\""},
        {"?host=h&tz=%2B02:00", "\"2026-07-14T06:12:01.25Z\""},
        {"?host=h&tz=-0330", "\"2026-07-14T11:42:01.25Z\""},
    };
    harness_write(&h, "a.csv",
                  STR("Tue Jul 14\n" FILE_HEADER FILE_ROW("01")
                          FILE_ROW("02") "2026/07/14 08:12:03.250, 1, [N/A], [N/A]\n"
                                         "[N/A], 1, 5 %, [N/A]\n" FILE_HEADER FILE_ROW(
                                             "04") "2026/07/14 08:12:05.250, 0, 50 %, 100"));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf notes;
        harness_read_all(&h, &notes, harness_uri(&h, "nvidia-smi", "a.csv", rows[i].options));
        assert_int_equal(harness_count(&notes, "\"power_w\":100,"), 3);
        assert_int_equal(harness_count(&notes, "1 ! line 1: in front of a header"), 1);
        assert_int_equal(harness_count(&notes, "4 ! line 5: GPU 1: no measurement at all"), 1);
        assert_int_equal(harness_count(&notes, "5 ! line 6: timestamp: none"), 1);
        assert_int_equal(harness_count(&notes, "7 ! line 9: cut off: the line does not end"), 1);
        if (harness_count(&notes, rows[i].time) > 1 ||
            harness_count(&notes, "T08:12:02") != (i == 0)) {
            fail_msg("%s: %s", rows[i].options, notes.p);
        }
        buf_done(&notes);
    }
    harness_check_resume(&h, harness_uri(&h, "nvidia-smi", "a.csv", "?host=h&tz=UTC"), 1);
}

// Without tz= it is the machine's zone, summer time and all.
static void test_the_machines_zone(void **state)
{
    (void)state;
    struct buf notes;
    setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    tzset();
    harness_write(&h, "a.csv",
                  STR(FILE_HEADER "2026/07/14 08:00:00.000, 0, 50 %, 100.00 W\n"
                                  "2026/12/14 08:00:00.000, 0, 50 %, 100.00 W\n"
                                  "2026/03/29 03:00:00.000, 0, 50 %, 100.00 W\n"
                                  "2026/10/25 03:00:00.000, 0, 50 %, 100.00 W\n"));
    harness_read_all(&h, &notes, harness_uri(&h, "nvidia-smi", "a.csv", "?host=h"));
    unsetenv("TZ");
    tzset();
    assert_int_equal(harness_count(&notes, "\"2026-07-14T06:00:00Z\""), 1);
    assert_int_equal(harness_count(&notes, "\"2026-12-14T07:00:00Z\""), 1);
    assert_int_equal(harness_count(&notes, "\"2026-03-29T01:00:00Z\""), 1);
    assert_int_equal(harness_count(&notes, "\"2026-10-25T02:00:00Z\""), 1);
    buf_done(&notes);
}

int main(void)
{
    return TEST_RUN(
        TEST_WITH(test_rows, setup, teardown), TEST_WITH(test_captured_rows, setup, teardown),
        TEST_WITH(test_it_ends, setup, teardown),
        TEST_WITH(test_it_says_why_on_stdout, setup, teardown),
        TEST_WITH(test_it_hangs, setup, teardown), TEST_WITH(test_odd_lines, setup, teardown),
        TEST_WITH(test_a_lost_gpu, setup, teardown), TEST_WITH(test_picked, setup, teardown),
        TEST_WITH(test_no_program, setup, teardown), TEST_WITH(test_bad_options, setup, teardown),
        TEST_WITH(test_a_file, setup, teardown),
        TEST_WITH(test_the_machines_zone, setup, teardown));
}
