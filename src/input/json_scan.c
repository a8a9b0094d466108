#include "input/json_scan.h"

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_space(struct str *s)
{
    while (s->n > 0 && is_space(s->p[0])) {
        s->p++;
        s->n--;
    }
}

static void skip(struct str *s, size_t n)
{
    s->p += n;
    s->n -= n;
}

static bool eat(struct str *s, char c)
{
    skip_space(s);
    bool found = s->n > 0 && s->p[0] == c;
    if (found) {
        skip(s, 1);
    }
    return found;
}

static size_t string_length(struct str s) // with its quotes; 0: not closed
{
    for (size_t i = 1; i < s.n; i++) {
        if (s.p[i] == '\\') {
            i++;
        } else if (s.p[i] == '"') {
            return i + 1;
        }
    }
    return 0;
}

static size_t scalar_length(struct str s)
{
    size_t i = 0;
    while (i < s.n && !is_space(s.p[i]) && strchr(",:[]{}\"", s.p[i]) == NULL) {
        i++;
    }
    return i;
}

static size_t nested_length(struct str s) // 0: not closed, or too deep
{
    char closers[JSON_DEPTH_MAX];
    size_t depth = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '"') {
            size_t n = string_length((struct str){s.p + i, s.n - i});
            if (n == 0) {
                return 0;
            }
            i += n - 1;
        } else if (c == '{' || c == '[') {
            if (depth == JSON_DEPTH_MAX) {
                return 0;
            }
            closers[depth++] = c == '{' ? '}' : ']';
        } else if (c == '}' || c == ']') {
            if (closers[depth - 1] != c) {
                return 0;
            }
            if (--depth == 0) {
                return i + 1;
            }
        }
    }
    return 0;
}

bool json_take_value(struct str *s, struct str *ret)
{
    skip_space(s);
    if (s->n == 0) {
        return false;
    }
    char c = s->p[0];
    size_t n = c == '"'               ? string_length(*s)
               : c == '{' || c == '[' ? nested_length(*s)
                                      : scalar_length(*s);
    *ret = (struct str){s->p, n};
    skip(s, n);
    skip_space(s);
    return n > 0;
}

bool json_walk_begin(struct json_walk *w, struct str text, char open)
{
    *w = (struct json_walk){.rest = text, .close = open == '{' ? '}' : ']'};
    return eat(&w->rest, open);
}

// Past the comma or to the end.
static bool go_on(struct json_walk *w)
{
    bool first = !w->began;
    w->began = true;
    if (w->failed || eat(&w->rest, w->close)) {
        skip_space(&w->rest);
        w->failed = w->failed || w->rest.n > 0;
        return false;
    }
    w->failed = !first && !eat(&w->rest, ',');
    return !w->failed;
}

bool json_walk_element(struct json_walk *w, struct str *ret_value)
{
    if (!go_on(w)) {
        return false;
    }
    w->failed = !json_take_value(&w->rest, ret_value);
    return !w->failed;
}

bool json_walk_member(struct json_walk *w, struct str *ret_key, struct str *ret_value)
{
    if (!go_on(w)) {
        return false;
    }
    struct str key;
    w->failed = !json_take_value(&w->rest, &key) || key.p[0] != '"' || !eat(&w->rest, ':') ||
                !json_take_value(&w->rest, ret_value);
    if (w->failed) {
        return false;
    }
    *ret_key = (struct str){key.p + 1, key.n - 2};
    return true;
}
