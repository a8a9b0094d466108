// The page of keys.
#include "report/text.h"
#include "top/view_impl.h"

void view_help(view_paragraph *put, void *ctx)
{
    static const char *const words[] = {
        "",
        "$/h is what the GPUs cost an hour, over the window; $/Mtok is for a million tokens, in "
        "and "
        "out together. The number on top is loaded: everything, over all tokens.",
        "A GPU's time: # requests, - idle, ! without telemetry. GPUs add up to $/h on top, rows "
        "with "
        "idle and unattributed time to the bill, to the cent shown.",
        "What is not final may still change, and is marked provisional; final says up to when "
        "nothing does. A dash is something not known, never 0: why is said below the tables.",
    };
    struct buf b;
    buf_init(&b, 1024);
    for (const struct top_key_help *k = top_key_helps; k->keys; k++) {
        buf_printf(&b, "%-19s %s", k->keys, k->what);
        put(ctx, LOOK_PLAIN, &b);
    }
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        buf_cstr(&b, words[i]);
        put(ctx, LOOK_PLAIN, &b);
    }
    buf_done(&b);
}
