#include <errno.h>

#include "cmd/rederive_print.h"
#include "cmd/shared_options.h"
#include "report/digits.h"

enum { ANSWER_MAX = 32 << 20 };

struct options {
    struct rederive_options rederive;
    bool dry_run;
};

static const struct option options[] = {
    OPTION_STORE(struct rederive_options, "the store to recompute"),
    OPTION_SINCE(struct rederive_options),
    OPTION_UNTIL(struct rederive_options),
    OPTION_TZ(struct rederive_options),
    {.name = "dry-run",
     .type = OPTION_FLAG,
     .offset = offsetof(struct options, dry_run),
     .help = "only say what would be replaced"},
    {.name = "show",
     .letter = 'n',
     .type = OPTION_INT,
     .offset = offsetof(struct rederive_options, show),
     .value = "N",
     .help = "replaced rows to show",
     .fallback = "0",
     .key = "show",
     .most = 100000},
    OPTION_JSON(struct rederive_options),
    {0},
};

static void put_packs(const struct rederive_result *r, bool dry_run, struct buf *b)
{
    if (r->packs_different == 0) {
        return;
    }
    bool one = r->packs_different == 1;
    rederive_put_packs(r, b);
    buf_cstr(b, one ? ": it " : ": they ");
    buf_cstr(b, dry_run ? "would be packed again (dry run: nothing was changed).\n"
                : one   ? "was packed again.\n"
                        : "were packed again.\n");
}

static void put_rows(const struct rederive_print *p, const struct rederive_result *r, bool dry_run,
                     struct buf *b)
{
    rederive_put_range(p, r, b);
    buf_cstr(b, ", recomputed from the raw records\n");
    rederive_put_money(r, b);
    digits_count(b, (int64_t)r->rows_equal, "stored row");
    buf_cstr(b, r->rows_equal == 1 ? " was right, " : " were right, ");
    digits_grouped(b, (i128)r->rows_different, 0);
    buf_cstr(b, dry_run                  ? " would be replaced (dry run: nothing was changed).\n"
                : r->rows_different == 1 ? " was replaced.\n"
                                         : " were replaced.\n");
}

static void put_answer(const struct rederive_print *p, const struct rederive_result *r,
                       bool dry_run, struct buf *b)
{
    if (r->from < r->to) {
        put_rows(p, r, dry_run, b);
    } else {
        buf_cstr(b, "Nothing in this range is final yet: there is nothing to recompute.\n");
    }
    put_packs(r, dry_run, b);
    if (p->n > 0) {
        buf_char(b, '\n');
        buf_str(b, buf_view(&p->differences));
    }
}

// Opening a store to write makes one where there is none; here that would only hide a slip of the
// pen. 0 or an exit status.
static int check_store(struct cli *cli, const char *uri)
{
    AUTO_STORE struct store *store = NULL;
    struct error err = {0};
    int r = store_open(uri, STORE_READ, &store, &err);
    return r == -ENOENT ? cli_fail_store(cli, STORE_READ, &err) : 0;
}

static int run(struct cli *cli, const void *given)
{
    const struct options *o = given;
    struct rederive_print p;
    struct rederive_config c;
    struct rederive_result result = {0};
    struct error err = {0};
    struct buf b;
    buf_init(&b, ANSWER_MAX);
    int status = rederive_begin(&p, cli, &o->rederive, "recomputing", &c);
    status = status ? status : check_store(cli, o->rederive.store);
    if (status == 0 && recompute_store(&c, o->dry_run, &result, &err) < 0) {
        status = cli_fail(cli, &err);
        if (result.rows_equal + result.rows_different > 0) {
            cli_advise(cli, "What was replaced before is right, the rest is as it was: run the "
                            "same command again when that is mended.");
        }
    } else if (status == 0 && o->rederive.json) {
        rederive_put_json(&p, &result, &b);
    } else if (status == 0) {
        put_answer(&p, &result, o->dry_run, &b);
    }
    rederive_end(&p);
    int printed = cli_print(cli, &b);
    return printed ? printed : status;
}

const struct command command_recompute = {
    .name = "recompute",
    .args = "",
    .summary = "compute stored costs again, after a price correction",
    .about = "Derives windows and costs again from the stored raw records, with the price book as "
             "it is now, and\nreplaces every row that differs; its revision goes up by one. Hours "
             "and days that do not follow from\nthe rows are summed up and packed again.",
    .examples = "gtap recompute --since 2026-11-01 --dry-run\n"
                "gtap recompute --since 2026-11-01",
    .options = options,
    .size = sizeof(struct options),
    .run = run,
};
