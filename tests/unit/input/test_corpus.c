// corpus/*.txt: bad input of every format, and what becomes of it. A case is
//
//     * NAME             what it is about
//     ? OPTIONS          of the URI, when there are any
//     < TEXT             a line of the file; the last one may be "<< TEXT", a line without its end
//     g TEXT  z TEXT     a gzip member, a Zstandard frame with this text
//     k                  a Zstandard skippable frame
//     cut N              the last N bytes are missing
//     flip N             the N-th byte from the end is another one
//     - REASON           a dead letter, as it begins: "line 3: ..." of a trace, else "POSITION:
//     ..."
//     + WHAT             a record: of a trace "PROMPT OUTPUT MODEL", of an inventory
//                        "HOST/INDEX/INSTANCE", of a file the record as JSON
//     x MESSAGE          the error that the input ends with, or does not open with, holds this
//
// In TEXT \\ \n \r \t \xHH stand for bytes, and \*N:C for N times C. Records come in any order;
// there must be no others, and no dead letters but these. What the lines of a plain file become is
// counted, too: nothing is lost, and a dead letter has its line whole.
#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "harness.h"
#include "model/encode.h"

enum { CORPUS_MAX = 1 << 20, CONTENT_MAX = 1 << 23, LINES_MAX = 64, CASES_LEAST = 10 };

static struct harness h;

struct rows {
    struct str row[LINES_MAX];
    size_t n;
};

// One case, while it is read and run.
struct example {
    const char *scheme;
    struct str name, options, error;
    struct buf content;
    size_t lines; // that are not blank
    bool packed;
    struct rows records, dead; // expected
    struct rows got;           // of the records
    size_t got_dead;
    struct error err;
};

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

static int hex(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

// "512:c" or "512:\\x00", returns how long that is.
static size_t add_repeated(struct buf *b, struct str s)
{
    size_t at = 0, times = 0;
    for (; s.p[at] != ':'; at++) {
        times = times * 10 + (size_t)(s.p[at] - '0');
    }
    char c = s.p[++at];
    if (c == '\\') {
        assert_int_equal(s.p[at + 1], 'x');
        c = (char)(hex(s.p[at + 2]) * 16 + hex(s.p[at + 3]));
        at += 3;
    }
    memset(buf_reserve(b, times), c, times);
    b->n += times;
    return at + 1;
}

// What follows a backslash: adds what it stands for, returns how long it is.
static size_t add_escape(struct buf *b, struct str s)
{
    static const char names[] = "nrt\\", bytes[] = "\n\r\t\\";
    const char *known = strchr(names, s.p[0]);
    if (known) {
        buf_char(b, bytes[known - names]);
        return 1;
    }
    if (s.p[0] == 'x') {
        buf_char(b, (char)(hex(s.p[1]) * 16 + hex(s.p[2])));
        return 3;
    }
    assert_int_equal(s.p[0], '*');
    return 1 + add_repeated(b, (struct str){s.p + 1, s.n - 1});
}

static void add_text(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.n;) {
        if (s.p[i] == '\\') {
            i += 1 + add_escape(b, (struct str){s.p + i + 1, s.n - i - 1});
        } else {
            buf_char(b, s.p[i++]);
        }
    }
}

static void add_line(struct example *e, struct str text, bool ended)
{
    size_t before = e->content.n;
    add_text(&e->content, text);
    struct str line = {e->content.p + before, e->content.n - before};
    e->lines += str_trim(line).n > 0;
    if (ended) {
        buf_char(&e->content, '\n');
    }
}

static void add_packed(struct example *e, enum harness_pack how, struct str text)
{
    struct buf plain;
    buf_init(&plain, CONTENT_MAX);
    add_text(&plain, text);
    harness_pack(&e->content, how, buf_view(&plain));
    buf_done(&plain);
    e->packed = true;
}

static size_t number(struct str s)
{
    AUTO_FREE char *text = x_strndup(s.p, s.n);
    return strtoul(text, NULL, 10);
}

static void add_row(struct rows *rows, struct str row)
{
    assert_true(rows->n < LINES_MAX);
    rows->row[rows->n++] = arena_copy(&h.arena, row);
}

static void add_verb(struct example *e, struct str verb, struct str text)
{
    static const char skippable[] = "\x50\x2a\x4d\x18\x04\x00\x00\x00meta";
    struct buf *b = &e->content;
    if (str_eq(verb, STR("?"))) {
        e->options = text;
    } else if (str_eq(verb, STR("<")) || str_eq(verb, STR("<<"))) {
        add_line(e, text, verb.n == 1);
    } else if (str_eq(verb, STR("g")) || str_eq(verb, STR("z"))) {
        add_packed(e, verb.p[0] == 'g' ? AS_GZIP : AS_ZSTD, text);
    } else if (str_eq(verb, STR("k"))) {
        buf_add(b, skippable, sizeof(skippable) - 1);
        e->packed = true;
    } else if (str_eq(verb, STR("cut"))) {
        b->n -= number(text);
    } else if (str_eq(verb, STR("flip"))) {
        b->p[b->n - number(text)] ^= 0x55;
    } else if (str_eq(verb, STR("-"))) {
        add_row(&e->dead, text);
    } else if (str_eq(verb, STR("+"))) {
        add_row(&e->records, text);
    } else {
        assert_true(str_eq(verb, STR("x")));
        e->error = text;
    }
}

static void describe(const struct example *e, struct record *r, struct buf *b)
{
    if (strcmp(e->scheme, "seed") == 0) {
        const struct gpu_key *g = &r->sample.gpu;
        buf_printf(b, STR_FMT "/%d/%d", STR_ARG(g->host), g->index, g->instance);
    } else if (strcmp(e->scheme, "trace") == 0) {
        const struct usage_record *u = &r->usage;
        buf_printf(b, "%lld %lld " STR_FMT, (long long)u->prompt_tokens,
                   (long long)u->completion_tokens, STR_ARG(u->model));
    } else {
        r->event_id = STR_NONE;
        record_encode(b, r);
    }
}

static void note_records(struct example *e, const struct batch *batch)
{
    bool trace = strcmp(e->scheme, "trace") == 0;
    for (size_t i = 0; i < batch->n_records; i++) {
        struct buf b;
        buf_init(&b, CONTENT_MAX);
        if (!trace || batch->records[i].kind == RECORD_USAGE) {
            describe(e, &batch->records[i], &b);
            add_row(&e->got, buf_view(&b));
        }
        buf_done(&b);
    }
}

static bool is_line(struct str content, struct str text)
{
    struct str line;
    if (str_starts(content, STR("\xef\xbb\xbf"))) {
        content = (struct str){content.p + 3, content.n - 3};
    }
    while (str_split(&content, '\n', &line)) {
        line.n -= str_ends(line, STR("\r"));
        if (str_eq(line, text)) {
            return true;
        }
    }
    return false;
}

// The next that is expected, with its line whole; complaints are counted.
static int check_dead(struct example *e, const struct dead_letter *d)
{
    AUTO_FREE char *with_position =
        x_asprintf("%lld: " STR_FMT, (long long)d->position, STR_ARG(d->reason));
    struct str got = strcmp(e->scheme, "trace") == 0 ? d->reason : str_of(with_position);
    size_t i = e->got_dead++;
    if (i >= e->dead.n || !str_starts(got, e->dead.row[i])) {
        print_error(STR_FMT ": dead letter " STR_FMT "\n", STR_ARG(e->name), STR_ARG(got));
        return 1;
    }
    if (!e->packed && d->payload.n < RECORD_BYTES_MAX &&
        !is_line(buf_view(&e->content), d->payload)) {
        print_error(STR_FMT ": payload '" STR_FMT "' is no line\n", STR_ARG(e->name),
                    STR_ARG(d->payload));
        return 1;
    }
    return 0;
}

static int run(struct example *e, struct input *in)
{
    struct batch b;
    int r = INPUT_MORE, wrong = 0;
    batch_init(&b);
    while (r == INPUT_MORE) {
        batch_clear(&b);
        r = input_next(in, &b, &e->err);
        note_records(e, &b);
        for (size_t i = 0; i < b.n_dead; i++) {
            wrong += check_dead(e, &b.dead[i]);
        }
    }
    batch_done(&b);
    return wrong;
}

static int by_text(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static int check_records(struct example *e)
{
    int wrong = 0;
    qsort(e->got.row, e->got.n, sizeof(e->got.row[0]), by_text);
    qsort(e->records.row, e->records.n, sizeof(e->records.row[0]), by_text);
    for (size_t i = 0; i < MAX(e->got.n, e->records.n); i++) {
        struct str got = i < e->got.n ? e->got.row[i] : STR("nothing");
        struct str want = i < e->records.n ? e->records.row[i] : STR("nothing");
        if (!str_eq(got, want)) {
            print_error(STR_FMT ": got " STR_FMT ", want " STR_FMT "\n", STR_ARG(e->name),
                        STR_ARG(got), STR_ARG(want));
            wrong++;
        }
    }
    return wrong;
}

static int check_error(const struct example *e)
{
    bool none = e->err.code == 0 && !str_present(e->error);
    if (none || (str_present(e->error) && e->err.code < 0 &&
                 memmem(e->err.msg, strlen(e->err.msg), e->error.p, e->error.n))) {
        return 0;
    }
    print_error(STR_FMT ": error %s\n", STR_ARG(e->name), e->err.code ? e->err.msg : "expected");
    return 1;
}

// Every line is a record or a dead letter, but for the header of a CSV.
static int check_count(const struct example *e)
{
    bool csv = strcmp(e->scheme, "trace") == 0 && memchr(e->content.p, '{', e->content.n) == NULL;
    bool counted = !e->packed && e->err.code == 0 && strcmp(e->scheme, "seed") != 0;
    if (counted && e->got.n + e->got_dead + csv != e->lines) {
        print_error(STR_FMT ": %zu lines became %zu records and %zu dead letters\n",
                    STR_ARG(e->name), e->lines, e->got.n, e->got_dead);
        return 1;
    }
    return 0;
}

static int check_example(struct example *e)
{
    struct input *in = NULL;
    AUTO_FREE char *options = x_strndup(e->options.n ? e->options.p : "", e->options.n);
    harness_write(&h, "in", buf_view(&e->content));
    int wrong = 0;
    if (harness_try(&h, harness_uri(&h, e->scheme, "in", options), &in, &e->err) == 0) {
        wrong += run(e, in);
    }
    input_close(in);
    if (e->got_dead < e->dead.n) {
        print_error(STR_FMT ": %zu dead letters\n", STR_ARG(e->name), e->got_dead);
        wrong++;
    }
    wrong += check_error(e) + check_records(e) + check_count(e);
    buf_done(&e->content);
    return wrong;
}

static struct str read_corpus(struct buf *b, const char *name)
{
    AUTO_FREE char *path = x_asprintf("%s/%s.txt", INPUT_CORPUS, name);
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    buf_init(b, CORPUS_MAX);
    b->n = fread(buf_reserve(b, CORPUS_MAX), 1, CORPUS_MAX, f);
    fclose(f);
    return buf_view(b);
}

static void check_corpus(const char *scheme, const char *options, const char *name)
{
    struct buf corpus;
    struct str rest = read_corpus(&corpus, name), line;
    int cases = 0, wrong = 0;
    struct example e = {.scheme = scheme};
    while (str_split(&rest, '\n', &line)) {
        struct str text = line, verb;
        if (line.n == 0 || line.p[0] == '#') {
            continue;
        }
        str_split(&text, ' ', &verb);
        if (!str_eq(verb, STR("*"))) {
            add_verb(&e, verb, str_present(text) ? text : STR(""));
            continue;
        }
        wrong += cases++ > 0 ? check_example(&e) : 0;
        e = (struct example){.scheme = scheme, .name = text, .options = str_of(options)};
        buf_init(&e.content, CONTENT_MAX);
        buf_cstr(&e.content, ""); // so that there is memory to point into
    }
    wrong += check_example(&e);
    assert_true(cases >= CASES_LEAST);
    assert_i64(wrong, 0);
    buf_done(&corpus);
}

#define CORPUS_TEST(name, scheme, options)                                                         \
    static void test_##name(void **state)                                                          \
    {                                                                                              \
        (void)state;                                                                               \
        check_corpus(scheme, options, #name);                                                      \
    }

CORPUS_TEST(azure, "trace", "?gpus=1")
CORPUS_TEST(burstgpt, "trace", "?gpus=1")
CORPUS_TEST(mooncake, "trace", "?gpus=1")
CORPUS_TEST(vidur, "trace", "?gpus=1")
CORPUS_TEST(inventory, "seed", "?duration=1s&host=h")
CORPUS_TEST(packed, "file", "")
CORPUS_TEST(lines, "file", "")

#define WITH_FILES(f) TEST_WITH(f, setup, teardown)

int main(void)
{
    return TEST_RUN(WITH_FILES(test_azure), WITH_FILES(test_burstgpt), WITH_FILES(test_mooncake),
                    WITH_FILES(test_vidur), WITH_FILES(test_inventory), WITH_FILES(test_packed),
                    WITH_FILES(test_lines));
}
