#include "cmd/rederive_print.h"
#include "cmd/shared_options.h"
#include "report/digits.h"

enum { ANSWER_MAX = 32 << 20 };

static const struct option options[] = {
    OPTION_STORE(struct rederive_options, "the store to verify"),
    OPTION_SINCE(struct rederive_options),
    OPTION_UNTIL(struct rederive_options),
    OPTION_TZ(struct rederive_options),
    {.name = "show",
     .letter = 'n',
     .type = OPTION_INT,
     .offset = offsetof(struct rederive_options, show),
     .value = "N",
     .help = "rows that differ to show",
     .fallback = "10",
     .key = "show",
     .most = 100000},
    OPTION_JSON(struct rederive_options),
    {0},
};

static void put_unpriced(const struct rederive_result *r, struct buf *b)
{
    if (r->unpriced_requests > 0 || r->unpriced_ns > 0) {
        buf_cstr(b, "No price is known for ");
        digits_duration(b, (int64_t)MIN(r->unpriced_ns, (i128)INT64_MAX));
        buf_cstr(b, " of GPU time: ");
        digits_count(b, (int64_t)r->unpriced_requests, "request");
        buf_cstr(b, r->unpriced_requests == 1 ? " has no cost.\n" : " have no cost.\n");
    }
    if (r->unplaced_requests > 0) {
        digits_count(b, (int64_t)r->unplaced_requests, "request");
        buf_cstr(b, r->unplaced_requests == 1 ? " names no GPU.\n" : " name no GPU.\n");
    }
}

// Rows of closed months that were settled again.
static void put_ledger(const struct rederive_result *r, struct buf *b)
{
    uint64_t n = r->ledger_equal + r->ledger_different;
    if (n == 0) {
        return;
    }
    digits_count(b, (int64_t)n, "row");
    buf_cstr(b,
             n == 1 ? " of a closed month was corrected: " : " of closed months were corrected: ");
    if (r->ledger_different == 0) {
        buf_cstr(b, "what was first billed, and the corrections, add up to what is stored.\n");
        return;
    }
    digits_grouped(b, (i128)r->ledger_different, 0);
    buf_cstr(b, r->ledger_different == 1 ? " is" : " are");
    buf_cstr(b, " not what was first billed plus the corrections.\n");
}

// Rows that are replaced take what is packed of them with them.
static void put_packs(const struct rederive_print *p, const struct rederive_result *r,
                      struct buf *b)
{
    if (r->packs_different > 0) {
        buf_cstr(b, "\nReports read what is packed; a damaged disk, or somebody, changed it. It is "
                    "packed again from the\nrows by:\n");
        buf_printf(b, "  gtap recompute%s\n", cli_store_words(p->cli, p->options->store));
    }
}

static void put_differences(const struct rederive_print *p, const struct rederive_result *r,
                            struct buf *b)
{
    uint64_t n = r->rows_different + r->ledger_different + r->packs_different;
    if (p->n > 0) {
        buf_cstr(b, p->n < n ? "\nThe first of them:\n" : "\nThey are:\n");
        buf_str(b, buf_view(&p->differences));
    }
    if (r->ledger_different > 0) {
        buf_cstr(b, "\nRows or corrections were changed by somebody else than gtap: \"derived\" is "
                    "what the ledger adds up to.\nCompare with the bills that were sent.\n");
    }
    if (r->rows_different == 0) {
        put_packs(p, r, b);
        return;
    }
    buf_cstr(b, "\nAfter a price correction this is expected: the raw records stand, and what is "
                "derived from them\nis replaced by:\n");
    buf_printf(b, "  gtap recompute%s\n", cli_store_words(p->cli, p->options->store));
    buf_cstr(b, "Otherwise somebody or something changed the store: the raw records are the "
                "evidence.\n");
}

static void put_rows(const struct rederive_print *p, const struct rederive_result *r, struct buf *b)
{
    rederive_put_range(p, r, b);
    buf_cstr(b, ", re-derived from the raw records\n");
    rederive_put_money(r, b);
    put_unpriced(r, b);
    put_ledger(r, b);
    digits_count(b, (int64_t)r->rows_equal, "stored row");
    buf_cstr(b, r->rows_equal == 1 ? " is equal, " : " are equal, ");
    digits_grouped(b, (i128)r->rows_different, 0);
    buf_cstr(b, r->rows_different == 1 ? " differs.\n" : " differ.\n");
}

static void put_answer(const struct rederive_print *p, const struct rederive_result *r,
                       struct buf *b)
{
    if (r->from < r->to) {
        put_rows(p, r, b);
    } else {
        buf_cstr(b, "Nothing in this range is final yet: there is nothing to verify.\n");
    }
    if (r->packs_different > 0) {
        rederive_put_packs(r, b);
        buf_cstr(b, ".\n");
    }
    put_differences(p, r, b);
}

static bool adds_up(const struct rederive_result *r)
{
    return r->bill_nusd == r->requests_nusd + r->idle_nusd + r->unattributed_nusd;
}

static int run(struct cli *cli, const void *given)
{
    const struct rederive_options *o = given;
    struct rederive_print p;
    struct rederive_config c;
    struct rederive_result result = {0};
    struct error err = {0};
    struct buf b;
    buf_init(&b, ANSWER_MAX);
    int status = rederive_begin(&p, cli, o, "verifying", &c);
    p.ledger = true;
    if (status == 0 && verify_store(&c, &result, &err) < 0) {
        status = cli_fail_store(cli, STORE_READ, &err);
    } else if (status == 0) {
        uint64_t wrong = result.rows_different + result.ledger_different + result.packs_different;
        bool right = wrong == 0 && adds_up(&result);
        status = right ? 0 : EXIT_ANSWER_NO;
        if (o->json) {
            rederive_put_json(&p, &result, &b);
        } else {
            put_answer(&p, &result, &b);
        }
    }
    rederive_end(&p);
    int printed = cli_print(cli, &b);
    return printed ? printed : status;
}

const struct command command_verify = {
    .name = "verify",
    .args = "",
    .summary = "prove the stored costs from the raw records",
    .about = "Derives every window and every request's cost again from the stored raw records and "
             "compares them\nwith what is stored, row by row; rows of closed months that were "
             "corrected with the ledger of\ncorrections; and what is packed of hours and days with "
             "its rows. Changes nothing. Exit status 1:\nsomething differs.",
    .examples = "gtap verify\n"
                "gtap verify --since 7d --json",
    .options = options,
    .size = sizeof(struct rederive_options),
    .run = run,
};
