#include "cost/tokens.h"

#include "base/wide.h"

// The share of the part-th of `parts` GPUs.
static int64_t gpu_share(int64_t n, uint32_t part, uint32_t parts)
{
    if (parts == 1) {
        return n;
    }
    return mul_div_floor(n, part + 1, parts) - mul_div_floor(n, part, parts);
}

// How many of n tokens spread over [begin, end) fall into [from, to). A phase without length has
// them at its instant, or just before the request's end where the instant is that.
static int64_t spread(int64_t n, int64_t begin, int64_t end, int64_t request_end, int64_t from,
                      int64_t to)
{
    if (begin == end) {
        int64_t instant = begin == request_end ? begin - 1 : begin;
        return from <= instant && instant < to ? n : 0;
    }
    if (from <= begin && end <= to) {
        return n;
    }
    if (to <= begin || end <= from) {
        return 0;
    }
    int64_t length = end - begin;
    int64_t until = mul_div_floor(n, MIN(to, end) - begin, length);
    return until - mul_div_floor(n, MAX(from, begin) - begin, length);
}

struct token_parts tokens_in_window(const struct use *u, int64_t from, int64_t to)
{
    const struct request *r = u->request;
    int64_t prefill_end = r->first < 0 ? r->end : r->first;
    int64_t decode_begin = r->first < 0 ? r->start : r->first;
    int64_t prompt = gpu_share(r->prompt, u->part, r->n_gpus);
    int64_t cached = gpu_share(r->cached, u->part, r->n_gpus);
    int64_t completion = gpu_share(r->completion, u->part, r->n_gpus);
    return (struct token_parts){
        .prompt = spread(prompt, r->start, prefill_end, r->end, from, to),
        .cached = spread(cached, r->start, prefill_end, r->end, from, to),
        .completion = spread(completion, decode_begin, r->end, r->end, from, to),
    };
}
