#include "test.h"
#include "top/view.h"

#define NOW (INT64_C(1795442400) * NS_PER_S) // 2026-11-23 14:00:00
#define MINUTE (60 * NS_PER_S)
enum { GPU_BILL = 233333333 }; // 5 minutes of 2.80 an hour

struct holder {
    struct top_snapshot s;
    struct top_gpu gpus[4];
    struct report_row placed[8], rows[8];
    struct settings split;
    struct top_state state;
    struct buf out;
};

static struct report_row row(enum row_kind kind, const char *a, const char *b, int64_t cost,
                             int64_t busy_s)
{
    struct report_row r = {.kind = kind, .loaded_nusd = cost};
    r.values[0].text = str_of(a);
    r.values[1].text = str_of(b);
    r.sums = (struct sums){.cost_nusd = cost, .busy_ns = busy_s * NS_PER_S, .open = true};
    if (kind == ROW_USAGE) {
        r.sums.requests = 600;
        r.sums.prompt_tokens = 300000;
        r.sums.completion_tokens = 60000;
        r.sums.cost_in_nusd = cost / 2;
        r.sums.cost_out_nusd = cost - cost / 2;
    }
    return r;
}

static struct top_gpu gpu(const char *label, int64_t age)
{
    return (struct top_gpu){
        .label = str_of(label),
        .name = STR("NVIDIA H100 80GB HBM3"),
        .first_seen = NOW - NS_PER_DAY,
        .last_seen = NOW - age,
        .has = SAMPLE_UTILIZATION | SAMPLE_MEM_USED | SAMPLE_MEM_TOTAL | SAMPLE_POWER,
        .utilization = 0.98,
        .mem_used_mb = 910,
        .mem_total_mb = 1000,
        .power_w = 631,
        .price_nusd_hour = INT64_C(2800000000),
        .price_source = TOP_PRICE_SAMPLE,
    };
}

static int set_up(void **state)
{
    struct holder *h = calloc(1, sizeof(*h));
    struct top_ask ask = {TOP_5M, TOP_BY_MODEL_TENANT, &zone_utc, INT64_MIN};
    top_snapshot_init(&h->s, &ask, NOW);
    h->s.newest = NOW;
    h->s.final_until = NOW - 6 * MINUTE;
    h->gpus[0] = gpu("gpu-01/0", 0);
    h->gpus[1] = gpu("gpu-02/3", 18 * MINUTE);
    h->s.gpus = h->gpus;
    h->s.n_gpus = 2;
    h->placed[0] = row(ROW_USAGE, "gpu-01/0", "llama-3-70b", 200000000, 257);
    h->placed[1] = row(ROW_IDLE, "gpu-01/0", NULL, GPU_BILL - 200000000, 43);
    h->placed[2] = row(ROW_UNATTRIBUTED, "gpu-02/3", NULL, GPU_BILL, 300);
    h->rows[0] = row(ROW_USAGE, "llama-3-70b", "search", 150000000, 193);
    h->rows[1] = row(ROW_USAGE, "llama-3-70b", NULL, 50000000, 64);
    h->rows[2] = row(ROW_IDLE, NULL, NULL, GPU_BILL - 200000000, 43);
    h->rows[3] = row(ROW_UNATTRIBUTED, NULL, NULL, GPU_BILL, 300);
    h->s.placed.rows = h->placed;
    h->s.placed.n_rows = 3;
    h->s.groups.rows = h->rows;
    h->s.groups.n_rows = 4;
    h->split = settings_default;
    h->s.groups.splits = &h->split;
    h->s.groups.n_splits = 1;
    buf_init(&h->out, 1 << 20);
    h->state.window = TOP_5M;
    *state = h;
    return 0;
}

static int tear_down(void **state)
{
    struct holder *h = *state;
    buf_done(&h->out);
    free(h);
    return 0;
}

static struct str frame(struct holder *h, size_t width, size_t height, const char *trouble)
{
    struct grid g;
    struct top_model m;
    struct top_look look = {h->state.basis, h->state.sort, str_of(h->state.filter), NULL};
    top_totals(&h->s.placed);
    top_totals(&h->s.groups);
    top_model_init(&m, &h->s, &look);
    top_state_follow(&h->state, &m);
    struct top_view v = {&m, "sqlite:gtap.db", NOW + 7 * NS_PER_S, &zone_utc, trouble, false};
    grid_init(&g, width, height);
    top_view_draw(&v, &h->state, &g);
    buf_clear(&h->out);
    grid_text(&g, &h->out);
    grid_done(&g);
    top_model_done(&m);
    return buf_view(&h->out);
}

static void assert_shows(struct str text, const char *part)
{
    if (!memmem(text.p, text.n, part, strlen(part))) {
        fail_at(__FILE__, __LINE__, "no '%s' in:\n" STR_FMT, part, STR_ARG(text));
    }
}

static void test_usual(void **state)
{
    assert_str(frame(*state, 80, 24, NULL),
               "gtap  $5.60/h  0.648 $/Mtok  busy 43 %  idle $0.40/h  final 13:54       14:00:07\n"
               "last 5 min: $0.47, provisional  2 hosts 2 GPUs  rows busy, by cost\n"
               "GPU       name            util   mem  power   $/h  $/Mtok  model        time\n"
               "gpu-01/0  H100 80GB HBM3  98 %  91 %  631 W  2.80   0.556  llama-3-70b  #######-\n"
               "gpu-02/3  H100 80GB HBM3     -     -      -  2.80       -  (silent for 18 min)\n"
               "MODEL / TENANT        req/s  tok/s in  out     $   $/h  $/Mtok  share  of bill\n"
               "llama-3-70b / search    2.0     1,000  200  0.15  1.80   0.417   32 %  ###------\n"
               "llama-3-70b / -         2.0     1,000  200  0.05  0.60   0.139   11 %  #--------\n"
               "idle                                        0.04  0.40            7 %  =--------\n"
               "unattributed                                0.23  2.80           50 %  !!!!!----\n"
               "bill                    4.0     2,000  400  0.47  5.60   0.648\n"
               "no telemetry: gpu-02/3, 5 min\n"
               "\n"
               "\n"
               "\n"
               "\n"
               "\n"
               "\n"
               "\n"
               "\n"
               "\n"
               "\n"
               "\n"
               "F1 help  F2 model/tenant  F3 5m  F4 busy  F6 cost  F9 explain  F10 quit\n");
}

static void test_small(void **state)
{
    assert_str(frame(*state, 40, 10, NULL), "gtap  $5.60/h  0.648 $/Mtok     14:00:07\n"
                                            "last 5 min: $0.47, provisional\n"
                                            "GPU       util   mem   $/h  $/Mtok\n"
                                            "gpu-01/0  98 %  91 %  2.80   0.556\n"
                                            "gpu-02/3     -     -  2.80       -  (si\xe2\x80\xa6\n"
                                            "MODEL / TENANT  out   $/h  $/M  1-1 of 2\n"
                                            "llama-3-70b /\xe2\x80\xa6  200  1.80   0.417\n"
                                            "bill            400  5.60   0.648\n"
                                            "no telemetry: gpu-02/3, 5 min\n"
                                            "F1 help  F2 model/tenant  F3 5m  F4 busy\n");
}

// A wide screen has all columns; nothing is longer than the screen at any size.
static void test_sizes(void **state)
{
    struct holder *h = *state;
    assert_shows(frame(h, 200, 60, NULL), "(silent for 18 min)");
    assert_shows(frame(h, 200, 60, NULL), "no telemetry: gpu-02/3, 5 min");
    for (size_t width = 1; width < 130; width += 7) {
        for (size_t height = 1; height < 40; height += 3) {
            struct str text = frame(h, width, height, NULL);
            size_t lines = 0;
            for (size_t i = 0; i < text.n; i++) {
                lines += text.p[i] == '\n';
            }
            assert_i64(lines, height);
        }
    }
}

static void test_names(void **state)
{
    struct holder *h = *state;
    static char name[600];
    memset(name, 'x', sizeof(name) - 1);
    h->rows[0].values[0].text = str_of(name);
    h->rows[1].values[1].text = STR("\xe6\x90\x9c\xe7\xb4\xa2\x1b[2J");
    struct str text = frame(h, 80, 24, NULL);
    assert_shows(text, "xxxx\xe2\x80\xa6");
    assert_shows(text, "\xe6\x90\x9c\xe7\xb4\xa2\xef\xbf\xbd[2J");
    assert_null(memchr(text.p, 0x1b, text.n));
    assert_shows(text, "5.60"); // the bill has its place all the same
}

// Without a price there is a dash, and what to do; never 0.
static void test_unpriced(void **state)
{
    struct holder *h = *state;
    for (size_t i = 0; i < 4; i++) {
        h->rows[i].sums.unpriced_ns = h->rows[i].sums.busy_ns;
        h->rows[i].sums.cost_nusd = h->rows[i].loaded_nusd = 0;
        h->placed[i].sums.unpriced_ns = h->placed[i].sums.busy_ns;
        h->placed[i].sums.cost_nusd = 0;
    }
    struct str text = frame(h, 200, 24, NULL);
    assert_shows(text, "gtap  -/h  - $/Mtok");
    assert_shows(text, "idle -");
    assert_shows(text, "gtap price add 'NVIDIA H100 80GB HBM3' USD_PER_HOUR");
    assert_null(memmem(text.p, text.n, "0.00", 4));
}

static void test_nothing(void **state)
{
    struct holder *h = *state;
    h->s.groups.n_rows = h->s.placed.n_rows = h->s.n_gpus = 0;
    h->s.newest = NOW - NS_PER_DAY - 2 * NS_PER_HOUR;
    assert_shows(frame(h, 100, 24, NULL), "the newest record is of 22 Nov 12:00, 1 d 2 h ago");
    h->s.empty = true;
    assert_shows(frame(h, 120, 24, NULL), "no GPU has reported");
}

// The rest of what a filter hides is still in the sum.
static void test_filter(void **state)
{
    struct holder *h = *state;
    snprintf(h->state.filter, sizeof(h->state.filter), "SEARCH");
    struct str text = frame(h, 100, 24, NULL);
    assert_shows(text, "(1 hidden)");
    assert_shows(text, "filter: SEARCH");
    assert_shows(text, "llama-3-70b / search");
}

static void test_trouble(void **state)
{
    assert_shows(frame(*state, 80, 24, "no news for 12 s: refused"), "no news for 12 s: refused");
}

static void test_explain(void **state)
{
    struct holder *h = *state;
    h->state.page = TOP_EXPLAIN;
    struct str text = frame(h, 200, 30, NULL);
    assert_shows(text,
                 "gpu-01/0 is NVIDIA H100 80GB HBM3 at $2.8 an hour, as its own samples say.");
    assert_shows(text,
                 "it was billed for 5 min, $0.233333333: 4 min 17 s of requests ($0.200000000)");
    h->state.chosen = 2;
    h->state.label[0] = '\0';
    text = frame(h, 200, 30, NULL);
    assert_shows(text, "llama-3-70b / search had 3 min 13 s of GPU time, which cost");
    assert_shows(text, "llama-3-70b ran on gpu-01/0 ($0.200000000).");
    h->state.page = TOP_HELP;
    assert_shows(frame(h, 80, 40, NULL), "F9 9 e Enter");
}

#define CASE(f) TEST_WITH(f, set_up, tear_down)

int main(void)
{
    return TEST_RUN(CASE(test_usual), CASE(test_small), CASE(test_sizes), CASE(test_names),
                    CASE(test_unpriced), CASE(test_nothing), CASE(test_filter), CASE(test_trouble),
                    CASE(test_explain));
}
