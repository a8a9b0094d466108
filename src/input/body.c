#include "input/body.h"

// Whether the first line is an object of its own: else it goes on over more lines.
static bool first_line_is_whole(struct str text)
{
    struct str line, value;
    (void)str_split(&text, '\n', &line);
    return json_take_value(&line, &value) && str_trim(line).n == 0;
}

void body_begin(struct body *b, struct str text, bool json)
{
    struct str s = str_trim(text);
    *b = (struct body){.rest = s, .kind = BODY_LINES};
    if (s.n > 0 && s.p[0] == '[' && json_walk_begin(&b->walk, s, '[')) {
        b->kind = BODY_ARRAY;
    } else if (json || (s.n > 0 && s.p[0] == '{' && !first_line_is_whole(s))) {
        b->kind = BODY_VALUES;
    }
}

static bool next_line(struct body *b, struct str *ret)
{
    while (str_split(&b->rest, '\n', ret)) {
        *ret = str_trim(*ret);
        if (ret->n > 0) {
            return true;
        }
    }
    return false;
}

static bool all_that_is_left(struct body *b, struct str *ret)
{
    *ret = str_trim(b->rest);
    b->rest = STR_NONE;
    return ret->n > 0;
}

static bool next_value(struct body *b, struct str *ret)
{
    return json_take_value(&b->rest, ret) || all_that_is_left(b, ret);
}

// Of a broken array what stands behind its last good element comes out whole.
static bool next_element(struct body *b, struct str *ret)
{
    struct str before = b->walk.rest;
    if (json_walk_element(&b->walk, ret)) {
        return true;
    }
    b->kind = BODY_VALUES;
    b->rest = b->walk.failed ? before : STR_NONE;
    return all_that_is_left(b, ret);
}

bool body_next(struct body *b, struct str *ret)
{
    switch (b->kind) {
    case BODY_ARRAY:
        return next_element(b, ret);
    case BODY_VALUES:
        return next_value(b, ret);
    default:
        return next_line(b, ret);
    }
}
