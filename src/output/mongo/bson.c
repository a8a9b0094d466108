#include "output/mongo/bson.h"

#include <stdlib.h>

void mg_buf_done(struct mg_buf *b)
{
    free(b->p);
    *b = (struct mg_buf){0};
}

void mg_buf_grow(struct mg_buf *b, size_t n)
{
    size_t cap = b->cap ? b->cap : 1024;
    while (cap - b->n < n) {
        cap += cap / 2;
    }
    b->p = x_realloc_array(b->p, cap, 1);
    b->cap = cap;
}

void mg_key(struct mg_buf *b, char type, struct str name)
{
    mg_add(b, &type, 1);
    mg_add(b, name.p, name.n);
    mg_add(b, "", 1);
}

void mg_index(struct mg_buf *b, char type, size_t index)
{
    char text[24];
    size_t at = sizeof(text);
    text[--at] = '\0';
    do {
        text[--at] = (char)('0' + index % 10);
        index /= 10;
    } while (index > 0);
    text[--at] = type;
    mg_add(b, text + at, sizeof(text) - at);
}

static void add_length(struct mg_buf *b, size_t n)
{
    int32_t length = (int32_t)n;
    mg_add(b, &length, sizeof(length));
}

void mg_text(struct mg_buf *b, const char *key, size_t key_n, struct str s)
{
    mg_add(b, key, key_n);
    add_length(b, s.n + 1);
    mg_add(b, s.p, s.n);
    mg_add(b, "", 1);
}

void mg_bytes(struct mg_buf *b, const char *key, size_t key_n, struct str s)
{
    static const char generic = 0; // subtype
    mg_add(b, key, key_n);
    add_length(b, s.n);
    mg_add(b, &generic, 1);
    mg_add(b, s.p, s.n);
}
