// What `gtap top` reads from an API that may be anything: two answers of /api/v1/costs, by GPU and
// as asked, and one of /api/v1/gpus, with NUL between them; then all that is shown of it.
#include "fuzz.h"

#include <assert.h>

#include "top/source.h"
#include "top/top.h"
#include "top/view.h"

enum { FRAME_MAX = 64 << 20, ROWS_SHOWN = 200 };

static struct str next_part(struct str *rest)
{
    struct str part;
    (void)str_split(rest, '\0', &part);
    return str_present(part) ? part : STR("");
}

static int read_costs(struct str text, const enum report_dim *dims, size_t n,
                      struct top_snapshot *s, struct report *ret, struct error *err)
{
    ret->query = (struct report_query){.n_by = n, .zone = &zone_utc};
    memcpy(ret->query.by, dims, n * sizeof(*dims));
    return top_api_costs(text, s, ret, err);
}

static void draw(const struct top_model *m, enum top_page page, size_t width)
{
    struct buf b;
    struct grid grid;
    struct top_state state = {.page = page};
    struct top_view view = {.model = m,
                            .source = "http://localhost",
                            .now = m->snapshot->at,
                            .zone = &zone_utc,
                            .printed = width == 0};
    buf_init(&b, FRAME_MAX);
    size_t height =
        width > 0 ? 24 : top_view_height(&view, &state, width = top_view_width(&view, &state));
    grid_init(&grid, width, MIN(height, (size_t)ROWS_SHOWN));
    top_state_follow(&state, m);
    top_view_draw(&view, &state, &grid);
    grid_text(&grid, &b);
    grid_done(&grid);
    buf_done(&b);
}

static void show(const struct top_snapshot *s, enum report_basis basis, enum top_sort sort)
{
    struct top_model m;
    struct top_look look = {basis, sort, STR(""), NULL};
    struct buf b;
    top_model_init(&m, s, &look);
    buf_init(&b, FRAME_MAX);
    top_json(&m, &b);
    buf_done(&b);
    draw(&m, TOP_MAIN, 0);
    draw(&m, TOP_MAIN, 80);
    draw(&m, TOP_EXPLAIN, 80);
    top_model_done(&m);
}

// Whoever is refused learns why.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum report_dim by_gpu[] = {DIM_GPU, DIM_MODEL},
                                 by_who[] = {DIM_MODEL, DIM_TENANT};
    struct str rest = {(const char *)data, size};
    struct error err = {0};
    struct top_snapshot s;
    struct top_ask ask = {TOP_5M, TOP_BY_MODEL_TENANT, &zone_utc, INT64_MIN};
    top_snapshot_init(&s, &ask, INT64_C(1795442400) * NS_PER_S);
    int r = read_costs(next_part(&rest), by_gpu, 2, &s, &s.placed, &err);
    r = r < 0 ? r : read_costs(next_part(&rest), by_who, 2, &s, &s.groups, &err);
    r = r < 0 ? r : top_api_gpus(next_part(&rest), &s, &err);
    if (r == 0) {
        show(&s, BASIS_BUSY, TOP_SORT_COST);
        show(&s, BASIS_LOADED, TOP_SORT_RATE);
    } else {
        assert(err.msg[0] != '\0');
    }
    arena_done(&s.arena);
    return 0;
}
