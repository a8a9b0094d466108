#include "input/lines.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"

enum { LINES_ROOM = LINES_LIMIT_MAX + LINES_BLOCK };

static const char byte_order_mark[] = {'\xef', '\xbb', '\xbf'};

void lines_init(struct lines *l, struct reader *reader, size_t limit)
{
    *l = (struct lines){.reader = reader, .limit = limit};
    l->p = x_alloc(LINES_ROOM + LINES_PADDING);
}

void lines_done(struct lines *l)
{
    reader_close(l->reader);
    free(l->p);
    *l = (struct lines){0};
}

static void start_file(struct lines *l)
{
    l->at = l->end = l->searched = 0;
    l->offset = l->number = 0;
    l->last = l->skipping = false;
}

static void move_to_front(struct lines *l)
{
    memmove(l->p, l->p + l->at, l->end - l->at);
    l->searched -= l->at;
    l->end -= l->at;
    l->at = 0;
}

static int say_end(struct lines *l)
{
    if (l->then == READER_NEW) {
        start_file(l);
    }
    return (int)l->then;
}

int lines_fill(struct lines *l, struct error *err)
{
    if (l->last) {
        return say_end(l);
    }
    move_to_front(l);
    size_t n = 0, room = MIN((size_t)LINES_BLOCK, LINES_ROOM - l->end);
    int r = reader_read(l->reader, l->p + l->end, room, &n, err);
    l->end += n;
    if (r != READER_END && r != READER_NEW) {
        return r;
    }
    l->last = true;
    l->then = (enum reader_result)r;
    bool unfinished = l->end > 0;
    return unfinished ? READER_DATA : say_end(l);
}

static void advance(struct lines *l, size_t n)
{
    l->at += n;
    l->offset += (int64_t)n;
    l->searched = MAX(l->searched, l->at);
}

static bool is_blank(struct str line)
{
    size_t i = 0;
    while (i < line.n && (line.p[i] == ' ' || line.p[i] == '\t')) {
        i++;
    }
    return i == line.n;
}

// The bytes up to the next line end, or to where a line could at most reach; *ret_size counts the
// line end too. False: more must be read first.
static bool find_end(struct lines *l, struct str *ret, size_t *ret_size)
{
    const char *from = l->p + l->at;
    const char *end =
        l->searched < l->end ? memchr(l->p + l->searched, '\n', l->end - l->searched) : NULL;
    size_t have = l->end - l->at;
    l->searched = end ? (size_t)(end - l->p) : l->end;
    if (end == NULL && !l->last && have <= l->limit + 1) {
        return false; // a '\r' may stand behind a line of the greatest length
    }
    size_t n = end ? (size_t)(end - from) : have;
    *ret_size = n + (end != NULL);
    bool finished = end || l->last;
    *ret = (struct str){from, finished && n > 0 && from[n - 1] == '\r' ? n - 1 : n};
    l->skipping = !finished;
    return have > 0;
}

static void skip_byte_order_mark(struct lines *l)
{
    size_t n = sizeof(byte_order_mark);
    if (l->offset == 0 && l->end - l->at >= n && memcmp(l->p + l->at, byte_order_mark, n) == 0) {
        advance(l, n);
    }
}

enum line_result lines_take(struct lines *l, struct str *ret)
{
    struct str line;
    size_t size;
    skip_byte_order_mark(l);
    for (bool rest = l->skipping; find_end(l, &line, &size); rest = l->skipping) {
        advance(l, size);
        l->number += !rest;
        if (rest || is_blank(line)) {
            continue;
        }
        *ret = (struct str){line.p, MIN(line.n, l->limit)};
        return line.n > l->limit ? LINE_TOO_LONG : LINE_TAKEN;
    }
    return LINE_NONE;
}

struct str lines_peek(struct lines *l)
{
    for (int r = READER_DATA; r == READER_DATA; r = lines_fill(l, NULL)) {
        struct lines before = *l;
        struct str line;
        if (lines_take(l, &line) != LINE_NONE) {
            *l = before;
            return line;
        }
    }
    return STR_NONE;
}

// A line was read up to `offset`: it ended there, or was the last of the file and nothing has been
// added to it since.
int lines_seek(struct lines *l, int64_t offset, struct error *err)
{
    start_file(l);
    int r = reader_seek(l->reader, offset > 0 ? offset - 1 : 0, err);
    if (r < 0 || offset == 0) {
        return r;
    }
    if (reader_size(l->reader) < offset) {
        return error_set(err, -ESTALE, "it has become shorter than %lld bytes", (long long)offset);
    }
    size_t n = 0;
    r = reader_read(l->reader, l->p, 3, &n, err);
    if (r < 0) {
        return r;
    }
    bool ended = (n > 0 && l->p[0] == '\n') || n == 1 || (n > 1 && l->p[1] == '\n') ||
                 (n > 2 && l->p[1] == '\r' && l->p[2] == '\n');
    if (!ended) {
        return error_set(err, -ESTALE, "no line ends at byte %lld any more", (long long)offset);
    }
    l->offset = offset;
    return reader_seek(l->reader, offset, err);
}
