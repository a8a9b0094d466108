// /gpu/info: the newest sample of each GPU, as it would stand on the wire.
#include "api/api_impl.h"
#include "model/encode.h"

enum { PAGE_BYTES_MAX = 16 << 20 };

static void put_gpus(struct buf *b, const struct gpu_info *gpus, size_t n)
{
    buf_char(b, '[');
    for (size_t i = 0; i < n; i++) {
        struct record r = {.kind = RECORD_SAMPLE, .sample = gpus[i].newest};
        buf_cstr(b, i ? ",\n" : "");
        record_encode(b, &r);
    }
    buf_cstr(b, "]\n");
}

void api_gpu_info(void *ctx, struct http_exchange *x)
{
    struct api *a = ctx;
    struct arena arena = {0};
    struct gpu_info *gpus = NULL;
    struct store *store = NULL;
    struct error err;
    struct buf b;
    size_t n = 0;
    int r = api_take_store(a, &store, &err);
    r = r < 0 ? r : store_gpus(store, &arena, &gpus, &n, &err);
    buf_init(&b, PAGE_BYTES_MAX);
    if (r == 0) {
        put_gpus(&b, gpus, n);
    }
    api_give_store(a, store, r == 0);
    if (r == 0) {
        http_answer(x, 200, "application/json", NULL, buf_view(&b));
    } else {
        http_refuse(x, 503, "%s", err.msg);
    }
    buf_done(&b);
    arena_done(&arena);
}
