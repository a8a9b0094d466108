#include "pipeline/audit_sums.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

// Where the row of this place is, or belongs: places are in canonical order.
size_t audit_find_sum(const struct audit_sums *s, const struct window_row *row, bool *ret_found)
{
    struct window_row key = *row;
    size_t at = 0, end = s->n;
    *ret_found = false;
    while (at < end && !*ret_found) {
        size_t middle = at + (end - at) / 2;
        key.window_start = s->rows[middle].window_start;
        int c = window_row_cmp(&key, &s->rows[middle]);
        *ret_found = c == 0;
        end = c < 0 ? middle : end;
        at = c == 0 ? middle : c > 0 ? middle + 1 : at;
    }
    return at;
}

// What somebody wrote into the file may pass the end of the numbers: it differs then, whatever it
// is said to be.
static void add(int64_t *sum, int64_t v)
{
    if (__builtin_add_overflow(*sum, v, sum)) {
        *sum = v < 0 ? INT64_MIN : INT64_MAX;
    }
}

void audit_sum(struct audit_sums *s, const struct window_row *row)
{
    bool found;
    size_t i = audit_find_sum(s, row, &found);
    if (!found) {
        ARRAY_RESERVE(s->rows, s->n, s->cap);
        memmove(&s->rows[i + 1], &s->rows[i], (s->n - i) * sizeof(s->rows[0]));
        s->n++;
        s->rows[i] = (struct window_row){.gpu = row->gpu, .kind = row->kind};
        s->rows[i].gpu.host = arena_copy(&s->texts, row->gpu.host);
        s->rows[i].model = arena_copy(&s->texts, row->model);
        s->rows[i].tenant = arena_copy(&s->texts, row->tenant);
    }
    struct window_row *sum = &s->rows[i];
    add(&sum->cost_nusd, row->cost_nusd);
    add(&sum->cost_in_nusd, row->cost_in_nusd);
    add(&sum->cost_out_nusd, row->cost_out_nusd);
    add(&sum->prompt_tokens, row->prompt_tokens);
    add(&sum->completion_tokens, row->completion_tokens);
    add(&sum->cached_prompt_tokens, row->cached_prompt_tokens);
    add(&sum->requests, row->requests);
    add(&sum->unpriced_requests, row->unpriced_requests);
    add(&sum->busy_ns, row->busy_ns);
    add(&sum->unpriced_ns, row->unpriced_ns);
}

void audit_sums_done(struct audit_sums *s)
{
    arena_done(&s->texts);
    free(s->rows);
}
