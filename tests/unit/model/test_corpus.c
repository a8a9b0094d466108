// corpus/good.txt and corpus/bad.txt against the decoder and the encoder.
#include "test.h"

#include <errno.h>
#include <stdio.h>

#include "base/buf.h"
#include "decoding.h"
#include "model/encode.h"

enum { CORPUS_MAX = 1 << 20, BAD_LEAST = 80, GOOD_LEAST = 30 };

static struct str read_corpus(struct buf *b, const char *name)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", MODEL_CORPUS, name);
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    buf_init(b, CORPUS_MAX);
    char *room = buf_reserve(b, CORPUS_MAX);
    b->n = fread(room, 1, CORPUS_MAX, f);
    fclose(f);
    return buf_view(b);
}

// The next line that is neither empty nor a comment, without its mark; '\0' at the end.
static char next_line(struct str *rest, struct str *ret, int *line)
{
    while (str_split(rest, '\n', ret)) {
        ++*line;
        if (ret->n >= 2 && ret->p[0] != '#') {
            char mark = ret->p[0];
            *ret = (struct str){ret->p + 2, ret->n - 2};
            return mark;
        }
    }
    return '\0';
}

// Whether the row holds; what does not is said, so that one run shows all of it.
static bool check_good(struct decoding *d, struct str text, struct str canonical, int line)
{
    if (decoding_read(d, text) < 0) {
        print_error("good.txt:%d: %s\n", line, d->err.msg);
        return false;
    }
    struct buf b;
    buf_init(&b, RECORD_BYTES_MAX);
    record_encode(&b, &d->r);
    struct str written = buf_view(&b);
    bool ok = str_eq(written, canonical) && d->err.code == 0;
    if (!ok) {
        print_error("good.txt:%d: got " STR_FMT "\n", line, STR_ARG(written));
    }
    uint64_t digest = d->r.digest;
    if (decoding_read(d, written) < 0 || d->r.digest != digest) {
        print_error("good.txt:%d: does not read back as the same record\n", line);
        ok = false;
    }
    buf_done(&b);
    return ok;
}

// What is said of a text does not depend on the bytes behind it.
static bool check_behind(struct decoding *d, struct str text, int line)
{
    static const char behind[] = "}{[\",:0x \n\xff"; // and NUL
    struct error before = d->err;
    for (size_t i = 0; i < sizeof(behind); i++) {
        if (decoding_read_before(d, text, behind[i]) != before.code ||
            strcmp(d->err.msg, before.msg) != 0) {
            print_error("bad.txt:%d: before byte %d got %s, not %s\n", line, behind[i], d->err.msg,
                        before.msg);
            return false;
        }
    }
    return true;
}

static bool check_bad(struct decoding *d, struct str text, struct str message, int line)
{
    if (decoding_read(d, text) != -EINVAL || d->err.code != -EINVAL) {
        print_error("bad.txt:%d: is not refused\n", line);
        return false;
    }
    if (!str_starts(str_of(d->err.msg), message)) {
        print_error("bad.txt:%d: got %s\n", line, d->err.msg);
        return false;
    }
    return check_behind(d, text, line);
}

static void test_good(void **state)
{
    (void)state;
    struct decoding d;
    decoding_start(&d);
    struct buf corpus;
    struct str rest = read_corpus(&corpus, "good.txt"), text, canonical;
    int line = 0, count = 0, wrong = 0;
    while (next_line(&rest, &text, &line) == '<') {
        assert_int_equal(next_line(&rest, &canonical, &line), '=');
        wrong += !check_good(&d, text, canonical, line - 1);
        count++;
    }
    assert_false(str_present(rest)); // nothing was left unread
    assert_true(count >= GOOD_LEAST);
    assert_i64(wrong, 0);
    buf_done(&corpus);
    decoding_end(&d);
}

static void test_bad(void **state)
{
    (void)state;
    struct decoding d;
    decoding_start(&d);
    struct buf corpus;
    struct str rest = read_corpus(&corpus, "bad.txt"), message, text;
    int line = 0, count = 0, wrong = 0;
    for (char mark; (mark = next_line(&rest, &message, &line)) != '\0'; count++) {
        assert_true(mark == '!' || mark == '~');
        assert_int_equal(next_line(&rest, &text, &line), '<');
        wrong += !check_bad(&d, text, message, line);
    }
    assert_true(count >= BAD_LEAST);
    assert_i64(wrong, 0);
    buf_done(&corpus);
    decoding_end(&d);
}

int main(void)
{
    return TEST_RUN(TEST(test_good), TEST(test_bad));
}
