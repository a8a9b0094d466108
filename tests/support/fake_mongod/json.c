#include <bson/bson.h> // before base/macros.h, whose MIN and MAX its inline functions would use

#include "json.h"

bool json_doc(struct buf *to, struct str json)
{
    bson_error_t err;
    bson_t *b = bson_new_from_json((const uint8_t *)json.p, (ssize_t)json.n, &err);
    if (!b) {
        return false;
    }
    buf_add(to, bson_get_data(b), b->len);
    bson_destroy(b);
    return buf_ok(to);
}

void json_value(struct buf *to, struct str text)
{
    struct buf json;
    buf_init(&json, text.n + 64);
    buf_printf(&json, "{\"v\": " STR_FMT "}", STR_ARG(text));
    if (!json_doc(to, buf_view(&json))) {
        size_t mark = put_begin(to);
        put_str(to, "v", text);
        put_close(to, mark);
    }
    buf_done(&json);
}

void doc_json(struct buf *to, struct doc d)
{
    bson_t b;
    char *text = bson_init_static(&b, d.p, d.n) ? bson_as_relaxed_extended_json(&b, NULL) : NULL;
    buf_cstr(to, text ? text : "null");
    bson_free(text);
}
